//! Sets of rules when a role dies.

use crate::common::keys::leaf;
use crate::common::{Dial, Kind, LIMIT, Server, eventually, terminator};
use crate::{certificate, pair, server, variables};
use nix::sys::signal::Signal;
use std::io::Write;
use std::time::Instant;

#[test]
fn sets_of_rules_are_there_again_after_the_death_of_a_role() {
    let setup = server();
    pair(&setup, "", "two");
    let rules = format!("127.0.0.2:allow,{}\n:allow\n", variables(&setup, "two"));
    let server = setup.rules("-x", &rules).start();
    assert_eq!(certificate(&server, "127.0.0.2"), "two");
    for role in [terminator(), "ssl-keeper", terminator()] {
        server.kill(role);
        assert_eq!(certificate(&server, "127.0.0.2"), "two", "after {role}");
        assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
    }
}

/// How many the listener has open: more with every connection.
fn descriptors(server: &Server) -> usize {
    let listener = server.role("sslserver").pid;
    let open = std::fs::read_dir(format!("/proc/{listener}/fd"));
    open.expect("root, or the same user").count()
}

/// Clients whose set is with a keeper that stands still, while a role is killed.
fn killed_while_waiting(role: &str) {
    let setup = server().program(&["cat"]).options(&["-S"]);
    let two = pair(&setup, "", "two");
    let rules = format!("127.0.0.2:allow,{}\n:allow\n", variables(&setup, "two"));
    let server = setup.rules("-x", &rules).start();
    server.connect().assert_echoes();
    server.wait_until_idle();
    let idle = descriptors(&server);
    let keeper = server.role("ssl-keeper");
    keeper.send(Signal::SIGSTOP);
    let address = server.address;
    let clients: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Dial::to(address).from("127.0.0.2").connect();
                client.assert_echoes();
                let shown = client.tls.ssl().peer_certificate().expect("one");
                String::from_utf8(shown.to_pem().expect("PEM")).expect("PEM is ASCII")
            })
        })
        .collect();
    // They are with the listener, which waits for the keeper: their ends of the connection are established.
    let before = idle + 3;
    eventually("three connections", || {
        (descriptors(&server) > before).then_some(())
    });
    server.kill(role);
    server
        .log
        .wait_for("sslserver: warning: * ended by signal 9, starting another");
    if role != "ssl-keeper" {
        keeper.send(Signal::SIGCONT);
    }
    for client in clients {
        let shown = client.join().expect("no panic in a client");
        assert_eq!(shown, two.certificate);
    }
    server.connect().assert_echoes();
    assert_ne!(leaf(Kind::P256).certificate, two.certificate);
    server.wait_until_idle();
}

#[test]
fn connections_that_wait_for_their_set_outlive_the_terminator() {
    killed_while_waiting(terminator());
}

#[test]
fn connections_that_wait_for_their_set_outlive_the_keeper() {
    killed_while_waiting("ssl-keeper");
}

#[test]
fn no_set_is_taken_for_another_when_a_client_wants_one_while_the_terminator_starts() {
    let setup = server();
    pair(&setup, "", "three");
    let old = crate::common::keys::expired();
    setup
        .dir
        .write("old.pem", format!("{}{}", old.certificate, old.key));
    let old = setup.dir.text("old.pem");
    let rules = format!(
        "127.0.0.2:allow,CERTFILE=\"{old}\",KEYFILE=\"{old}\"\n\
         127.0.0.3:allow,{}\n:allow\n",
        variables(&setup, "three")
    );
    let server = setup
        .env("PROXYFROM", "127.0.0.9")
        .rules("-x", &rules)
        .start();
    // It is accepted, and nobody knows yet who it is.
    let mut proxy = Dial::to(server.address).from("127.0.0.9").tcp();
    assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
    let dead = server.kill(terminator());
    let limit = Instant::now() + LIMIT;
    let fresh = loop {
        let mut fresh = server.roles(terminator());
        fresh.retain(|one| dead.iter().all(|dead| dead.pid != one.pid) && one.state != 'Z');
        if fresh.len() == dead.len() {
            break fresh;
        }
        assert!(Instant::now() < limit, "no other terminator");
    };
    // It stands still before it is ready, while the client says who it is.
    fresh.iter().for_each(|one| one.send(Signal::SIGSTOP));
    proxy
        .write_all(b"PROXY TCP4 127.0.0.2 127.0.0.1 1000 2000\r\n")
        .expect("sent");
    fresh.iter().for_each(|one| one.send(Signal::SIGCONT));
    server
        .log
        .wait_for("sslserver: warning: certificate has expired: *");
    for _ in 0..2 {
        assert_eq!(certificate(&server, "127.0.0.3"), "three");
        assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
    }
}
