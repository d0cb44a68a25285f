//! What a client is told that is not routed, byte for byte.
#![forbid(unsafe_code)]

use crate::router::{
    Router, Setup, alert, extension, hello, hello_of, message, record, server_name,
};
use std::net::Shutdown;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Instant;

/// The client says this and hears that code, and then the end.
fn hears(router: &Router, bytes: &[u8], code: u8) {
    let heard = router.saying(bytes).rest();
    assert_eq!(
        heard,
        alert(code),
        "to {:02x?}",
        &bytes[..bytes.len().min(80)]
    );
}

#[test]
fn every_row_of_the_table_is_one_alert_and_an_end() {
    let router = Setup::new().start();
    let good = message(&server_name(b"a.example"));
    let mut wrong_type = good.clone();
    wrong_type[0] = 2;
    for (bytes, code) in [
        // No record, no handshake, no ClientHello.
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), 10),
        (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10".to_vec(), 10),
        (b"\x14\x03\x03\x00\x01\x01".to_vec(), 10),
        (record(&wrong_type), 10),
        (
            [
                record(&good[..20]),
                b"\x15\x03\x03\x00\x02\x01\x00".to_vec(),
            ]
            .concat(),
            10,
        ),
        // Records too long and too short.
        (b"\x16\x03\x01\x40\x01".to_vec(), 22),
        (b"\x16\x03\x01\x00\x00".to_vec(), 50),
        (
            [record(&good[..20]), b"\x16\x03\x03\x00\x00".to_vec()].concat(),
            50,
        ),
        // Lengths that contradict each other.
        (record(&message(&extension(0, b""))), 50),
        (record(&message(&extension(0, b"\0\x09\0\0\x01a"))), 50),
        (record(b"\x01\x00\x00\x05abcde"), 50),
        // No name, or an illegal one, or nobody's.
        (record(&message(b"")), 112),
        (record(&message(&extension(10, b"\0\x1d"))), 112),
        (record(&message(&extension(0, b"\0\0"))), 112),
        (hello("a_b.example"), 112),
        (hello("a.example."), 112),
        (hello(".."), 112),
        (hello("../a.example"), 112),
        (hello(""), 112),
        (hello_of(b"a\0.example"), 112),
        (hello_of(&[b'a'; 254]), 112),
        (hello("xn--a.example"), 112),
        (hello("nobody.example"), 112),
    ] {
        hears(&router, &bytes, code);
    }
    router.stop(&[]);
}

#[test]
fn an_end_before_the_name_is_a_decode_error() {
    let router = Setup::new().start();
    let whole = hello("a.example");
    let end = whole.len();
    for length in [0, 1, 4, 5, 6, 40, end - 1] {
        let client = router.saying(&whole[..length]);
        client.0.shutdown(Shutdown::Write).unwrap();
        let mut client = client;
        assert_eq!(client.rest(), alert(50), "{length} bytes");
    }
    router.stop(&[]);
}

#[test]
fn what_is_in_the_place_of_a_backend_decides_the_alert() {
    let router = Setup::new().start();
    let hosts = &router.hosts;
    for name in [
        "empty",
        "file",
        "directory",
        "stale",
        "dangling",
        "datagram",
    ] {
        hosts.subdirectory(name);
    }
    hosts.write("file/tls-socket", "");
    hosts.subdirectory("directory/tls-socket");
    drop(UnixListener::bind(hosts.join("stale/tls-socket")).unwrap());
    symlink("nowhere", hosts.join("dangling/tls-socket")).unwrap();
    let _datagram = UnixDatagram::bind(hosts.join("datagram/tls-socket")).unwrap();
    hosts.write("plainfile", "");
    symlink("loop", hosts.join("loop")).unwrap();
    symlink("nowhere", hosts.join("deadlink")).unwrap();
    for (name, code) in [
        ("empty", 112),
        ("file", 112),
        ("directory", 112),
        ("stale", 112),
        ("dangling", 112),
        ("deadlink", 112),
        ("datagram", 80),
        ("plainfile", 80),
        ("loop", 80),
    ] {
        hears(&router, &hello(name), code);
    }
    router.stop(&[]);
}

#[test]
fn a_name_that_takes_too_long_is_canceled() {
    let router = Setup::new().options(&["-v", "-T", "1"]).start();
    let start = Instant::now();
    let mut silent = router.client();
    let mut slow = router.saying(&hello("a.example")[..50]);
    assert_eq!(silent.rest(), alert(90));
    assert_eq!(slow.rest(), alert(90));
    assert!(start.elapsed().as_millis() >= 1000);
    drop((silent, slow));
    router
        .log
        .wait_for_nth("sniproxy: 127.0.0.1:* - 0 0 1.* too slow", 2);
}

#[test]
fn an_alert_reaches_a_client_that_has_sent_much_more() {
    let router = Setup::new().start();
    for _ in 0..5 {
        let mut bytes = hello("nobody.example");
        bytes.extend(vec![0; 3_000_000]);
        hears(&router, &bytes, 112);
    }
    router.stop(&[]);
}
