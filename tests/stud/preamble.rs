//! What a backend is told before the client's first byte, byte for byte.
#![forbid(unsafe_code)]

use crate::common::daemon::free;
use crate::common::{Accepted, Backend, Client, Dial, Running, Stud};
use crate::header::{Header, tls_part};
use openssl::ssl::SslVersion;
use std::net::SocketAddr;

fn start(config: &str) -> (Running, Backend) {
    let backend = Backend::new();
    let stud = Stud::to(backend.address).config(config).start();
    (stud, backend)
}

/// Serves on this address of IPv6 alone.
fn start_six(host: &str, config: &str) -> (Running, Backend) {
    let backend = Backend::new();
    let stud = Stud::to(backend.address).config(config);
    (stud.start_six(host), backend)
}

/// Both ends of a connection from 127.0.0.5 to 127.0.0.1.
fn from_four(stud: &Running, backend: &Backend) -> (Client, Accepted) {
    let client = stud.dial().from("127.0.0.5").connect();
    (client, backend.accept())
}

/// One to the IPv6 frontend's port by way of IPv4.
fn mapped(stud: &Running, backend: &Backend) -> (Client, Accepted) {
    let target = SocketAddr::from(([127, 0, 0, 1], stud.address().port()));
    let client = Dial::to(target).from("127.0.0.5").connect();
    (client, backend.accept())
}

fn assert_data_follows(client: &mut Client, accepted: &mut Accepted) {
    client.send(b"and data");
    assert_eq!(accepted.receive(8), b"and data");
}

#[test]
fn write_ip_tells_the_family_and_the_address() {
    let (stud, backend) = start("write-ip = on");
    let (mut client, mut accepted) = from_four(&stud, &backend);
    assert_eq!(accepted.receive(5), [2, 127, 0, 0, 5]);
    assert_data_follows(&mut client, &mut accepted);

    let (stud, backend) = start_six("::1", "write-ip = on");
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    let mut expected = [0; 17];
    (expected[0], expected[16]) = (10, 1);
    assert_eq!(accepted.receive(17), expected);
    assert_data_follows(&mut client, &mut accepted);
}

#[test]
fn an_ipv4_client_of_an_ipv6_listener_is_announced_as_one_of_ipv4() {
    let (stud, backend) = start_six("::", "write-ip = on");
    let (mut client, mut accepted) = mapped(&stud, &backend);
    assert_eq!(accepted.receive(5), [2, 127, 0, 0, 5]);
    assert_data_follows(&mut client, &mut accepted);

    let (stud, backend) = start_six("::", "write-proxy-v1 = on");
    let (client, mut accepted) = mapped(&stud, &backend);
    let (from, to) = (client.local().port(), stud.address().port());
    let line = format!("PROXY TCP4 127.0.0.5 127.0.0.1 {from} {to}\r");
    assert_eq!(accepted.line(), line);

    let (stud, backend) = start_six("::", "write-proxy-v2 = on");
    let (client, mut accepted) = mapped(&stud, &backend);
    let header = Header::read(&mut accepted);
    assert_eq!(header.family, 0x11);
    assert_eq!(header.addresses, four(&client, &stud));
}

/// The addresses of a connection from 127.0.0.5 to 127.0.0.1 in version 2.
fn four(client: &Client, stud: &Running) -> Vec<u8> {
    let mut addresses = vec![127, 0, 0, 5, 127, 0, 0, 1];
    addresses.extend(client.local().port().to_be_bytes());
    addresses.extend(stud.address().port().to_be_bytes());
    addresses
}

#[test]
fn the_line_of_proxy_version_1_has_the_addresses_of_the_accepted_socket() {
    for key in ["write-proxy-v1", "write-proxy"] {
        let (stud, backend) = start(&format!("{key} = on"));
        let (mut client, mut accepted) = from_four(&stud, &backend);
        let ports = (client.local().port(), stud.address().port());
        let line = format!("PROXY TCP4 127.0.0.5 127.0.0.1 {} {}\r", ports.0, ports.1);
        assert_eq!(accepted.line(), line, "{key}");
        assert_data_follows(&mut client, &mut accepted);
    }
}

#[test]
fn the_line_has_the_real_address_where_any_address_is_listened_on() {
    let backend = Backend::new();
    // Free for both families.
    let port = free("::").port();
    let stud = Stud::to(backend.address)
        .frontend(&format!("[*]:{port}"))
        .options(&["--write-proxy"])
        .start();
    for (host, word) in [
        ("127.0.0.1", "TCP4"),
        ("::1", "TCP6"),
        ("127.0.0.2", "TCP4"),
    ] {
        let target = SocketAddr::new(host.parse().expect("an address"), port);
        let client = Dial::to(target).connect();
        let from = client.local();
        let line = format!("PROXY {word} {} {host} {} {port}\r", from.ip(), from.port());
        assert_eq!(backend.accept().line(), line);
    }
    drop(stud);
}

#[test]
fn the_header_of_version_2_has_protocol_name_and_the_facts_of_tls_in_this_order() {
    for (version, text, cipher) in [
        (SslVersion::TLS1_3, "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (
            SslVersion::TLS1_2,
            "TLSv1.2",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    ] {
        let config = "write-proxy-v2 = on\nalpn-protos = \"h2,http/1.1\"";
        let (stud, backend) = start(config);
        let client = stud
            .dial()
            .version(version)
            .from("127.0.0.5")
            .name("a.example");
        let mut client = client
            .set(|settings| {
                settings
                    .set_alpn_protos(b"\x08http/1.1\x02h2")
                    .expect("protocols");
                settings
                    .set_cipher_list("ECDHE-ECDSA-AES128-GCM-SHA256")
                    .expect("a cipher");
            })
            .connect();
        let mut accepted = backend.accept();
        let header = Header::read(&mut accepted);
        assert_eq!(header.family, 0x11);
        assert_eq!(header.addresses, four(&client, &stud));
        let expected = [
            (1, b"h2".to_vec()),
            (2, b"a.example".to_vec()),
            (0x20, tls_part(0x01, 1, text, cipher)),
        ];
        assert_eq!(header.extensions, expected, "{text}");
        assert_data_follows(&mut client, &mut accepted);
    }
}

#[test]
fn the_header_of_version_2_tells_addresses_of_ipv6() {
    let (stud, backend) = start_six("::1", "write-proxy-v2 = on\nproxy-tlv = off");
    let client = stud.connect();
    let header = Header::read(&mut backend.accept());
    let mut addresses = [[0; 15].as_slice(), &[1], &[0; 15], &[1]].concat();
    addresses.extend(client.local().port().to_be_bytes());
    addresses.extend(stud.address().port().to_be_bytes());
    assert_eq!((header.family, header.addresses), (0x21, addresses));
    assert_eq!(header.extensions, []);
}

#[test]
fn name_and_facts_of_tls_can_be_left_out_of_version_2() {
    for (config, types) in [
        ("", &[2, 0x20][..]),
        ("proxy-tlv = off", &[2]),
        ("proxy-authority = off", &[0x20]),
        ("proxy-tlv = off\nproxy-authority = off", &[]),
    ] {
        let (stud, backend) = start(&format!("write-proxy-v2 = on\n{config}"));
        let _client = stud.dial().name("localhost").connect();
        let header = Header::read(&mut backend.accept());
        let found: Vec<u8> = header.extensions.iter().map(|part| part.0).collect();
        assert_eq!(found, types, "{config}");
    }
}
