//! Clients that come through a proxy whose header goes on to the backend (`--proxy-proxy`).
#![forbid(unsafe_code)]

use crate::common::daemon::{Daemon, free};
use crate::common::{Backend, Dial, Running, Stud};
use crate::header::{SIGNATURE, binary};
use std::io::Write;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";

fn start() -> (Running, Backend) {
    let backend = Backend::new();
    let stud = Stud::to(backend.address)
        .config("proxy-proxy = on\nproxy-header-timeout = 1")
        .start();
    (stud, backend)
}

/// What the backend gets of a connection that begins with these pieces, up to some data.
fn forwarded(stud: &Running, backend: &Backend, pieces: &[&[u8]]) -> Vec<u8> {
    let mut plain = stud.dial().plain();
    for piece in pieces {
        plain.send(piece);
    }
    let mut client = plain.tls();
    client.send(b"data");
    client.close_notify();
    backend.accept().rest()
}

fn with_data(header: &[u8]) -> Vec<u8> {
    [header, b"data"].concat()
}

#[test]
fn a_header_of_either_version_goes_on_unchanged() {
    let (stud, backend) = start();
    let local: &[u8] = &[&SIGNATURE[..], &[0x20, 0, 0, 0]].concat();
    let unix: &[u8] = &[&SIGNATURE[..], &[0x21, 0x31, 0, 216], &[7; 216]].concat();
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 91], b"\r\n"].concat();
    assert_eq!(long.len(), 107);
    for header in [LINE, &binary(), b"PROXY UNKNOWN\r\n", local, unix, &long] {
        let found = forwarded(&stud, &backend, &[header]);
        assert_eq!(found, with_data(header), "{header:?}");
    }
}

#[test]
fn a_header_may_be_split_anywhere() {
    let (stud, backend) = start();
    for header in [LINE, &binary()] {
        for at in 1..header.len() {
            let (start, end) = header.split_at(at);
            let found = forwarded(&stud, &backend, &[start, end]);
            assert_eq!(found, with_data(header), "split at {at}");
        }
        let single: Vec<&[u8]> = header.chunks(1).collect();
        assert_eq!(forwarded(&stud, &backend, &single), with_data(header));
    }
}

#[test]
fn a_header_may_come_together_with_the_start_of_the_handshake() {
    let (stud, backend) = start();
    // Nagle's algorithm holds the handshake back until the header's end is there.
    let mut plain = stud.dial().plain();
    let size = LINE.len() - 1;
    plain.send(&LINE[..size]);
    plain.tcp.set_nodelay(false).expect("delay");
    plain.send(&LINE[size..]);
    let mut client = plain.tls();
    client.send(b"data");
    client.close_notify();
    assert_eq!(backend.accept().rest(), with_data(LINE));
}

#[test]
fn what_is_no_header_ends_the_connection_before_any_backend_is_asked() {
    let (stud, backend) = start();
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat();
    assert_eq!(long.len(), 108);
    for nonsense in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"PROXY TCP4 nonsense\r\n",
        b"PROXY\r\n",
        &long,
        &[&SIGNATURE[..], &[0x31, 0x11, 0, 12], &[0; 12]].concat(),
        &[&SIGNATURE[..], &[0x21, 0x11, 0, 4], &[0; 4]].concat(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00",
    ] {
        let mut plain = stud.dial().plain();
        plain.send(nonsense);
        plain.rest();
        backend.assert_untouched();
    }
}

#[test]
fn a_client_that_does_not_finish_its_header_is_not_waited_for() {
    let (stud, backend) = start();
    let all_but_one = LINE.len() - 1;
    let starts = [b"", &LINE[..9], &LINE[..all_but_one], &binary()[..20]];
    let unfinished = starts.map(|start| {
        let mut plain = stud.dial().plain();
        plain.send(start);
        plain
    });
    for mut plain in unfinished {
        plain.rest();
    }
    // Nor one that always has another byte.
    let mut plain = stud.dial().plain();
    plain.send(SIGNATURE);
    plain.send(&[0x21, 0x11, 0xff, 0xff]);
    let mut sent = 0;
    while plain.tcp.write_all(b"x").is_ok() {
        sent += 1;
        assert!(sent < 1000, "still waited for");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    backend.assert_untouched();
}

#[test]
fn haproxys_headers_tell_the_backend_who_its_client_is() {
    for (how, version) in [("send-proxy", 1), ("send-proxy-v2", 2)] {
        let (stud, backend) = start();
        let address = free("127.0.0.1");
        let target = stud.address();
        let section =
            format!("listen tls\n mode tcp\n bind {address}\n server one {target} {how}\n");
        let Some(haproxy) = Daemon::haproxy(&stud.dir, address, &section) else {
            return;
        };
        let mut client = Dial::to(haproxy.address).from("127.0.0.5").connect();
        let mut accepted = backend.accept();
        let (from, to) = (client.local().port(), address.port());
        if version == 1 {
            let line = format!("PROXY TCP4 127.0.0.5 127.0.0.1 {from} {to}\r");
            assert_eq!(accepted.line(), line);
        } else {
            let header = crate::header::Header::read(&mut accepted);
            let mut addresses = vec![127, 0, 0, 5, 127, 0, 0, 1];
            addresses.extend(from.to_be_bytes());
            addresses.extend(to.to_be_bytes());
            assert_eq!((header.family, header.addresses), (0x11, addresses));
        }
        client.send(b"data");
        assert_eq!(accepted.receive(4), b"data");
        accepted.send(b"answer");
        assert_eq!(client.receive(6), b"answer");
    }
}

#[test]
fn nginxs_header_tells_the_backend_who_its_client_is() {
    let (stud, backend) = start();
    let address = free("127.0.0.1");
    let target = stud.address();
    let block = format!(
        "stream {{ server {{ listen {address}; proxy_pass {target}; proxy_protocol on; }} }}"
    );
    let Some(nginx) = Daemon::nginx(&stud.dir, address, &block) else {
        return;
    };
    let client = Dial::to(nginx.address).from("127.0.0.5").connect();
    let (from, to) = (client.local().port(), address.port());
    let line = format!("PROXY TCP4 127.0.0.5 127.0.0.1 {from} {to}\r");
    assert_eq!(backend.accept().line(), line);
}
