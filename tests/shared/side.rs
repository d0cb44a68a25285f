//! A connection whose client and application are the test's.
#![forbid(unsafe_code)]

use crate::common::{Client, Dial, LIMIT, eventually};
use crate::role::Role;
use nix::poll::PollFlags;
use sslserver::privsep::message::Ending;
use sslserver::sys::descriptor;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

/// A connection: its client and its application.
pub struct Side {
    pub number: u64,
    pub client: Option<TcpStream>,
    /// The application's standard input and output.
    pub input: Option<File>,
    pub output: Option<File>,
    /// What an application has that begins in plain text: the client's socket and its channel.
    pub socket: Option<TcpStream>,
    pub control: Option<UnixStream>,
}

impl Side {
    pub fn take_client(&mut self) -> TcpStream {
        self.client.take().expect("still the test's")
    }

    /// The client's handshake.
    pub fn tls(&mut self) -> Client {
        self.tls_with(|dial| dial)
    }

    pub fn tls_with(&mut self, change: impl FnOnce(Dial) -> Dial) -> Client {
        self.try_tls(change)
            .unwrap_or_else(|error| panic!("handshake: {error}"))
    }

    pub fn try_tls(&mut self, change: impl FnOnce(Dial) -> Dial) -> Result<Client, String> {
        let tcp = self.take_client();
        let address = tcp.peer_addr().expect("connected");
        change(Dial::to(address)).try_over(tcp)
    }

    /// Runs a program as the application.
    pub fn run(&mut self, script: &str) -> Child {
        let (input, output) = (self.input.take(), self.output.take());
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(input.expect("still the test's"))
            .stdout(output.expect("still the test's"))
            .spawn();
        child.expect("a shell")
    }

    /// The application hears so many bytes.
    pub fn hear(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut heard = 0;
        while heard < count {
            match self.hear_some(&mut bytes[heard..]) {
                0 => panic!("an end after {heard} bytes of {count}"),
                some => heard += some,
            }
        }
        bytes
    }

    /// The application hears everything to the end.
    pub fn hear_out(&mut self) -> Vec<u8> {
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match self.hear_some(&mut piece) {
                0 => return bytes,
                some => bytes.extend(&piece[..some]),
            }
        }
    }

    fn hear_some(&mut self, into: &mut [u8]) -> usize {
        let input = self.input.as_mut().expect("still open");
        let wanted = [Some((input.as_fd(), PollFlags::POLLIN))];
        let [ready] = descriptor::wait(wanted, LIMIT).expect("poll");
        assert!(ready.readable, "nothing within {LIMIT:?}");
        input.read(into).expect("bytes of the client")
    }

    /// The application says something.
    pub fn say(&mut self, bytes: &[u8]) {
        let output = self.output.as_mut().expect("still open");
        output.write_all(bytes).expect("room");
    }

    /// To the application the connection is over.
    pub fn assert_application_ends(mut self) {
        assert_eq!(self.hear_out(), b"");
        let mut output = self.output.take().expect("still open");
        // Its two ends are closed one after the other.
        eventually("an output that nobody reads", || {
            output.write_all(b"word").is_err().then_some(())
        });
        if let Some(mut control) = self.control.take() {
            assert_eq!(control.read(&mut [0; 1]).expect("an end"), 0);
        }
    }

    /// Client and application talk to each other.
    pub fn assert_talks(&mut self, client: &mut Client) {
        client.send(b"ping");
        assert_eq!(self.hear(4), b"ping");
        self.say(b"pong!");
        assert_eq!(client.receive(5), b"pong!");
    }

    /// The same, from the handshake to the end.
    pub fn assert_serves(mut self, role: &Role) {
        let mut client = self.tls();
        role.established(&self);
        self.assert_talks(&mut client);
        client.close_notify();
        assert_eq!(self.hear_out(), b"");
        self.output = None;
        assert_eq!(client.text(), "");
        assert_eq!(role.finished(&self), (4, 5, Ending::Complete));
    }
}
