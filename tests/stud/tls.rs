//! Versions, ciphers, curves and protocols of the application.
#![forbid(unsafe_code)]

use crate::common::keys::leaf;
use crate::common::peers::wait;
use crate::common::{Client, Dial, Kind, LIMIT, Log, Running, Serving, Stud};
use openssl::ssl::SslVersion;
use std::io::Write;
use std::process::{Command, Stdio};

const OLD: SslVersion = SslVersion::TLS1_2;
const NEW: SslVersion = SslVersion::TLS1_3;

fn with(config: &str) -> (Running, Serving) {
    let backend = Serving::echo();
    let stud = Stud::to(backend.address).config(config).start();
    (stud, backend)
}

fn served(dial: Dial) -> Client {
    let mut client = dial.connect();
    client.assert_echoes();
    client
}

fn cipher(dial: Dial) -> String {
    let client = served(dial);
    let cipher = client.tls.ssl().current_cipher().expect("a cipher");
    cipher.name().to_owned()
}

#[test]
fn without_a_word_about_it_tls_1_2_and_1_3_are_spoken() {
    let (stud, _backend) = with("");
    for (version, name) in [(OLD, "TLSv1.2"), (NEW, "TLSv1.3")] {
        let client = served(stud.dial().version(version));
        assert_eq!(client.tls.ssl().version_str(), name);
    }
    let older = stud.dial().version(SslVersion::TLS1_1);
    let older = older.set(|settings| settings.set_security_level(0));
    assert!(older.try_connect().is_err());
}

#[test]
fn one_version_alone_may_be_spoken() {
    for (protos, spoken, other) in [("TLSv1.2", OLD, NEW), ("TLSv1.3", NEW, OLD)] {
        let (stud, _backend) = with(&format!("tls-protos = {protos}"));
        served(stud.dial().version(spoken));
        let error = stud.dial().version(other).try_connect().err();
        assert!(
            error.is_some_and(|error| error.contains("version")),
            "{protos}"
        );
    }
}

#[test]
fn a_frontend_may_speak_another_version_than_the_others() {
    let backend = Serving::echo();
    let block = "frontend = {\n host = \"127.0.0.2\"\n port = \"0\"\n tls-protos = TLSv1.3\n}";
    let stud = Stud::to(backend.address).config(block).start();
    served(Dial::to(stud.addresses[0]).version(OLD));
    served(Dial::to(stud.addresses[1]).version(NEW));
    assert!(
        Dial::to(stud.addresses[1])
            .version(OLD)
            .try_connect()
            .is_err()
    );
}

const AES128: &str = "ECDHE-ECDSA-AES128-GCM-SHA256";
const AES256: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";

#[test]
fn ciphers_are_those_of_the_configuration() {
    let (stud, _backend) = with(&format!(
        "ciphers = \"{AES128}\"\nciphersuites = \"TLS_CHACHA20_POLY1305_SHA256\""
    ));
    assert_eq!(cipher(stud.dial().version(OLD)), AES128);
    assert_eq!(
        cipher(stud.dial().version(NEW)),
        "TLS_CHACHA20_POLY1305_SHA256"
    );
    let other = stud.dial().version(OLD);
    let other = other.set(|settings| settings.set_cipher_list(AES256).expect("a list"));
    assert!(other.try_connect().is_err());
}

#[test]
fn whose_order_of_ciphers_counts_is_configured() {
    for (prefer, expected) in [("off", AES256), ("on", AES128)] {
        let config = format!("ciphers = \"{AES128}:{AES256}\"\nprefer-server-ciphers = {prefer}");
        let (stud, _backend) = with(&config);
        let list = format!("{AES256}:{AES128}");
        let dial = stud.dial().version(OLD);
        let dial = dial.set(|settings| settings.set_cipher_list(&list).expect("a list"));
        assert_eq!(cipher(dial), expected, "{prefer}");
    }
}

#[test]
fn a_bad_list_is_fatal_and_named() {
    for (key, value) in [
        ("ciphers", "NONSENSE"),
        ("ciphersuites", "TLS_NONSENSE"),
        ("ecdh-curve", "nonsense"),
    ] {
        let stud = Stud::to(([127, 0, 0, 1], 9).into()).config(&format!("{key} = \"{value}\""));
        for options in [&[][..], &["-t"]] {
            let outcome = stud.run_with(options);
            assert_eq!(outcome.code(), 1, "{key}: {outcome:?}");
            assert!(outcome.stderr.contains(value), "{key}: {outcome:?}");
        }
    }
    let outcome = Stud::to(([127, 0, 0, 1], 9).into()).run_with(&["-c", "NONSENSE"]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
}

#[test]
fn curves_are_those_of_the_configuration() {
    let backend = Serving::echo();
    // A certificate for ECDSA would need its own curve among those of the client.
    let stud = Stud::without_pem(backend.address)
        .pem("rsa.pem", leaf(Kind::Rsa2048))
        .config("ecdh-curve = \"P-384\"")
        .start();
    for version in [OLD, NEW] {
        let dial = stud.dial().version(version);
        served(dial.set(|settings| settings.set_groups_list("P-384").expect("a list")));
        let dial = stud.dial().version(version);
        let dial = dial.set(|settings| settings.set_groups_list("X25519").expect("a list"));
        assert!(dial.try_connect().is_err());
    }
}

fn offering(stud: &Running, version: SslVersion, protocols: &'static [u8]) -> Dial {
    stud.dial().version(version).set(|settings| {
        settings.set_alpn_protos(protocols).expect("protocols");
    })
}

#[test]
fn the_first_protocol_of_ours_that_the_client_offers_is_chosen() {
    let (stud, _backend) = with("alpn-protos = \"h2, http/1.1\"");
    for version in [OLD, NEW] {
        for (offer, chosen) in [
            (&b"\x08http/1.1\x02h2"[..], &b"h2"[..]),
            (b"\x08http/1.1", b"http/1.1"),
            (b"\x03foo\x08http/1.1", b"http/1.1"),
        ] {
            let client = served(offering(&stud, version, offer));
            assert_eq!(client.tls.ssl().selected_alpn_protocol(), Some(chosen));
        }
        let client = served(stud.dial().version(version));
        assert_eq!(client.tls.ssl().selected_alpn_protocol(), None);
    }
}

#[test]
fn a_client_whose_protocols_are_all_unknown_is_told_so_during_the_handshake() {
    let (stud, backend) = with("alpn-protos = \"h2,http/1.1\"");
    for version in [OLD, NEW] {
        let error = offering(&stud, version, b"\x03foo").try_connect().err();
        let error = error.expect("a refusal");
        assert!(error.contains("no application protocol"), "{error}");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn without_protocols_of_ours_an_offer_is_passed_over() {
    let (stud, _backend) = with("");
    let client = served(offering(&stud, NEW, b"\x02h2"));
    assert_eq!(client.tls.ssl().selected_alpn_protocol(), None);
}

#[test]
fn what_is_no_tls_reaches_no_backend() {
    let (stud, backend) = with("");
    for nonsense in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        &[0x80; 64],
        b"\x16\x03\x01\x00\x00",
    ] {
        let mut plain = stud.dial().plain();
        plain.send(nonsense);
        // It may have hung up already.
        let _ = plain.tcp.shutdown(std::net::Shutdown::Write);
        plain.rest();
    }
    assert_eq!(backend.count(), 0);
    served(stud.dial());
}

#[test]
fn a_client_cannot_have_a_second_handshake() {
    let (stud, _backend) = with("");
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-tls1_2",
        "-connect",
        &stud.address().to_string(),
    ]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut client = command.spawn().expect("s_client");
    let said = Log::collect(client.stderr.take().expect("piped"));
    let shown = Log::collect(client.stdout.take().expect("piped"));
    let mut input = client.stdin.take().expect("piped");
    input.write_all(b"hello\n").expect("sending");
    shown.wait_for("hello");
    // A line of one R is s_client's command to ask for another handshake.
    input.write_all(b"R\n").expect("sending");
    said.wait_for("*no renegotiation*");
    drop(input);
    assert!(wait(&mut client, LIMIT).is_some());
}
