//! The lookup process dies or hangs; nobody is kept out for that.
#![forbid(unsafe_code)]

use crate::common::{Process, Responder, Server, eventually};
use crate::{CLIENT, ENVIRONMENT, NOBODY, asking, host, simply};
use nix::sys::signal::Signal;

const NAME: Option<&str> = Some("client.example.org");

/// Answers about CLIENT alone.
fn server(patience: &str) -> (Responder, Server) {
    let dns = Responder::new(|question, by| match question.name.starts_with("5.") {
        true => simply(question, by),
        false => Vec::new(),
    });
    let setup = asking(dns.address).options(&["-t", patience]);
    let server = setup.program(ENVIRONMENT).start();
    assert_eq!(host(&server, CLIENT).as_deref(), NAME);
    (dns, server)
}

/// Waits until another has taken its place and answers. Connections are served all the time.
fn assert_replaced(server: &Server, old: &Process) {
    eventually("a fresh process that answers", || {
        (host(server, CLIENT).as_deref() == NAME).then_some(())
    });
    assert_ne!(server.role("ssl-lookup").pid, old.pid);
    assert!(old.is_gone());
}

#[test]
fn the_death_of_the_lookup_process_is_said_in_one_line_and_costs_names_only() {
    let (dns, server) = server("600");
    let asked = dns.asked();
    std::thread::scope(|scope| {
        // It waits for an answer that does not come.
        let waiting = scope.spawn(|| host(&server, NOBODY));
        eventually("its question", || (dns.asked() > asked).then_some(()));
        let old = server.role("ssl-lookup");
        old.send(Signal::SIGKILL);
        assert_eq!(waiting.join().expect("no panic"), None);
        assert_replaced(&server, &old);
        let line = format!(
            "sslserver: warning: lookup {} ended by signal 9, starting another",
            old.pid
        );
        server.log.wait_for(&line);
        assert_eq!(server.log.count("sslserver: warning: *"), 1);
    });
    server.wait_until_idle();
    server.stop();
}

#[test]
fn a_lookup_process_that_hangs_is_ended_and_replaced() {
    let (_dns, server) = server("1");
    let old = server.role("ssl-lookup");
    old.send(Signal::SIGSTOP);
    // Many at once: the first that has waited long enough frees all.
    std::thread::scope(|scope| {
        for number in 1..=20 {
            let source = format!("127.0.1.{number}");
            let server = &server;
            scope.spawn(move || assert_eq!(host(server, &source), None));
        }
    });
    let pid = old.pid;
    let line = format!("sslserver: warning: process {pid} does not answer: ended");
    server.log.wait_for(&line);
    assert_replaced(&server, &old);
    assert_eq!(server.log.count(&line), 1);
    server.stop();
}

#[test]
fn a_lookup_process_that_hangs_never_stops_accepting() {
    let (_dns, server) = server("600");
    server.role("ssl-lookup").send(Signal::SIGSTOP);
    // More than may wait for answers at once.
    let address = |number| format!("127.0.{}.{}", 1 + number / 200, 1 + number % 200);
    let flood: Vec<_> = (0..300)
        .map(|number| server.dial().from(&address(number)).tcp())
        .collect();
    eventually("all of them accepted", || {
        (server.counters()["connections accepted"] > 300).then_some(())
    });
    assert_eq!(host(&server, CLIENT), None);
    drop(flood);
    // It could not even see the listener's end.
    server.role("ssl-lookup").send(Signal::SIGCONT);
    server.stop();
}

#[test]
fn the_lookup_process_is_as_powerless_as_the_others() {
    if crate::common::without_root("the_lookup_process_is_as_powerless_as_the_others") {
        return;
    }
    let dns = Responder::new(simply);
    let setup = asking(dns.address).jailed(crate::common::Kind::P256);
    let server = setup.program(ENVIRONMENT).start();
    assert_eq!(host(&server, CLIENT).as_deref(), NAME);
    let process = server.role("ssl-lookup");
    assert_eq!(process.link("root"), server.dir.join("jail"));
    assert_eq!(process.status("NoNewPrivs"), "1");
    assert_eq!(process.status("Seccomp"), "2");
    let uid = crate::common::setup::JAIL_UID.to_string();
    assert_eq!(process.status("Uid"), [&uid[..]; 4].join(" "));
    assert_eq!(process.status("CapEff"), "0000000000000000");
}
