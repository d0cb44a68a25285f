//! What a header says counts, in whatever pieces it comes.
#![forbid(unsafe_code)]

use crate::common::Server;
use crate::{ENVIRONMENT, LINE, PROXY, announced, binary, binary_four, setup};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

type Environment = BTreeMap<String, String>;

fn assert_announced(environment: &Environment) {
    for (name, value) in [
        ("PROTO", "TCP"),
        ("SSLREMOTEIP", "192.0.2.1"),
        ("SSLREMOTEPORT", "56324"),
        ("SSLLOCALIP", "198.51.100.2"),
        ("SSLLOCALPORT", "443"),
        ("TCPREMOTEIP", "192.0.2.1"),
        ("TCPREMOTEPORT", "56324"),
        ("TCPLOCALIP", "198.51.100.2"),
        ("TCPLOCALPORT", "443"),
        ("SSLPROXYIP", PROXY),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
}

/// The header in these pieces, each in a segment of its own, and TLS after it.
fn in_pieces<'a>(server: &Server, pieces: impl IntoIterator<Item = &'a [u8]>) -> Environment {
    let mut tcp = server.dial().tcp();
    for piece in pieces {
        tcp.write_all(piece).expect("room");
    }
    server.dial().over(tcp).environment()
}

#[test]
fn a_header_of_either_version_may_be_split_anywhere() {
    let server = setup().start();
    for header in [LINE.to_vec(), binary_four()] {
        for split in 0..=header.len() {
            let (head, tail) = header.split_at(split);
            assert_announced(&in_pieces(&server, [head, tail]));
        }
        assert_announced(&in_pieces(&server, header.chunks(1)));
    }
    assert_eq!(server.log.count("sslserver: error: *"), 0);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn the_announced_addresses_are_in_the_log() {
    let server = setup().start();
    announced(&server, LINE).text();
    server.log.wait_for("sslserver: pid * from 192.0.2.1");
    let line = "sslserver: ok * 0:198.51.100.2:443 :192.0.2.1::56324";
    server.log.wait_for(line);
    assert_eq!(server.log.count("*127.0.0.1*"), 0);
}

/// Takes what TLS writes, and has nothing to read.
#[derive(Default)]
struct Sink(Vec<u8>);

impl Read for Sink {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn tls_may_follow_in_the_same_segment() {
    let context = SslContext::builder(SslMethod::tls_client()).expect("an SSL_CTX");
    let ssl = Ssl::new(&context.build()).expect("an SSL");
    let mut tls = SslStream::new(ssl, Sink::default()).expect("an SSL stream");
    assert!(tls.connect().is_err(), "there is nobody yet");
    let hello = tls.get_ref().0.clone();
    assert!(hello.len() > 100);
    let server = setup().start();
    for header in [LINE.to_vec(), binary_four()] {
        let mut tcp = server.dial().tcp();
        tcp.write_all(&[&header[..], &hello].concat())
            .expect("room");
        let mut record = [0; 6];
        tcp.read_exact(&mut record).expect("a record");
        // A handshake record, and in it the server's hello.
        assert_eq!((record[0], record[5]), (22, 2));
    }
}

#[test]
fn a_header_without_addresses_leaves_those_of_the_connection() {
    let server = setup().start();
    for header in [
        binary(0, 0, b""),
        binary(0, 0x11, b"anything"),
        binary(1, 0, b""),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n".to_vec(),
    ] {
        let client = announced(&server, &header);
        let port = client.local().port().to_string();
        let environment = client.environment();
        assert_eq!(environment["SSLREMOTEIP"], PROXY);
        assert_eq!(environment["SSLREMOTEPORT"], port);
        assert_eq!(environment["SSLLOCALPORT"], server.port().to_string());
        assert_eq!(environment.get("SSLPROXYIP"), None);
    }
}

#[test]
fn an_ipv6_client_of_an_ipv4_connection_is_ipv6() {
    let server = setup().start();
    let mut rest = Vec::new();
    for ip in ["2001:db8::1", "2001:db8::2"] {
        let ip: std::net::Ipv6Addr = ip.parse().expect("an address");
        rest.extend(ip.octets());
    }
    rest.extend(b"\xdc\x04\x01\xbb");
    let line = b"PROXY TCP6 2001:db8::1 2001:DB8:0::2 56324 443\r\n";
    for header in [line.to_vec(), binary(1, 0x21, &rest)] {
        let environment = announced(&server, &header).environment();
        assert_eq!(environment["PROTO"], "TCP6");
        for family in ["SSL", "TCP", "TCP6"] {
            assert_eq!(environment[&format!("{family}REMOTEIP")], "2001:db8::1");
            assert_eq!(environment[&format!("{family}LOCALIP")], "2001:db8::2");
            assert_eq!(environment[&format!("{family}REMOTEPORT")], "56324");
        }
        assert_eq!(environment["SSLPROXYIP"], PROXY);
    }
}

#[test]
fn ipv4_announced_as_ipv6_is_ipv4() {
    let server = setup().start();
    let mut rest = Vec::new();
    for ip in [[192, 0, 2, 1], [198, 51, 100, 2]] {
        rest.extend([0; 10]);
        rest.extend([0xff; 2]);
        rest.extend(ip);
    }
    rest.extend(b"\xdc\x04\x01\xbb");
    let line = b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443\r\n";
    for header in [line.to_vec(), binary(1, 0x21, &rest)] {
        let environment = announced(&server, &header).environment();
        assert_announced(&environment);
        assert!(!environment.contains_key("TCP6REMOTEIP"));
    }
}

#[test]
fn a_proxy_on_a_dual_stack_socket_is_known_by_its_ipv4_address() {
    let server = setup().host(":0").program(ENVIRONMENT).start();
    let address = (std::net::Ipv4Addr::LOCALHOST, server.port()).into();
    let mut tcp = crate::common::Dial::to(address).tcp();
    tcp.write_all(LINE).expect("room");
    assert_announced(&server.dial().over(tcp).environment());
}
