//! Connections that are closed before their handshake, by what.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::assert_counted;
use crate::common::Setup;

fn is_closed(mut tcp: TcpStream) -> bool {
    match tcp.read(&mut [0; 1]) {
        Ok(size) => size == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Of two clients on a server with this setup the second is closed, and counted so.
fn second_is_denied(setup: Setup, by: &str) {
    let server = setup.start();
    let first = server.dial().tcp();
    assert_counted(
        &server,
        &[("connections accepted", 1), ("connections unfinished", 1)],
    );
    assert!(is_closed(server.dial().tcp()), "{by}");
    assert_counted(
        &server,
        &[
            ("connections accepted", 2),
            ("connections unfinished", 1),
            (by, 1),
        ],
    );
    drop(first);
}

/// The first client already.
fn first_is_denied(setup: Setup, say: &[u8], by: &str) {
    let server = setup.start();
    let mut tcp = server.dial().tcp();
    tcp.write_all(say).expect("room");
    assert!(is_closed(tcp), "{by}");
    assert_counted(&server, &[("connections accepted", 1), (by, 1)]);
}

#[test]
fn rules_are_counted_apart_from_early_rules() {
    let deny = |option| Setup::new().rules(option, ":deny\n");
    first_is_denied(deny("-x"), b"", "denied rules");
    first_is_denied(deny("-y"), b"", "denied early_rules");
}

#[test]
fn limits_of_the_environment_and_of_rules_are_counted() {
    second_is_denied(Setup::new().env("MAXCONIP", "1"), "denied maxconip");
    let rules = |text| Setup::new().rules("-x", text);
    second_is_denied(rules(":allow,MAXCONIP=\"1\"\n"), "denied maxconip");
    second_is_denied(rules(":allow,MAXCONNET=\"1/8\"\n"), "denied maxconnet");
    second_is_denied(Setup::new().env("HANDSHAKESIP", "1"), "denied handshakesip");
    second_is_denied(Setup::new().env("RATE", "1/60"), "denied rate");
}

#[test]
fn rules_that_cannot_be_read_are_counted() {
    let setup = Setup::new().options(&["-x", "/nonexistent.cdb"]);
    first_is_denied(setup, b"", "denied rules_unreadable");
}

#[test]
fn keys_that_cannot_be_used_are_counted() {
    for keys in ["CERTFILE=\"/nonexistent.pem\"", "CERTFILE=\"a:b:c\""] {
        let setup = Setup::new().rules("-x", &format!(":allow,{keys}\n"));
        first_is_denied(setup, b"", "denied keys");
    }
}

#[test]
fn a_proxy_that_announces_nobody_is_counted() {
    let setup = Setup::new().env("PROXYFROM", "127.0.0.1");
    first_is_denied(setup, b"GET / HTTP/1.0\r\n\r\n", "denied proxy_header");
}
