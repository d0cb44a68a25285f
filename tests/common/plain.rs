//! A connection without TLS: a client's that may go on to TLS, as after STARTTLS, or one that a backend accepted.
#![forbid(unsafe_code)]

use super::client::{Client, Dial, End};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// `Dial` is for a client, that may begin TLS.
pub struct Plain<D = Dial> {
    dial: D,
    pub tcp: TcpStream,
}

impl Dial {
    /// Connects and says nothing yet.
    pub fn plain(self) -> Plain {
        let tcp = self.tcp();
        Plain { dial: self, tcp }
    }
}

impl Plain<Dial> {
    pub fn try_tls(self) -> Result<Client, String> {
        self.dial.try_over(self.tcp)
    }

    pub fn tls(self) -> Client {
        self.dial.over(self.tcp)
    }
}

impl Plain<()> {
    pub fn accepted(tcp: TcpStream) -> Plain<()> {
        Plain { dial: (), tcp }
    }
}

impl<D> Plain<D> {
    pub fn send(&mut self, bytes: &[u8]) {
        self.tcp
            .write_all(bytes)
            .unwrap_or_else(|error| panic!("sending: {error}"));
    }

    pub fn receive(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.tcp
            .read_exact(&mut bytes)
            .unwrap_or_else(|error| panic!("receiving {size}: {error}"));
        bytes
    }

    /// A line without its end. Not a byte more is read.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            self.tcp.read_exact(&mut byte).unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&line))
            });
            line.push(byte[0]);
        }
        line.pop();
        String::from_utf8(line).expect("text")
    }

    /// Says a line and hears one.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n").as_bytes());
        self.line()
    }

    /// Everything to the end, be it FIN or a reset.
    pub fn rest(&mut self) -> Vec<u8> {
        self.ended().0
    }

    /// Everything to the end, and which it was.
    pub fn ended(&mut self) -> (Vec<u8>, End) {
        let mut bytes = Vec::new();
        let end = match self.tcp.read_to_end(&mut bytes) {
            Ok(_) => End::Fin,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("no end: {error}"),
        };
        (bytes, end)
    }

    pub fn fin(&mut self) {
        self.tcp.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Hangs up without a word.
    pub fn reset(self) {
        let linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&self.tcp, sockopt::Linger, &linger).expect("linger");
    }
}
