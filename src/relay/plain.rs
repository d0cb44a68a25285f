//! The plain side of a relay: an application's two pipes, or a backend's socket.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::buffer::BATCH;
use crate::sys::stream::Stream;

/// Where decrypted bytes go and others come from. Everything is non-blocking: EAGAIN means later.
pub trait Plain {
    /// What is watched for room, as long as something may still be written.
    fn input(&self) -> Option<BorrowedFd<'_>>;
    /// What is watched for bytes, as long as some may come.
    fn output(&self) -> Option<BorrowedFd<'_>>;
    fn write(&mut self, from: &[u8]) -> Result<usize, Errno>;
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno>;
    /// Nothing more is written.
    fn end_input(&mut self);
    /// Nothing more is read.
    fn end_output(&mut self);
}

/// The size of a new pipe on Linux; one that fills up is made to hold a batch.
const PIPE_SIZE: usize = 64 * 1024;

/// An application's input and output. Each is closed as soon as it is over.
pub struct Pipes {
    /// Write end of its input.
    input: Option<Pipe>,
    /// Read end of its output.
    output: Option<Pipe>,
}

impl Pipes {
    /// Both must be non-blocking.
    pub fn new(input: OwnedFd, output: OwnedFd) -> Pipes {
        Pipes {
            input: Some(Pipe::new(input)),
            output: Some(Pipe::new(output)),
        }
    }
}

impl Plain for Pipes {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(|pipe| pipe.end.as_fd())
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(|pipe| pipe.end.as_fd())
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, Errno> {
        let input = self.input.as_mut().ok_or(Errno::EPIPE)?;
        loop {
            match nix::unistd::write(&input.end, from) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    input.widen();
                    return Err(Errno::EAGAIN);
                }
                result => return result,
            }
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let Some(output) = self.output.as_mut() else {
            return Ok(0);
        };
        loop {
            match nix::unistd::read(&output.end, into) {
                Err(Errno::EINTR) => {}
                Ok(PIPE_SIZE) => {
                    output.widen();
                    return Ok(PIPE_SIZE);
                }
                result => return result,
            }
        }
    }

    fn end_input(&mut self) {
        self.input = None;
    }

    fn end_output(&mut self) {
        self.output = None;
    }
}

/// One of the application's pipes.
struct Pipe {
    end: OwnedFd,
    widened: bool,
}

impl Pipe {
    fn new(end: OwnedFd) -> Pipe {
        Pipe {
            end,
            widened: false,
        }
    }

    /// Makes room for a batch in a pipe that was found full. The kernel may refuse, then it stays as it is.
    fn widen(&mut self) {
        if !self.widened {
            self.widened = true;
            let _ = fcntl(&self.end, FcntlArg::F_SETPIPE_SZ(BATCH as i32));
        }
    }
}

/// A backend behind one socket.
pub struct Socket {
    stream: Stream,
    takes: bool,
    gives: bool,
}

impl Socket {
    pub fn new(stream: Stream) -> Socket {
        Socket {
            stream,
            takes: true,
            gives: true,
        }
    }
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Stream {
        socket.stream
    }
}

impl Plain for Socket {
    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.takes.then(|| self.stream.as_fd())
    }

    fn output(&self) -> Option<BorrowedFd<'_>> {
        self.gives.then(|| self.stream.as_fd())
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, Errno> {
        self.stream.write(from)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        self.stream.read(into)
    }

    fn end_input(&mut self) {
        if self.takes {
            self.takes = false;
            self.stream.shut_write();
        }
    }

    fn end_output(&mut self) {
        self.gives = false;
    }
}
