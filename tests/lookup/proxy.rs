//! PROXY headers read from a client's socket, and what is left there for TLS.
#![forbid(unsafe_code)]

use crate::common::LIMIT;
use crate::common::message::name;
use crate::common::responder::Responder;
use crate::role::{HEADER, Role, Setup, about};
use sslserver::net::proxy_header::Announced;
use sslserver::privsep::message::ToLookup;
use sslserver::privsep::message::lookup::{Answer, Wanted};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

crate::tests! {
    a_header_split_at_every_byte_is_read_and_tls_stays_where_it_is
    local_and_unknown_leave_the_connections_own_addresses
    the_names_are_those_of_the_announced_address
    ipv4_announced_as_ipv6_is_ipv4
    a_bad_header_is_refused_with_a_reason
    a_client_that_says_nothing_is_refused_in_time
    a_client_that_leaves_is_refused
    a_question_without_a_socket_is_refused
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
const TLS: &[u8] = b"\x16\x03\x01\x02\x00client hello";

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family, 0, rest.len() as u8]);
    header.extend(rest);
    header
}

/// The same as [`LINE`], and an extension.
fn binary_four() -> Vec<u8> {
    binary(
        1,
        0x11,
        b"\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb\x02\x00\x04host",
    )
}

fn announced() -> Announced {
    Announced::Ends {
        remote: "192.0.2.1:56324".parse().expect("an address"),
        local: "198.51.100.2:443".parse().expect("an address"),
    }
}

/// The proxy's end, and the listener's.
fn connection() -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let proxy = TcpStream::connect(address).expect("a connection");
    proxy.set_nodelay(true).expect("a flag");
    let (client, _) = listener.accept().expect("a connection");
    (proxy, client.into())
}

fn question() -> ToLookup {
    about(1, HEADER, "127.0.0.1")
}

/// Everything that is left for whoever reads next.
fn rest(proxy: TcpStream, client: OwnedFd) -> Vec<u8> {
    proxy.shutdown(Shutdown::Write).expect("a connection");
    let mut client = TcpStream::from(client);
    client.set_nonblocking(false).expect("a flag");
    client.set_read_timeout(Some(LIMIT)).expect("a time limit");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("an end");
    rest
}

fn ask(role: &Role, bytes: &[u8]) -> Answer {
    let (mut proxy, client) = connection();
    proxy.write_all(bytes).expect("room");
    role.ask_with(question(), &client)
}

fn a_header_split_at_every_byte_is_read_and_tls_stays_where_it_is() {
    let role = Setup::default().start();
    for header in [LINE.to_vec(), binary_four()] {
        for split in 0..=header.len() {
            let (mut proxy, client) = connection();
            proxy.write_all(&header[..split]).expect("room");
            role.send(question(), Some(client.as_fd()));
            // The first part has been taken when nothing of it is there any more, so the rest comes alone.
            crate::common::eventually("the first part is taken", || {
                let mut byte = [0];
                let copy = TcpStream::from(client.try_clone().expect("the same socket"));
                copy.set_nonblocking(true).expect("a flag");
                (split == header.len() || copy.peek(&mut byte).is_err()).then_some(())
            });
            proxy.write_all(&header[split..]).expect("room");
            proxy.write_all(TLS).expect("room");
            assert_eq!(role.answer().1.announced, Ok(announced()), "{split}");
            assert_eq!(rest(proxy, client), TLS, "{split}");
        }
    }
}

fn local_and_unknown_leave_the_connections_own_addresses() {
    let dns = Responder::new(|question, _| {
        let host = question.name.split('.').next().unwrap_or_default();
        vec![question.simply(&name(&format!("host-{host}")))]
    });
    let role = Setup::asking(&[dns.address]).start();
    for header in [
        binary(0, 0, b""),
        binary(0, 0x11, b"anything"),
        b"PROXY UNKNOWN\r\n".to_vec(),
    ] {
        let (mut proxy, client) = connection();
        proxy.write_all(&header).expect("room");
        proxy.write_all(TLS).expect("room");
        let wanted = Wanted {
            remote_name: true,
            ..HEADER
        };
        let answer = role.ask_with(about(1, wanted, "192.0.2.77"), &client);
        assert_eq!(answer.announced, Ok(Announced::Nothing));
        assert_eq!(answer.remote_name.as_deref(), Some("host-77"));
        assert_eq!(rest(proxy, client), TLS);
    }
}

fn the_names_are_those_of_the_announced_address() {
    let dns = Responder::new(|question, _| {
        let host = question.name.split('.').next().unwrap_or_default();
        vec![question.simply(&name(&format!("host-{host}")))]
    });
    let role = Setup::asking(&[dns.address]).start();
    let (mut proxy, client) = connection();
    proxy.write_all(LINE).expect("room");
    let wanted = Wanted {
        remote_name: true,
        local_name: true,
        ..HEADER
    };
    let answer = role.ask_with(about(1, wanted, "192.0.2.77"), &client);
    assert_eq!(answer.announced, Ok(announced()));
    assert_eq!(answer.remote_name.as_deref(), Some("host-1"));
    assert_eq!(answer.local_name.as_deref(), Some("host-2"));
}

fn ipv4_announced_as_ipv6_is_ipv4() {
    let role = Setup::default().start();
    let line = b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443\r\n";
    assert_eq!(ask(&role, line).announced, Ok(announced()));
}

fn a_bad_header_is_refused_with_a_reason() {
    let role = Setup::default().start();
    let long = [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat();
    let mut large = binary(1, 0x11, b"");
    large[14..16].fill(0xff);
    for (bytes, why) in [
        (TLS, "no PROXY header"),
        (b"GET / HTTP/1.0\r\n", "no PROXY header"),
        (&long, "PROXY line too long"),
        (&large, "PROXY header too long"),
        (b"PROXY TCP4 a b c d\r\n", "bad address in PROXY line"),
    ] {
        assert_eq!(ask(&role, bytes).announced, Err(why.into()));
    }
}

fn a_client_that_says_nothing_is_refused_in_time() {
    let setup = Setup {
        header_patience: std::time::Duration::from_millis(200),
        ..Setup::default()
    };
    let role = setup.start();
    for part in [0, 1, 20] {
        let refusal = Err("timed out waiting for PROXY header".into());
        let (mut proxy, client) = connection();
        proxy.write_all(&LINE[..part]).expect("room");
        let answer = role.ask_with(question(), &client);
        assert_eq!(answer.announced, refusal);
    }
}

fn a_client_that_leaves_is_refused() {
    let role = Setup::default().start();
    for (part, why) in [
        (0, "the client left without a PROXY header"),
        (20, "PROXY header cut off"),
    ] {
        let (mut proxy, client) = connection();
        proxy.write_all(&LINE[..part]).expect("room");
        drop(proxy);
        let answer = role.ask_with(question(), &client);
        assert_eq!(answer.announced, Err(why.into()));
    }
}

fn a_question_without_a_socket_is_refused() {
    let role = Setup::default().start();
    let answer = role.ask(question());
    assert_eq!(
        answer.announced,
        Err("no socket came with the question".into())
    );
}
