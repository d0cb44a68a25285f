//! Clients who come too often or do not finish their handshakes: they get what is theirs and no more, and the others are
//! served meanwhile.
#![forbid(unsafe_code)]

mod common;
#[path = "flood/handshakes.rs"]
mod handshakes;
#[path = "flood/prefixes.rs"]
mod prefixes;
#[path = "flood/rate.rs"]
mod rate;

use common::{Client, Server, eventually};
use std::io::ErrorKind;
use std::net::TcpStream;

const ONE: &str = "127.0.0.1";
const OTHER: &str = "127.0.0.2";
const THIRD: &str = "127.0.0.3";

/// A connection whose application answered, or None where the server closed it.
fn admitted(server: &Server, source: &str) -> Option<Client> {
    let mut client = server.dial().from(source).try_connect().ok()?;
    client.assert_echoes();
    Some(client)
}

/// How many of so many connections, one after the other, are served.
fn served(server: &Server, source: &str, tries: usize) -> usize {
    (0..tries)
        .filter(|_| admitted(server, source).is_some())
        .count()
}

/// Connections that say nothing.
fn silent(server: &Server, source: &str, number: usize) -> Vec<TcpStream> {
    let dial = || server.dial().from(source).tcp();
    (0..number).map(|_| dial()).collect()
}

/// How many of them the server has not closed.
fn open(connections: &[TcpStream]) -> usize {
    let is_open = |tcp: &&TcpStream| {
        tcp.set_nonblocking(true).expect("a flag");
        match tcp.peek(&mut [0]) {
            Err(error) => error.kind() == ErrorKind::WouldBlock,
            Ok(_) => false,
        }
    };
    connections.iter().filter(is_open).count()
}

/// Waits until the server has closed all but so many of them.
fn wait_until_open(connections: &[TcpStream], number: usize) {
    eventually("the others are closed", || {
        (open(connections) == number).then_some(())
    });
}
