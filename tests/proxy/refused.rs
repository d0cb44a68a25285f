//! A listed proxy without a proper header is nobody; a header from anybody else is no header.
#![forbid(unsafe_code)]

use crate::common::{Dial, Setup};
use crate::{ENVIRONMENT, LINE, announced, binary, setup};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// True once the server has closed without a byte of its own.
fn is_closed(mut tcp: TcpStream) -> bool {
    match tcp.read(&mut [0; 1]) {
        Ok(size) => size == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

const REFUSED: &str = "sslserver: error: (110) no PROXY header from: 127.0.0.1 ";

#[test]
fn a_bad_header_from_a_proxy_is_said_and_its_connection_closed() {
    let server = setup().start();
    let long = [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat();
    let mut large = binary(1, 0x11, b"");
    large[14..16].fill(0xff);
    for (bytes, reason) in [
        // TLS without a header.
        (
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            "no PROXY header",
        ),
        (b"GET / HTTP/1.0\r\n\r\n", "no PROXY header"),
        (&long, "PROXY line too long"),
        (&large, "PROXY header too long"),
        (b"PROXY TCP4 a b c d\r\n", "bad address in PROXY line"),
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 1\r\n",
            "bad port in PROXY line",
        ),
        (
            &binary(1, 0x11, b"short"),
            "PROXY header too short for its addresses",
        ),
        (&binary(7, 0x11, b""), "unknown command in PROXY header"),
    ] {
        let mut tcp = server.dial().tcp();
        tcp.write_all(bytes).expect("room");
        assert!(is_closed(tcp), "{reason}");
        server.log.wait_for(&format!("{REFUSED}{reason}"));
    }
    assert!(server.dial().try_connect().is_err());
    server
        .log
        .wait_for_nth(&format!("{REFUSED}no PROXY header"), 3);
    announced(&server, LINE).text();
    server.log.wait_for("sslserver: ended by *");
    // None of the others had a session, or an application.
    assert_eq!(server.log.count("sslserver: fatal: *"), 0);
    assert_eq!(server.log.count("sslserver: ok *"), 1);
    server.wait_until_idle();
}

#[test]
fn a_proxy_that_leaves_or_says_nothing_is_given_up() {
    let server = setup().start();
    for (part, reason) in [
        (0, "the client left without a PROXY header"),
        (20, "PROXY header cut off"),
    ] {
        let mut tcp = server.dial().tcp();
        tcp.write_all(&LINE[..part]).expect("room");
        tcp.shutdown(Shutdown::Write).expect("a connection");
        assert!(is_closed(tcp), "{reason}");
        server.log.wait_for(&format!("{REFUSED}{reason}"));
    }
    let mut slow = server.dial().tcp();
    slow.write_all(&LINE[..20]).expect("room");
    let silent = server.dial().tcp();
    assert!(is_closed(slow) && is_closed(silent));
    let line = format!("{REFUSED}timed out waiting for PROXY header");
    server.log.wait_for_nth(&line, 2);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn a_header_from_an_address_that_is_not_listed_is_rubbish() {
    let server = setup().start();
    for header in [LINE.to_vec(), crate::binary_four()] {
        let mut tcp = server.dial().from("127.0.0.2").tcp();
        tcp.write_all(&header).expect("room");
        assert!(server.dial().try_over(tcp).is_err());
    }
    let line = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.2 for pid: * *";
    server.log.wait_for_nth(line, 2);
    assert_eq!(server.log.count("*192.0.2.1*"), 0);
    assert_eq!(server.log.count("sslserver: ok *"), 0);

    // Without a header it is a client like any other.
    let client = server.dial().from("127.0.0.2").connect();
    let environment = client.environment();
    assert_eq!(environment["SSLREMOTEIP"], "127.0.0.2");
    assert_eq!(environment.get("SSLPROXYIP"), None);
}

#[test]
fn proxies_are_listed_as_addresses_and_networks_of_both_families() {
    let list = "192.0.2.77, 127.0.0.8/29 ,::1";
    let setup = || setup().env("PROXYFROM", list);
    let server = setup().start();
    for (source, listed) in [
        ("127.0.0.7", false),
        ("127.0.0.8", true),
        ("127.0.0.15", true),
        ("127.0.0.16", false),
    ] {
        let mut tcp = server.dial().from(source).tcp();
        tcp.write_all(LINE).expect("room");
        assert_eq!(server.dial().try_over(tcp).is_ok(), listed, "{source}");
    }
    let server = setup().host("::1").start();
    let environment = announced(&server, LINE).environment();
    assert_eq!(environment["SSLREMOTEIP"], "192.0.2.1");
    assert_eq!(environment["SSLPROXYIP"], "::1");
    assert_eq!(environment["PROTO"], "TCP");
}

#[test]
fn a_list_with_something_else_in_it_is_a_usage_error() {
    for list in [
        "proxy.example.org",
        "127.0.0.1/33",
        "127.0.0.1,127.0.0",
        "1.2.3.4 5.6.7.8",
    ] {
        let outcome = Setup::new().env("PROXYFROM", list).run();
        assert_eq!(outcome.code(), 100, "{list}");
        assert!(outcome.lines()[0].starts_with("sslserver: "), "{outcome:?}");
        assert!(outcome.lines()[0].contains("PROXYFROM"), "{outcome:?}");
    }
}

#[test]
fn without_a_list_nobody_is_a_proxy() {
    let server = Setup::new().program(ENVIRONMENT).start();
    assert!(crate::try_announced(&server, LINE).is_err());
    let environment = Dial::to(server.address).connect().environment();
    assert_eq!(environment.get("SSLPROXYIP"), None);
}
