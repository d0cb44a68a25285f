//! What happens when a role dies, or is told to end.
#![forbid(unsafe_code)]

mod common;

use common::keys::{encrypted, leaf};
use common::{Kind, Setup, eventually, without_own_processes};
use nix::sys::signal::Signal;

#[test]
fn the_death_of_a_session_costs_its_own_connection_only() {
    if without_own_processes("the_death_of_a_session_costs_its_own_connection_only") {
        return;
    }
    let server = Setup::new().start();
    let mut first = server.connect();
    first.assert_echoes();
    let session = server.role("ssl-session");
    let mut second = server.connect();
    second.assert_echoes();
    session.send(Signal::SIGKILL);
    server.log.wait_for("sslserver: ended by *");
    second.assert_echoes();
    assert_eq!(server.roles("ssl-session").len(), 1);
    let (_, end) = first.exchange(b"", common::Ending::Nothing);
    assert_ne!(end, common::End::Clean);
    server.connect().assert_echoes();
    drop(second);
    server.wait_until_idle();
}

fn restarts(role: &str, word: &str) {
    let server = Setup::new().start();
    let mut client = server.connect();
    client.assert_echoes();
    for number in 1..=2 {
        let old = server.role(role);
        old.send(Signal::SIGKILL);
        let line = format!(
            "sslserver: warning: {word} {} ended by signal 9, starting another",
            old.pid
        );
        server.log.wait_for(&line);
        client.assert_echoes();
        let fresh = eventually("a fresh process", || {
            server
                .roles(role)
                .into_iter()
                .find(|process| process.pid != old.pid && process.state != 'Z')
        });
        assert!(!fresh.is_gone());
        server.connect().assert_echoes();
        client.assert_echoes();
        assert_eq!(
            server.log.count("sslserver: warning: *"),
            number,
            "{:?}",
            server.log.lines()
        );
    }
    drop(client);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn a_dead_keeper_is_said_in_one_line_and_replaced_and_connections_go_on() {
    restarts("ssl-keeper", "keeper");
}

#[test]
fn a_dead_terminator_is_said_in_one_line_and_replaced_and_connections_go_on() {
    let test = "a_dead_terminator_is_said_in_one_line_and_replaced_and_connections_go_on";
    if without_own_processes(test) {
        return;
    }
    restarts("ssl-terminator", "terminator");
}

#[test]
fn a_dead_keeper_whose_key_has_a_password_ends_the_server_but_not_its_connections() {
    let key = encrypted(leaf(Kind::P256), "word");
    let setup = Setup::new()
        .file("KEYFILE", "secret.pem", key)
        .options(&["-3"]);
    let script = format!(
        "exec \"$@\" 3<{}",
        setup.dir.write("word", "word").display()
    );
    let mut server = setup.prefix(&["sh", "-c", &script, "sh"]).start();
    let mut client = server.connect();
    client.assert_echoes();
    server.role("ssl-keeper").send(Signal::SIGKILL);
    assert_eq!(server.wait().code(), Some(111));
    server
        .log
        .wait_for("sslserver: fatal: (111) keeper *the password is gone with it*");
    client.assert_echoes();
    client.close_notify();
    assert_eq!(
        client.exchange(b"", common::Ending::Nothing).1,
        common::End::Clean
    );
    server.assert_nothing_left();
}

#[test]
fn sighup_ends_nothing() {
    let server = Setup::new().start();
    let mut client = server.connect();
    client.assert_echoes();
    server.signal(Signal::SIGHUP);
    server.log.wait_for("sslserver: *SIGHUP*");
    client.assert_echoes();
    server.connect().assert_echoes();
    drop(client);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn a_killed_listener_leaves_running_connections_alone() {
    let mut server = Setup::new().start();
    let mut client = server.connect();
    client.assert_echoes();
    server.signal(Signal::SIGKILL);
    server.wait();
    let (echo, end) = client.exchange(&common::pattern(1_000_000), common::Ending::CloseNotify);
    assert!(echo == common::pattern(1_000_000), "{}", echo.len());
    assert_eq!(end, common::End::Clean);
    server.assert_nothing_left();
}

#[test]
fn a_killed_listener_takes_keeper_and_terminator_with_it() {
    let mut server = Setup::new().start();
    server.connect().assert_echoes();
    server.signal(Signal::SIGKILL);
    server.wait();
    server.assert_nothing_left();
}

#[test]
fn sigterm_and_sigint_end_the_server_with_0_and_leave_connections_alone() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Setup::new().start();
        let mut client = server.connect();
        client.assert_echoes();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
        client.assert_echoes();
        let (echo, end) = client.exchange(&common::pattern(1_000_000), common::Ending::CloseNotify);
        assert!(
            echo == common::pattern(1_000_000),
            "{signal}: {}",
            echo.len()
        );
        assert_eq!(end, common::End::Clean, "{signal}");
        server.assert_nothing_left();
    }
}
