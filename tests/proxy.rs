//! Clients that come through a proxy, which announces them by a PROXY header (PROXYFROM).
#![forbid(unsafe_code)]

mod common;
#[path = "proxy/haproxy.rs"]
mod haproxy;
#[path = "proxy/headers.rs"]
mod headers;
#[path = "proxy/identity.rs"]
mod identity;
#[path = "proxy/refused.rs"]
mod refused;

use common::{Client, Server, Setup};
use std::io::{Read, Write};
use std::net::TcpStream;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";

/// Where the proxy of the tests is.
const PROXY: &str = "127.0.0.1";

/// Tells the application's environment.
const ENVIRONMENT: &[&str] = &["cat", "/proc/self/environ"];

/// An application for `-n`: greets, waits for a line, asks for TLS and echoes.
const STARTTLS: &str = "echo $SSLREMOTEIP; read line && echo go && printf y >&$SSLCTLFD && \
                        exec cat <&$SSLREADFD >&$SSLWRITEFD";

fn setup() -> Setup {
    Setup::new()
        .env("PROXYFROM", PROXY)
        .options(&["-l", "0"])
        .program(ENVIRONMENT)
}

/// A header of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let length = u16::try_from(rest.len()).expect("a short rest");
    header.extend([0x20 | command, family]);
    header.extend(length.to_be_bytes());
    header.extend(rest);
    header
}

/// The same as [`LINE`], and extensions.
fn binary_four() -> Vec<u8> {
    let addresses = b"\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb";
    let extensions = b"\x02\x00\x04host\x04\x00\x00\xea\x00\x03abc";
    binary(1, 0x11, &[&addresses[..], extensions].concat())
}

fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.2 56324 443\r\n").into_bytes()
}

/// The client that a header announces.
fn announced(server: &Server, header: &[u8]) -> Client {
    try_announced(server, header).unwrap_or_else(|error| panic!("handshake: {error}"))
}

fn try_announced(server: &Server, header: &[u8]) -> Result<Client, String> {
    let mut tcp = server.dial().tcp();
    tcp.write_all(header).expect("room");
    server.dial().try_over(tcp)
}

/// A line, and not a byte more.
fn plain_line(mut tcp: &TcpStream) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        tcp.read_exact(&mut byte).expect("a line");
        line.extend(byte);
    }
    String::from_utf8(line).expect("text")
}
