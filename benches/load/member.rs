//! One connection of a client that waits for nothing: it goes as far as it can and says so.
//! It looks at every byte of every reply.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use super::protocol::{ANSWER, MESSAGE, Request};
use crate::client::{Client, Connection};

/// Something to be done on a connection.
pub struct Member {
    connection: Connection,
    phase: Phase,
    request: Request,
    /// Messages of which the reply has not come, the one under way included.
    left: u64,
    reply: [u8; MESSAGE],
    received: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// What comes before the first message.
    Open,
    Send,
    Receive,
    /// The server is to end the connection.
    End,
    /// Nothing is to be done: all replies are there, or the end has come.
    Rest,
}

impl Member {
    /// Connects; opens the connection, sends the request and takes the reply when it is told to advance.
    pub fn new(client: &Client, request: Request) -> Result<Member, String> {
        let connection = client.connect()?;
        connection
            .socket()
            .set_nonblocking(true)
            .map_err(|e| format!("unable to prepare a connection: {e}"))?;
        Ok(Member {
            connection,
            phase: Phase::Open,
            request,
            left: 1,
            reply: [0; MESSAGE],
            received: 0,
        })
    }

    /// Gives a resting connection this many more messages to send.
    pub fn again(&mut self, messages: u64) {
        self.left = messages;
        self.phase = Phase::Send;
    }

    pub fn socket(&self) -> &TcpStream {
        self.connection.socket()
    }

    pub fn rests(&self) -> bool {
        self.phase == Phase::Rest
    }

    /// As far as it goes now; true when nothing is left to do.
    pub fn advance(&mut self) -> Result<bool, String> {
        match self.step() {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(format!("a connection failed: {e}")),
        }
    }

    fn step(&mut self) -> io::Result<()> {
        loop {
            self.phase = match self.phase {
                Phase::Open => {
                    self.connection.open()?;
                    Phase::Send
                }
                Phase::Send => {
                    // So little is under way that a full socket would be an error.
                    self.connection.stream.write_all(&self.request.message())?;
                    self.received = 0;
                    Phase::Receive
                }
                Phase::Receive => self.receive()?,
                Phase::End => match self.connection.stream.read(&mut [0])? {
                    0 => {
                        self.connection.check_end().map_err(io::Error::other)?;
                        Phase::Rest
                    }
                    _ => return Err(io::Error::other("more came than was asked for")),
                },
                Phase::Rest => return Ok(()),
            }
        }
    }

    fn receive(&mut self) -> io::Result<Phase> {
        fill(
            &mut self.connection.stream,
            &mut self.reply,
            &mut self.received,
        )?;
        let (wanted, next) = match self.request {
            Request::Echo => (self.request.message(), Phase::Rest),
            _ => (ANSWER, Phase::End),
        };
        if self.reply != wanted {
            return Err(io::Error::other("a wrong reply came"));
        }
        self.left -= 1;
        Ok(if self.left > 0 { Phase::Send } else { next })
    }
}

/// Reads a whole message, of which some may have come before.
pub fn fill(
    from: &mut impl Read,
    message: &mut [u8; MESSAGE],
    received: &mut usize,
) -> io::Result<()> {
    while *received < MESSAGE {
        match from.read(&mut message[*received..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => *received += n,
        }
    }
    Ok(())
}
