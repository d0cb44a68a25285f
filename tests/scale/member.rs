//! One TLS connection of a client that waits for nothing: it goes as far as it can in what it has to do, and looks at
//! every byte that comes.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::TcpStream;

use openssl::ssl::{Error, ErrorCode, SslStream};

use crate::frame::{FRAME, Request, is_right, piece};

/// More than a record is not written at once.
const RECORD: u64 = 16 * 1024;

pub struct Member {
    pub tls: SslStream<TcpStream>,
    todo: VecDeque<Step>,
    phase: Phase,
    serial: u64,
    /// Requests of which the whole answer has come.
    pub answered: u64,
    /// Bytes written of a stream.
    pub poured: u64,
    /// It does not read, whatever comes.
    pub asleep: bool,
}

#[derive(Clone, Copy)]
pub enum Step {
    /// So often.
    Ask(Request, u64),
    /// Says its end and waits for the other's.
    Close,
    /// Says its end and is gone.
    Leave,
}

#[derive(Clone, Copy)]
enum Phase {
    Shaking,
    /// Nothing is under way.
    Free,
    Asking(Request),
    Pouring {
        left: u64,
        at: u64,
        request: Request,
    },
    HearFrame {
        request: Request,
        reply: [u8; FRAME],
        filled: usize,
    },
    HearStream {
        left: u64,
        at: u64,
    },
    /// The other side is to end the connection.
    Ending,
    Over,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Waits,
    /// Everything is done, and the connection is there.
    Rests,
    Over,
}

impl Member {
    pub fn new(tls: SslStream<TcpStream>, serial: u64) -> Member {
        Member {
            tls,
            todo: VecDeque::new(),
            phase: Phase::Shaking,
            serial,
            answered: 0,
            poured: 0,
            asleep: false,
        }
    }

    pub fn add(&mut self, step: Step) {
        self.todo.push_back(step);
    }

    /// It was said before that it is at rest, and nothing was added since.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Free) && self.todo.is_empty()
    }

    /// As far as it goes now.
    pub fn advance(&mut self, scratch: &mut [u8]) -> Result<Progress, String> {
        loop {
            let step = match self.phase {
                Phase::Over => return Ok(Progress::Over),
                Phase::Free if self.todo.is_empty() => return Ok(Progress::Rests),
                Phase::HearStream { .. } if self.asleep => return Ok(Progress::Waits),
                Phase::Free => self.begin(),
                _ => self.go_on(scratch),
            };
            match step {
                Ok(()) => {}
                Err(error) if blocks(&error) => return Ok(Progress::Waits),
                Err(error) => return Err(format!("{}: {error}", self.describe())),
            }
            if let Phase::HearFrame {
                request,
                reply,
                filled: FRAME,
            } = self.phase
            {
                if reply != request.frame(self.serial) {
                    return Err("another frame came back than was sent".to_owned());
                }
                self.answered += 1;
                self.phase = match request {
                    Request::End => Phase::Ending,
                    _ => Phase::Free,
                };
            }
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        match self.todo.front_mut() {
            Some(Step::Ask(request, times)) => {
                self.serial += 1;
                self.phase = Phase::Asking(*request);
                *times -= 1;
                if *times == 0 {
                    self.todo.pop_front();
                }
            }
            Some(Step::Close) => {
                self.tls.shutdown()?;
                self.todo.pop_front();
                self.phase = Phase::Ending;
            }
            Some(Step::Leave) | None => {
                self.tls.shutdown()?;
                self.phase = Phase::Over;
            }
        }
        Ok(())
    }

    fn go_on(&mut self, scratch: &mut [u8]) -> Result<(), Error> {
        match &mut self.phase {
            Phase::Shaking => {
                self.tls.connect()?;
                self.phase = Phase::Free;
            }
            Phase::Asking(request) => {
                self.tls.ssl_write(&request.frame(self.serial))?;
                let request = *request;
                self.phase = match request {
                    Request::Down { size, start } => Phase::HearStream {
                        left: size,
                        at: start,
                    },
                    Request::Up { size, start } => Phase::Pouring {
                        left: size,
                        at: start,
                        request,
                    },
                    Request::Stall => Phase::Pouring {
                        left: u64::MAX,
                        at: 0,
                        request,
                    },
                    Request::Echo | Request::End => hear(request),
                };
            }
            Phase::Pouring { left, at, request } => {
                let size = (*left).min(RECORD) as usize;
                let count = self.tls.ssl_write(&piece(*at)[..size])? as u64;
                (*left, *at) = (*left - count, *at + count);
                self.poured += count;
                if *left == 0 {
                    self.phase = hear(*request);
                }
            }
            Phase::HearFrame { reply, filled, .. } => {
                *filled += self.tls.ssl_read(&mut reply[*filled..])?;
            }
            Phase::HearStream { left, at } => {
                let size = (*left).min(scratch.len() as u64) as usize;
                let count = self.tls.ssl_read(&mut scratch[..size])?;
                assert!(is_right(&scratch[..count], *at), "other bytes came");
                (*left, *at) = (*left - count as u64, *at + count as u64);
                if *left == 0 {
                    self.answered += 1;
                    self.phase = Phase::Free;
                }
            }
            Phase::Ending => match self.tls.ssl_read(scratch) {
                Ok(count) => panic!("{count} bytes came after everything was said"),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    // A session is not resumed whose connection was broken off. The socket may be gone by now.
                    let _ = self.tls.shutdown();
                    self.phase = Phase::Over;
                }
                Err(error) => return Err(error),
            },
            Phase::Free | Phase::Over => {}
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let phase = match self.phase {
            Phase::Shaking => "handshake",
            Phase::Free => "before a request",
            Phase::Asking(_) => "asking",
            Phase::Pouring { .. } => "sending a stream",
            Phase::HearFrame { .. } => "waiting for an answer",
            Phase::HearStream { .. } => "reading a stream",
            Phase::Ending => "waiting for the end",
            Phase::Over => "after the end",
        };
        let version = self.tls.ssl().version_str();
        let local = self.tls.get_ref().local_addr();
        format!("{phase}, {} answers, {version}, {local:?}", self.answered)
    }
}

fn hear(request: Request) -> Phase {
    Phase::HearFrame {
        request,
        reply: [0; FRAME],
        filled: 0,
    }
}

fn blocks(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE)
        && error
            .io_error()
            .is_none_or(|io| io.kind() == ErrorKind::WouldBlock)
}
