//! One connection of a client that says a ClientHello, hears the backend's answer to it, and then works as it is told.
//! It looks at every byte of every reply.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::load::protocol::{ANSWER, MESSAGE, Request};

/// For one read or write of a client that waits.
const STEP_LIMIT: Duration = Duration::from_secs(20);

pub struct Client {
    pub address: SocketAddr,
    pub hello: Vec<u8>,
}

impl Client {
    /// A connection whose reads and writes wait, with the request sent.
    pub fn begin(&self, request: Request) -> Result<TcpStream, String> {
        let mut stream = self.connect()?;
        let mut answer = [0; MESSAGE];
        stream
            .set_read_timeout(Some(STEP_LIMIT))
            .and_then(|()| stream.set_write_timeout(Some(STEP_LIMIT)))
            .and_then(|()| stream.write_all(&self.hello))
            .and_then(|()| stream.read_exact(&mut answer))
            .map_err(|e| format!("the hello was not answered: {e}"))?;
        if answer != ANSWER {
            return Err("a wrong answer to the hello came".to_owned());
        }
        stream
            .write_all(&request.message())
            .map_err(|e| format!("sending failed: {e}"))?;
        Ok(stream)
    }

    /// That the bytes ended with a FIN is all there is to see.
    pub fn check_end(&self, _: TcpStream) -> Result<(), String> {
        Ok(())
    }

    fn connect(&self) -> Result<TcpStream, String> {
        TcpStream::connect(self.address)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|e| format!("unable to connect: {e}"))
    }
}

/// Something to be done on a connection.
pub struct Member<'a> {
    client: &'a Client,
    stream: TcpStream,
    phase: Phase,
    request: Request,
    /// Messages of which the reply has not come, the one under way included.
    left: u64,
    reply: [u8; MESSAGE],
    received: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Hello,
    /// The backend is to answer the hello.
    Answer,
    Send,
    Receive,
    /// The server is to end the connection.
    End,
    /// Nothing is to be done: all replies are there, or the end has come.
    Rest,
}

impl<'a> Member<'a> {
    /// Connects; says hello, sends the request and takes the reply when it is told to advance.
    pub fn new(client: &'a Client, request: Request) -> Result<Member<'a>, String> {
        let stream = client.connect()?;
        stream
            .set_nonblocking(true)
            .map_err(|e| format!("unable to prepare a connection: {e}"))?;
        Ok(Member {
            client,
            stream,
            phase: Phase::Hello,
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
        &self.stream
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
                // So little is under way that a full socket would be an error.
                Phase::Hello => {
                    self.stream.write_all(&self.client.hello)?;
                    Phase::Answer
                }
                Phase::Send => {
                    self.stream.write_all(&self.request.message())?;
                    Phase::Receive
                }
                Phase::Answer => {
                    self.receive(ANSWER)?;
                    Phase::Send
                }
                Phase::Receive => {
                    let (wanted, next) = match self.request {
                        Request::Echo => (self.request.message(), Phase::Rest),
                        _ => (ANSWER, Phase::End),
                    };
                    self.receive(wanted)?;
                    self.left -= 1;
                    if self.left > 0 { Phase::Send } else { next }
                }
                Phase::End => match self.stream.read(&mut [0])? {
                    0 => Phase::Rest,
                    _ => return Err(io::Error::other("more came than was asked for")),
                },
                Phase::Rest => return Ok(()),
            }
        }
    }

    fn receive(&mut self, wanted: [u8; MESSAGE]) -> io::Result<()> {
        while self.received < MESSAGE {
            match self.stream.read(&mut self.reply[self.received..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                n => self.received += n,
            }
        }
        self.received = 0;
        if self.reply == wanted {
            Ok(())
        } else {
            Err(io::Error::other("a wrong reply came"))
        }
    }
}
