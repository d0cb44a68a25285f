//! Backends that nobody here wrote read what ours writes.
#![forbid(unsafe_code)]

use crate::common::daemon::{Daemon, free};
use crate::common::{Dial, End, Ending, Stud, TempDir};
use std::net::SocketAddr;

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";

/// Answers with client, its port, own address, own port, and the name from the header.
fn haproxy(dir: &TempDir, address: SocketAddr) -> Option<Daemon> {
    let words = "%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority]";
    Daemon::haproxy(
        dir,
        address,
        &format!(
            "frontend web\n mode http\n bind {address} accept-proxy\n \
             http-request return status 200 content-type text/plain lf-string \"{words}\"\n"
        ),
    )
}

fn nginx(dir: &TempDir, address: SocketAddr) -> Option<Daemon> {
    let words = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr \
                 $proxy_protocol_server_port ";
    Daemon::nginx(
        dir,
        address,
        &format!(
            "http {{ access_log off; server {{ listen {address} proxy_protocol; \
             location / {{ default_type text/plain; return 200 \"{words}\"; }} }} }}"
        ),
    )
}

/// The last line of the answer.
fn answer(dial: Dial) -> (SocketAddr, String) {
    let mut client = dial.connect();
    let local = client.local();
    let (bytes, end) = client.exchange(REQUEST, Ending::Nothing);
    let text = String::from_utf8(bytes).expect("text");
    assert!(
        text.starts_with("HTTP/1.") && end == End::Clean,
        "{end:?} {text}"
    );
    (
        local,
        text.lines().last().unwrap_or_default().trim().to_owned(),
    )
}

#[test]
fn haproxy_and_nginx_know_the_client_from_either_version() {
    assert_both_know(|stud| {
        let stud = stud.start();
        let (local, told) = answer(stud.dial().from("127.0.0.5"));
        let port = stud.address().port();
        (told, format!("127.0.0.5 {} 127.0.0.1 {port}", local.port()))
    });
}

#[test]
fn haproxy_and_nginx_know_a_client_of_ipv6_from_either_version() {
    assert_both_know(|stud| {
        let stud = stud.start_six("::1");
        let (local, told) = answer(stud.dial());
        let port = stud.address().port();
        (told, format!("::1 {} ::1 {port}", local.port()))
    });
}

/// What both backends answer through a stud with either header is what the client should be told.
fn assert_both_know(told_and_expected: impl Fn(Stud) -> (String, String)) {
    for server in [haproxy, nginx] {
        let dir = TempDir::new();
        let address = free("127.0.0.1");
        let Some(_server) = server(&dir, address) else {
            return;
        };
        for option in ["--write-proxy-v1", "--write-proxy-v2"] {
            let (told, expected) = told_and_expected(Stud::to(address).options(&[option]));
            assert_eq!(told, expected, "{option}");
        }
    }
}

#[test]
fn haproxy_knows_the_name_from_version_2() {
    let dir = TempDir::new();
    let address = free("127.0.0.1");
    let Some(_server) = haproxy(&dir, address) else {
        return;
    };
    let stud = Stud::to(address).options(&["--write-proxy-v2"]).start();
    let (_, told) = answer(stud.dial().name("www.example.org"));
    assert!(told.ends_with(" www.example.org"), "{told}");
}

#[test]
fn a_header_that_comes_through_two_proxies_is_the_first_ones() {
    let dir = TempDir::new();
    let (front, back) = (free("127.0.0.1"), free("127.0.0.1"));
    let stud = Stud::to(back).options(&["--proxy-proxy"]).start();
    for how in ["send-proxy", "send-proxy-v2"] {
        let target = stud.address();
        let section = format!("listen tls\n mode tcp\n bind {front}\n server s {target} {how}\n");
        let (Some(_back), Some(_front)) =
            (haproxy(&dir, back), Daemon::haproxy(&dir, front, &section))
        else {
            return;
        };
        let (local, told) = answer(Dial::to(front).from("127.0.0.5"));
        let expected = format!("127.0.0.5 {} 127.0.0.1 {}", local.port(), front.port());
        assert_eq!(told, expected, "{how}");
    }
}
