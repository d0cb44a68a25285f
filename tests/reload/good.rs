//! A renewed certificate is served at once, and nobody is disturbed.
#![forbid(unsafe_code)]

use super::{assert_quiet, reload, renew, replace, serving, shown};
use crate::common::keys::{authority, encrypted, for_names, leaf};
use crate::common::setup::JAIL_UID;
use crate::common::{Dial, Ending, Kind, Process, Setup, eventually, tempdir, without_root};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::time::Duration;

#[test]
fn new_connections_have_the_new_certificate_and_running_ones_go_on_with_the_old() {
    let server = serving();
    let mut old = server.dial().name("localhost").connect();
    renew(&server, "renewed");
    assert_eq!(shown(&server), "localhost");
    reload(&server, 1);
    assert_eq!(shown(&server), "renewed");
    old.send(b"still there?");
    assert_eq!(old.receive(12), b"still there?");
    assert_eq!(old.shown(), "localhost");
    old.exchange(b"", Ending::CloseNotify);
    assert_quiet(&server);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn a_client_in_the_middle_of_its_handshake_finishes_it_with_the_old_keys() {
    let server = serving();
    let early = server.dial().name("localhost");
    let tcp = early.tcp();
    server.wait_for_sessions(1);
    renew(&server, "renewed");
    reload(&server, 1);
    let mut client = early.over(tcp);
    assert_eq!(client.shown(), "localhost");
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
    client.exchange(b"", Ending::CloseNotify);
    assert_eq!(shown(&server), "renewed");
    assert_quiet(&server);
}

#[test]
fn an_application_that_begins_in_plain_text_gets_tls_after_a_reload_too() {
    let script = "echo ready; read line; printf y >&$SSLCTLFD; cat <&$SSLREADFD >&$SSLWRITEFD";
    let server = Setup::new().options(&["-n"]).shell(script).start();
    let dial = Dial::to(server.address).name("localhost");
    let mut tcp = dial.tcp();
    let mut word = [0; 6];
    tcp.read_exact(&mut word).expect("a banner");
    renew(&server, "renewed");
    reload(&server, 1);
    tcp.write_all(b"starttls\n").expect("sent");
    let mut client = dial.over(tcp);
    assert_eq!(client.shown(), "localhost");
    client.send(b"hello");
    assert_eq!(client.receive(5), b"hello");
}

#[test]
fn the_keeper_asks_for_no_password_a_second_time() {
    let setup = Setup::new();
    let pair = leaf(Kind::P256);
    setup.dir.write("key0.pem", encrypted(pair, "secret"));
    setup.dir.write("password", "secret");
    let words = "exec \"$@\" 3<\"$0\"";
    let password = setup.dir.text("password");
    let server = setup
        .options(&["-3"])
        .prefix(&["sh", "-c", words, &password])
        .start();
    std::fs::remove_file(&password).expect("removed");
    let pair = for_names(Kind::P256, authority(), "renewed", &["localhost"]);
    replace(&server.dir, "key0.pem", &encrypted(&pair, "secret"));
    replace(&server.dir, "cert0.pem", &pair.certificate);
    reload(&server, 1);
    assert_eq!(shown(&server), "renewed");
    assert_quiet(&server);
}

#[test]
fn keys_inside_a_root_are_read_again_there() {
    if without_root("keys_inside_a_root_are_read_again_there") {
        return;
    }
    let server = Setup::new().jailed(Kind::P256).start();
    let pair = for_names(Kind::P256, authority(), "renewed", &["localhost"]);
    replace(&server.dir, "jail/cert.pem", &pair.certificate);
    let key = server.dir.write("being-written", &pair.key);
    tempdir::give(&key, JAIL_UID);
    std::fs::rename(key, server.dir.join("jail/key.pem")).expect("renamed");
    reload(&server, 1);
    assert_eq!(shown(&server), "renewed");
    assert_quiet(&server);
}

#[test]
fn many_requests_at_once_are_obeyed_and_leave_one_of_each_role() {
    let server = serving();
    for round in 0..20 {
        renew(&server, &format!("renewed-{round}"));
        server.signal(Signal::SIGHUP);
    }
    eventually("the last certificate", || {
        (shown(&server) == "renewed-19").then_some(())
    });
    server.wait_until_idle();
    let requests = server.log.count("sslserver: info: *: reading keys again");
    let done = server.log.count("sslserver: info: keys are renewed: *");
    assert!(requests >= done && done >= 2, "{requests} {done}");
}

#[test]
fn a_keeper_that_died_has_read_the_new_keys_when_it_is_back() {
    let server = serving();
    renew(&server, "renewed");
    let dead = server.role("ssl-keeper");
    dead.send(Signal::SIGKILL);
    eventually("the new certificate", || {
        // Between its death and the listener's notice a handshake has nobody to sign it.
        let client = server.dial().name("localhost").try_connect().ok()?;
        (client.shown() == "renewed").then_some(())
    });
    reload(&server, 1);
    assert_eq!(shown(&server), "renewed");
}

#[test]
fn a_request_while_a_keeper_begins_is_obeyed_when_it_has_begun() {
    if without_root("a request while a keeper begins") {
        return;
    }
    let setup = Setup::new();
    let folder = setup.dir.subdirectory("certs");
    let setup = setup.env("CERTDIR", &folder.display().to_string());
    let server = setup.start();
    let pair = for_names(Kind::P256, authority(), "one", &["one.example"]);
    let both = format!("{}{}", pair.certificate, pair.key);
    let target = server.dir.write("one.pem", &both);
    tempdir::set_mode(&target, 0o644);
    for number in 0..1000 {
        symlink(&target, folder.join(format!("{number}.pem"))).expect("a link");
    }
    let dead = server.kill("ssl-keeper");
    let keeper = server.successor("ssl-keeper", &dead);
    let counts = format!("/proc/{}/io", keeper.pid);
    let read = || {
        let counts = std::fs::read_to_string(&counts).expect("as root");
        let bytes = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
        bytes.and_then(|bytes| bytes.parse::<usize>().ok())
    };
    // It goes on in small steps until it is well into the folder, and so has read what comes before.
    eventually("the keeper in the middle of the folder", || {
        keeper.send(Signal::SIGCONT);
        std::thread::sleep(Duration::from_millis(1));
        keeper.send(Signal::SIGSTOP);
        eventually("it stands still", || {
            let state = Process::read(keeper.pid)?.state;
            (state == 'T').then_some(())
        });
        (read()? > 20 * both.len()).then_some(())
    });
    renew(&server, "renewed");
    server.signal(Signal::SIGHUP);
    server
        .log
        .wait_for("sslserver: info: SIGHUP: keys are just being read, and will be once more");
    keeper.send(Signal::SIGCONT);
    eventually("the new certificate", || {
        let client = server.dial().name("localhost").try_connect().ok()?;
        (client.shown() == "renewed").then_some(())
    });
}
