//! Client certificates in the client's own name (`-z`).
#![forbid(unsafe_code)]

use crate::common::keys::{Pair, authority, of_client};
use crate::common::{Dial, Server};
use crate::{CLIENT, DEEP, LIAR, NOBODY, OTHER, asking, dnsmasq};
use openssl::pkey::PKey;
use openssl::x509::X509;
use std::io::Read;

fn with(dial: Dial, pair: &Pair) -> Dial {
    let certificate = X509::from_pem(pair.certificate.as_bytes()).expect("a certificate");
    let key = PKey::private_key_from_pem(pair.key.as_bytes()).expect("a key");
    dial.set(|settings| {
        settings.set_certificate(&certificate).expect("a setting");
        settings.set_private_key(&key).expect("a setting");
    })
}

/// Whether the application answered. With TLS 1.3 a client is refused after its own handshake.
fn is_served(server: &Server, source: &str, pair: &Pair) -> bool {
    let dial = with(server.dial().from(source), pair);
    let Ok(mut client) = dial.try_connect() else {
        return false;
    };
    let mut said = Vec::new();
    let _ = client.tls.read_to_end(&mut said);
    said == b"served\n"
}

#[test]
fn a_certificate_counts_only_for_the_name_that_the_client_has() {
    let Some(dns) = dnsmasq() else { return };
    let setup = asking(dns.address).options(&["-z"]).shell("echo served");
    let setup = setup.file("CAFILE", "ca.pem", &authority().certificate);
    let server = setup.start();
    let exact = of_client("DNS:other.test,DNS:Client.Example.org");
    let wildcard = of_client("DNS:*.example.org");
    let address = of_client("IP:127.0.0.6,DNS:nobody.test");
    for (source, pair, expected) in [
        (CLIENT, &exact, true),
        (CLIENT, &wildcard, true),
        (CLIENT, &address, false),
        (OTHER, &exact, false),
        (OTHER, &wildcard, true),
        // A wildcard covers one label.
        (DEEP, &wildcard, false),
        // No name: nothing to compare with but the address.
        (NOBODY, &exact, false),
        (NOBODY, &wildcard, false),
        (NOBODY, &address, true),
    ] {
        assert_eq!(is_served(&server, source, pair), expected, "{source}");
    }
    let refused = "sslserver: error: (110) client hostname does not match certificate";
    server
        .log
        .wait_for(&format!("{refused}*other.example.org <=> other.test"));
    server.log.wait_for_nth("sslserver: ended by *", 4);
    assert_eq!(server.log.count("sslserver: ok *"), 4);
}

#[test]
fn under_p_a_stolen_name_fits_no_certificate() {
    let Some(dns) = dnsmasq() else { return };
    let pair = of_client("DNS:client.example.org");
    for (option, expected) in [("-P", true), ("-p", false)] {
        let setup = asking(dns.address).options(&["-z", option]);
        let setup = setup.file("CAFILE", "ca.pem", &authority().certificate);
        let server = setup.shell("echo served").start();
        assert!(is_served(&server, CLIENT, &pair), "{option}");
        assert_eq!(is_served(&server, LIAR, &pair), expected, "{option}");
    }
}
