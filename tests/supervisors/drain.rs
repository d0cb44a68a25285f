//! DRAIN: a server that was told to end stays for its connections, and everything else goes on as ever.
#![forbid(unsafe_code)]

use crate::common::{Client, Ending, Server, Setup, without_own_processes};
use nix::sys::signal::Signal;
use std::net::TcpStream;

/// Told to end, with so many connections left.
fn end(server: &Server, left: usize) {
    server.signal(Signal::SIGTERM);
    let line = format!("sslserver: info: SIGTERM: {left} connections have 600 seconds to end");
    server.log.wait_for(&line);
}

fn patient() -> Setup {
    Setup::new().env("DRAIN", "600")
}

fn assert_over(mut server: Server) {
    assert_eq!(server.wait().code(), Some(0), "{:?}", server.log.lines());
    server
        .log
        .wait_for("sslserver: info: ended, no connection is left");
    server.assert_nothing_left();
}

#[test]
fn the_server_stays_until_its_connections_have_ended() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = patient().start();
        let mut clients = [server.connect(), server.connect()];
        clients.iter_mut().for_each(Client::assert_echoes);
        server.signal(signal);
        let line = format!("sslserver: info: {signal}: 2 connections have 600 seconds to end");
        server.log.wait_for(&line);
        let refused = TcpStream::connect(server.address);
        assert!(refused.is_err(), "{refused:?}");
        for mut client in clients {
            server.role("sslserver");
            client.assert_echoes();
            let (_, end) = client.exchange(b"", Ending::CloseNotify);
            assert_eq!(end, crate::common::End::Clean);
        }
        assert_over(server);
    }
}

#[test]
fn an_idle_server_ends_at_once() {
    let mut server = patient().start();
    server.connect().assert_echoes();
    server.wait_until_idle();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    server.assert_nothing_left();
}

#[test]
fn a_handshake_may_be_finished_and_its_application_starts() {
    let server = patient().start();
    let unfinished = server.dial().tcp();
    server.wait_for_sessions(1);
    end(&server, 1);
    let mut client = server.dial().over(unfinished);
    client.assert_echoes();
    server.log.wait_for("sslserver: ok *");
    drop(client);
    assert_over(server);
}

#[test]
fn who_waits_in_the_kernels_queue_is_served() {
    let server = patient().start();
    server.signal(Signal::SIGSTOP);
    // In this order it hears of its end first.
    server.signal(Signal::SIGTERM);
    let queued = [server.dial().tcp(), server.dial().tcp()];
    server.signal(Signal::SIGCONT);
    for tcp in queued {
        server.dial().over(tcp).assert_echoes();
    }
    assert_over(server);
}

#[test]
fn connections_that_share_a_process_have_their_time_too() {
    let server = patient().options(&["-j", "2"]).start();
    let mut clients = [server.connect(), server.connect()];
    clients.iter_mut().for_each(Client::assert_echoes);
    // Accepted before the signal, or at the end of the queue.
    let unfinished = server.dial().tcp();
    end(&server, 3);
    server.dial().over(unfinished).assert_echoes();
    for mut client in clients {
        client.assert_echoes();
        let (_, end) = client.exchange(b"", Ending::CloseNotify);
        assert_eq!(end, crate::common::End::Clean);
    }
    assert_over(server);
}

/// Two clients that are through with TLS, and one place.
pub fn one_too_many(setup: Setup) -> (Server, Client, Client) {
    let server = setup.options(&["-c", "1"]).start();
    let (first, second) = (server.dial().tcp(), server.dial().tcp());
    server.wait_for_sessions(2);
    let mut first = server.dial().over(first);
    first.assert_echoes();
    (
        server,
        first,
        // Its handshake is done, and nothing answers.
        crate::common::Dial::to(second.peer_addr().expect("connected")).over(second),
    )
}

#[test]
fn who_waits_for_a_place_gets_it() {
    let (server, first, mut second) = one_too_many(patient());
    end(&server, 2);
    assert_eq!(server.log.count("sslserver: ok *"), 1);
    drop(first);
    second.assert_echoes();
    drop(second);
    assert_over(server);
}

#[test]
fn roles_that_die_are_replaced_and_a_reload_is_refused_with_a_line() {
    if without_own_processes("roles_that_die_are_replaced_and_a_reload_is_refused_with_a_line") {
        return;
    }
    let server = patient().start();
    let mut client = server.connect();
    client.assert_echoes();
    let unfinished = server.dial().tcp();
    server.wait_for_sessions(2);
    end(&server, 2);
    server.signal(Signal::SIGHUP);
    server
        .log
        .wait_for("sslserver: warning: SIGHUP: keys are not read again, the server is ending");
    server.role("ssl-terminator").send(Signal::SIGKILL);
    server
        .log
        .wait_for("sslserver: warning: terminator * ended by signal 9, starting another");
    server.role("ssl-terminator");
    client.assert_echoes();
    drop(client);
    server.log.wait_for("sslserver: ended by *");
    drop(unfinished);
    assert_over(server);
}

#[test]
fn an_application_that_began_in_plain_text_has_its_time_too() {
    let script = "read line; echo \"$line\"";
    let setup = patient().options(&["-n"]).shell(script);
    let server = setup.start();
    let mut plain = server.dial().plain();
    server.log.wait_for("sslserver: ok *");
    end(&server, 1);
    assert_eq!(plain.ask("hello"), "hello");
    assert_eq!(plain.rest(), b"");
    assert_over(server);
}

#[test]
fn drain_is_a_number_of_seconds_up_to_a_day() {
    for bad in ["soon", "-1", "86401"] {
        let outcome = Setup::new().env("DRAIN", bad).run();
        assert_eq!(outcome.code(), 100, "{outcome:?}");
        let line = format!("sslserver: usage: DRAIN wants a number from 0 to 86400, not \"{bad}\"");
        assert_eq!(outcome.lines()[0], line);
    }
    for at_once in ["0", ""] {
        let mut server = Setup::new().env("DRAIN", at_once).start();
        let mut client = server.connect();
        client.assert_echoes();
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().code(), Some(0));
        server.log.wait_for("sslserver: info: ended by SIGTERM");
        client.assert_echoes();
        drop(client);
        server.assert_nothing_left();
    }
}
