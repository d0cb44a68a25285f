//! What becomes of connections whose time of DRAIN is over, or which a second signal leaves none.
#![forbid(unsafe_code)]

use crate::common::{Client, End, Ending, Server, Setup};
use crate::drain::one_too_many;
use nix::sys::signal::Signal;

/// An application that does not mind SIGTERM.
const DEAF: &str = "trap '' TERM; exec cat";

fn connected(setup: Setup, seconds: &str) -> (Server, Client) {
    let server = setup.env("DRAIN", seconds).start();
    let mut client = server.connect();
    client.assert_echoes();
    (server, client)
}

fn assert_over(mut server: Server) {
    assert_eq!(server.wait().code(), Some(0), "{:?}", server.log.lines());
    server.assert_nothing_left();
}

#[test]
fn an_application_that_is_left_gets_sigterm_and_its_client_a_clean_end() {
    for options in [&[][..], &["-j", "2"]] {
        let (server, mut client) = connected(Setup::new().options(options), "1");
        server.signal(Signal::SIGTERM);
        let (_, end) = client.exchange(b"", Ending::Nothing);
        assert_eq!(end, End::Clean);
        drop(client);
        let log = server.log.clone();
        assert_over(server);
        log.wait_for(
            "sslserver: warning: 1 seconds are over: 1 connections left, SIGTERM to 1 applications",
        );
        log.wait_for("sslserver: ended by * status 15");
        log.wait_for("sslserver: info: ended, no connection is left");
    }
}

#[test]
fn an_application_that_stays_is_killed() {
    let (server, client) = connected(Setup::new().shell(DEAF), "1");
    server.signal(Signal::SIGTERM);
    let log = server.log.clone();
    assert_over(server);
    log.wait_for(
        "sslserver: warning: 1 seconds are over: 1 connections left, SIGTERM to 1 applications",
    );
    log.wait_for(
        "sslserver: warning: 2 seconds are over: 1 connections left, SIGKILL to 1 applications",
    );
    drop(client);
}

#[test]
fn a_second_signal_ends_applications_at_once() {
    for second in [Signal::SIGTERM, Signal::SIGINT] {
        let (server, mut client) = connected(Setup::new(), "600");
        server.signal(Signal::SIGTERM);
        server
            .log
            .wait_for("sslserver: info: SIGTERM: 1 connections *");
        client.assert_echoes();
        server.signal(second);
        let (_, end) = client.exchange(b"", Ending::Nothing);
        assert_eq!(end, End::Clean);
        let line =
            format!("sslserver: warning: {second}: 1 connections left, SIGTERM to 1 applications");
        server.log.wait_for(&line);
        assert_over(server);
    }
}

#[test]
fn a_third_signal_kills_at_once() {
    let (server, client) = connected(Setup::new().shell(DEAF), "600");
    server.signal(Signal::SIGTERM);
    server
        .log
        .wait_for("sslserver: info: SIGTERM: 1 connections *");
    server.signal(Signal::SIGTERM);
    server
        .log
        .wait_for("sslserver: warning: SIGTERM: * SIGTERM to 1 applications");
    server.signal(Signal::SIGINT);
    server
        .log
        .wait_for("sslserver: warning: SIGINT: * SIGKILL to 1 applications");
    assert_over(server);
    drop(client);
}

#[test]
fn a_client_that_does_not_finish_its_handshake_has_the_time_and_no_more() {
    let mut server = Setup::new().env("DRAIN", "1").start();
    let unfinished = server.dial().tcp();
    server.wait_for_sessions(1);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    let line = server.log.wait_for("sslserver: warning: *");
    assert_eq!(
        line,
        "sslserver: warning: 1 seconds are over: 1 connections left"
    );
    drop(unfinished);
    server.assert_nothing_left();
}

#[test]
fn the_place_of_one_that_was_told_to_end_goes_to_nobody() {
    let (mut server, mut first, second) = one_too_many(Setup::new().env("DRAIN", "600"));
    server.signal(Signal::SIGTERM);
    server
        .log
        .wait_for("sslserver: info: SIGTERM: 2 connections *");
    server.signal(Signal::SIGTERM);
    let (_, end) = first.exchange(b"", Ending::Nothing);
    assert_eq!(end, End::Clean);
    drop(first);
    assert_eq!(server.wait().code(), Some(0));
    server
        .log
        .wait_for("sslserver: warning: 2 seconds are over: 1 connections left");
    assert_eq!(server.log.count("sslserver: ok *"), 1);
    drop(second);
    server.assert_nothing_left();
}
