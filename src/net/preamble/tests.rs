use std::io::Write;
use std::process::{Command, Stdio};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use proptest::prelude::*;

use super::*;
use crate::net::proxy_header::{Announced, Parser};

fn ends(client: &str, local: &str) -> Ends {
    Ends::new(client.parse().unwrap(), local.parse().unwrap())
}

fn four() -> Ends {
    ends("192.0.2.1:56324", "198.51.100.2:443")
}

fn six() -> Ends {
    ends("[2001:db8::1]:56324", "[2001:db8::2]:443")
}

fn hello() -> Session<'static> {
    Session {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        client: Client::Unknown,
    }
}

/// What a reader of such headers makes of one.
fn read(header: &[u8]) -> Announced {
    let (taken, announced) = Parser::default().take(header).unwrap();
    assert_eq!(taken, header.len());
    announced.unwrap()
}

#[test]
fn an_address_alone_follows_the_number_of_its_family() {
    assert_eq!(
        ends("127.0.0.1:1", "127.0.0.1:2").address(),
        [2, 127, 0, 0, 1]
    );
    let mut expected = vec![10];
    expected.extend([0; 15]);
    expected.push(1);
    assert_eq!(ends("[::1]:1", "[::1]:2").address(), expected);
}

#[test]
fn a_line_has_both_addresses_and_then_both_ports() {
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
    assert_eq!(four().line(), line);
    let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n";
    assert_eq!(six().line(), line);
}

#[test]
fn ipv4_in_the_clothing_of_ipv6_is_announced_as_ipv4_in_every_form() {
    let mapped = ends("[::ffff:192.0.2.1]:56324", "[::ffff:198.51.100.2]:443");
    assert_eq!(mapped, four());
    assert_eq!(mapped.address(), [2, 192, 0, 2, 1]);
}

#[test]
fn ends_of_two_families_are_told_in_the_larger_one() {
    let mixed = ends("192.0.2.1:1", "[2001:db8::2]:443");
    assert_eq!(
        mixed.line(),
        b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 443\r\n"
    );
}

#[test]
fn a_bare_header_of_version_2_is_addresses_and_ports() {
    let header = four().binary(&Facts::default());
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    expected.extend([192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb]);
    assert_eq!(header, expected);
    let header = six().binary(&Facts::default());
    assert_eq!(&header[12..16], b"\x21\x21\0\x24");
    assert_eq!(header.len(), 16 + 36);
}

#[test]
fn extensions_stand_in_the_order_that_hitch_gives_them() {
    let facts = Facts {
        alpn: Some(b"h2"),
        authority: Some(b"a.example"),
        certificate: None,
        session: Some(hello()),
    };
    let header = four().binary(&facts);
    assert_eq!(header[14..16], [0x00, 0x48]);
    let mut expected = b"\x01\0\x02h2\x02\0\x09a.example\x20\0\x28\x01\0\0\0\x01".to_vec();
    expected.extend(b"\x21\0\x07TLSv1.3\x23\0\x16TLS_AES_256_GCM_SHA384");
    assert_eq!(header[28..], expected);
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let with = four().binary(&Facts {
        certificate: Some(pem),
        ..facts
    });
    let place = 28 + 5 + 12;
    assert_eq!(with[place..place + 3], [0xe0, 0, pem.len() as u8 + 16]);
    assert_eq!(with[place + 3 + pem.len() + 16..], header[place..]);
}

#[test]
fn the_verdict_tells_apart_no_certificate_a_good_one_and_a_bad_one() {
    for (client, expected) in [
        (Client::Unknown, [0x01, 0, 0, 0, 1]),
        (Client::Shown(0), [0x07, 0, 0, 0, 0]),
        (Client::Shown(10), [0x07, 0, 0, 0, 10]),
        (Client::Resumed(0), [0x05, 0, 0, 0, 0]),
    ] {
        let session = Some(Session { client, ..hello() });
        let facts = Facts {
            session,
            ..Facts::default()
        };
        let header = four().binary(&facts);
        assert_eq!(header[31..36], expected, "{client:?}");
    }
}

#[test]
fn the_certificate_is_what_openssl_writes_as_a_trusted_one() {
    let key = PKey::generate_ed25519().unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_pubkey(&key).unwrap();
    let today = Asn1Time::days_from_now(0).unwrap();
    builder.set_not_before(&today).unwrap();
    builder.set_not_after(&today).unwrap();
    builder.sign(&key, MessageDigest::null()).unwrap();
    let pem = builder.build().to_pem().unwrap();
    let mut openssl = Command::new("openssl")
        .args(["x509", "-trustout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(&pem).unwrap();
    let expected = openssl.wait_with_output().unwrap().stdout;
    assert_eq!(expected.len(), pem.len() + 16);
    let text = as_trusted(std::str::from_utf8(&pem).unwrap());
    assert_eq!(text.as_bytes(), expected);
}

#[test]
fn a_certificate_that_does_not_fit_is_left_away_and_the_rest_stays() {
    let facts = Facts {
        alpn: Some(b"h2"),
        session: Some(hello()),
        ..Facts::default()
    };
    let without = four().binary(&facts);
    let most = MOST - (without.len() - 16) - EXTENSION;
    for (length, fits) in [(most, true), (most + 1, false), (200_000, false)] {
        let long = "x".repeat(length);
        let certificate = Some(long.as_str());
        let header = four().binary(&Facts {
            certificate,
            ..facts
        });
        match fits {
            true => assert_eq!(header.len(), 16 + MOST),
            false => assert_eq!(header, without),
        }
    }
}

proptest! {
    #[test]
    fn every_header_is_understood_by_the_reader_of_such_headers(
        client: [u8; 16], local: [u8; 16], four: bool, from: u16, to: u16,
        alpn in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..255)),
    ) {
        let address = |bytes: [u8; 16], port| match four {
            true => SocketAddr::from(([bytes[0], bytes[1], bytes[2], bytes[3]], port)),
            false => SocketAddr::from((bytes, port)),
        };
        let (remote, local) = (address(client, from), address(local, to));
        let facts = Facts { alpn: alpn.as_deref(), session: Some(hello()), ..Facts::default() };
        let ends = Ends::new(remote, local);
        let expected = Announced::Ends { remote, local };
        prop_assert_eq!(read(&ends.line()), expected);
        prop_assert_eq!(read(&ends.binary(&facts)), expected);
    }
}
