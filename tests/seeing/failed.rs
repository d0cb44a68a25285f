//! Handshakes that fail, by why.

use std::io::{Read, Write};

use nix::sys::signal::Signal;
use openssl::ssl::{SslVerifyMode, SslVersion};

use crate::assert_counted;
use crate::common::keys::authority;
use crate::common::{Dial, Server, Setup, session};
use crate::reset;

/// Both versions end differently: the server of TLS 1.3 is asked nothing after its Finished.
const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

fn assert_failed(server: &Server, clients: u64, why: &str) {
    assert_counted(server, &[("connections accepted", clients), (why, clients)]);
}

/// A client of each version that does not get further.
fn both_fail(setup: Setup, change: impl Fn(Dial) -> Dial, why: &str) {
    let server = setup.start();
    for version in VERSIONS {
        // A client of TLS 1.3 may be done before the server has looked at what it sent.
        if let Ok(mut client) = change(server.dial().version(version)).try_connect() {
            let _ = client.tls.read(&mut [0; 1]);
        }
    }
    assert_failed(&server, 2, why);
}

#[test]
fn a_client_that_says_nothing_is_counted_when_its_time_is_over() {
    let server = Setup::new().options(&["-T", "1"]).start();
    let client = server.dial().tcp();
    assert_failed(&server, 1, "failed timed_out");
    drop(client);
}

#[test]
fn a_client_that_leaves_is_counted_however_it_does() {
    let server = Setup::new().start();
    drop(server.dial().tcp());
    assert_failed(&server, 1, "failed client_left");
    let mut half = server.dial().tcp();
    half.write_all(&[22, 3, 1]).expect("room");
    drop(half);
    assert_failed(&server, 2, "failed client_left");
    let mut reset = server.dial().plain();
    reset.send(&[22, 3, 1]);
    assert_counted(
        &server,
        &[
            ("connections accepted", 3),
            ("connections unfinished", 1),
            ("failed client_left", 2),
        ],
    );
    reset.reset();
    assert_failed(&server, 3, "failed client_left");
}

#[test]
fn what_is_no_tls_is_counted_as_that() {
    let server = Setup::new().start();
    for (number, words) in ["GET / HTTP/1.0\r\n\r\n", "EHLO client.example\r\n"]
        .iter()
        .enumerate()
    {
        let mut tcp = server.dial().tcp();
        tcp.write_all(words.as_bytes()).expect("room");
        let _ = tcp.read_to_end(&mut Vec::new());
        assert_failed(&server, number as u64 + 1, "failed not_tls");
    }
}

#[test]
fn versions_and_ciphers_that_do_not_meet_are_counted_together() {
    let setup = Setup::new().env("TLSMIN", "1.3");
    let old = |dial: Dial| dial.version(SslVersion::TLS1_2);
    both_fail(setup, old, "failed no_agreement");
    let setup = Setup::new()
        .env("CIPHERS", "ECDHE-ECDSA-AES256-GCM-SHA384")
        .env("CIPHERSUITES", "TLS_AES_256_GCM_SHA384");
    let other = |dial: Dial| {
        dial.set(|settings| {
            settings
                .set_cipher_list("ECDHE-ECDSA-AES128-GCM-SHA256")
                .expect("ciphers");
            settings
                .set_ciphersuites("TLS_AES_128_GCM_SHA256")
                .expect("suites");
        })
    };
    both_fail(setup, other, "failed no_agreement");
    let setup = Setup::new().env("GROUPS", "P-256");
    let other =
        |dial: Dial| dial.set(|settings| settings.set_groups_list("P-384").expect("groups"));
    both_fail(setup, other, "failed no_agreement");
}

#[test]
fn protocols_and_names_that_nobody_has_are_counted() {
    let smtp = |dial: Dial| {
        dial.set(|settings| settings.set_alpn_protos(b"\x04smtp").expect("a protocol"))
    };
    both_fail(Setup::new().env("ALPN", "imap"), smtp, "failed no_alpn");
    let setup = Setup::new().env("SNI_STRICT", "1");
    let unknown = |dial: Dial| dial.name("unknown.example");
    both_fail(setup, unknown, "failed unknown_name");
}

#[test]
fn a_client_without_a_good_certificate_is_counted() {
    let asking = |option| {
        let certificate = &authority().certificate;
        let setup = Setup::new().options(&[option]);
        setup.file("CAFILE", "ca.pem", certificate)
    };
    both_fail(asking("-m"), |dial| dial, "failed client_certificate");
    let stranger = crate::common::keys::root("/CN=stranger");
    let shown = |dial| crate::common::showing(dial, &stranger, &[]);
    both_fail(asking("-m"), shown, "failed client_certificate");
    let joe = crate::common::keys::Order::new("/CN=joe.example", "extendedKeyUsage=clientAuth");
    let joe = joe.signed_by(authority());
    let shown = |dial| crate::common::showing(dial, &joe, &[]);
    both_fail(asking("-z"), shown, "failed client_certificate");
}

#[test]
fn a_client_that_does_not_trust_the_server_is_counted() {
    let wary = |dial: Dial| dial.set(|settings| settings.set_verify(SslVerifyMode::PEER));
    both_fail(Setup::new(), wary, "failed refused_by_client");
}

#[test]
fn a_client_that_does_not_wait_for_a_place_is_counted_as_that() {
    let server = Setup::new().options(&["-c", "1"]).start();
    // While all places are taken nobody is let in.
    let second = server.dial().plain();
    let accepted = ("connections accepted", 1);
    assert_counted(&server, &[accepted, ("connections unfinished", 1)]);
    let mut first = server.connect();
    first.assert_echoes();
    let second = second.tls();
    let both = [
        ("applications started", 1),
        ("connections accepted", 2),
        ("connections running", 1),
        ("handshakes TLSv1.3", 2),
    ];
    let waiting = [&both[..], &[("connections unfinished", 1)]].concat();
    assert_counted(&server, &waiting);
    reset(second);
    let failed = [&both[..], &[("failed no_place", 1)]].concat();
    assert_counted(&server, &failed);
}

#[test]
fn sessions_that_say_nothing_are_counted_as_something_else() {
    let server = Setup::new().options(&["-T", "1"]).start();
    for (number, signal) in [Signal::SIGKILL, Signal::SIGSTOP].into_iter().enumerate() {
        let client = server.dial().tcp();
        server.wait_for_sessions(1);
        for session in server.roles(session()) {
            session.send(signal);
        }
        assert_failed(&server, number as u64 + 1, "failed other");
        drop(client);
    }
}
