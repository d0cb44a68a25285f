//! The plain server behind every proxy: one thread, all its connections on one epoll.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::protocol::{ANSWER, MESSAGE, Request};
use crate::common::stream::CHUNK;

pub struct Backend {
    /// Closed to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// A listening socket of either kind.
pub trait Listener: AsFd + Send + 'static {
    type Stream: Read + Write + AsFd + AsRawFd;

    fn prepare(&self) -> io::Result<()>;

    /// Neither waits, nor do the reads and writes of what it gives.
    fn accept_one(&self) -> io::Result<Self::Stream>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn prepare(&self) -> io::Result<()> {
        self.set_nonblocking(true)
    }

    fn accept_one(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    fn prepare(&self) -> io::Result<()> {
        self.set_nonblocking(true)
    }

    fn accept_one(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.accept()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

impl Backend {
    /// What every client says before its request must be these bytes; the answer to them, if there are any, is a message.
    pub fn start(listener: impl Listener, opening: Vec<u8>) -> io::Result<Backend> {
        listener.prepare()?;
        let (stop, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new()
            .name("backend".to_owned())
            .spawn(move || serve(&listener, &opening, &stopped))?;
        Ok(Backend {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Ok(()))) | None => {}
            Some(Ok(Err(e))) => eprintln!("the backend failed: {e}"),
            Some(Err(_)) => eprintln!("the backend panicked"),
        }
    }
}

const LISTENER: u64 = u64::MAX;
const STOP: u64 = LISTENER - 1;

fn serve<L: Listener>(listener: &L, opening: &[u8], stopped: &UnixStream) -> io::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    epoll.add(stopped, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
    let mut connections: HashMap<u64, Connection<L::Stream>> = HashMap::new();
    let mut events = [EpollEvent::empty(); 256];
    let mut buffer = vec![0; CHUNK];
    loop {
        let ready = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..ready] {
            match event.data() {
                STOP => return Ok(()),
                LISTENER => accept(listener, &epoll, &mut connections)?,
                number => {
                    let open = connections.get_mut(&number).is_some_and(|connection| {
                        connection.advance(opening, &mut buffer).unwrap_or(false)
                    });
                    if !open {
                        connections.remove(&number);
                    }
                }
            }
        }
    }
}

fn accept<L: Listener>(
    listener: &L,
    epoll: &Epoll,
    connections: &mut HashMap<u64, Connection<L::Stream>>,
) -> io::Result<()> {
    loop {
        match listener.accept_one() {
            Ok(stream) => {
                let number = stream.as_raw_fd().unsigned_abs().into();
                let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                epoll.add(&stream, EpollEvent::new(flags, number))?;
                connections.insert(number, Connection::new(stream));
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            // A proxy may have given up already.
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
            Err(e) => return Err(e),
        }
    }
}

struct Connection<S> {
    stream: S,
    /// How much of the opening has come.
    opened: usize,
    request: [u8; MESSAGE],
    received: usize,
    work: Option<Request>,
}

impl<S: Read + Write> Connection<S> {
    fn new(stream: S) -> Connection<S> {
        Connection {
            stream,
            opened: 0,
            request: [0; MESSAGE],
            received: 0,
            work: None,
        }
    }

    /// As far as it goes now; false when it is over.
    fn advance(&mut self, opening: &[u8], buffer: &mut [u8]) -> io::Result<bool> {
        match self.step(opening, buffer) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(e) => Err(e),
            Ok(()) => Ok(false),
        }
    }

    fn step(&mut self, opening: &[u8], buffer: &mut [u8]) -> io::Result<()> {
        while self.opened < opening.len() {
            let rest = &opening[self.opened..];
            let n = self.stream.read(&mut buffer[..rest.len()])?;
            if n == 0 || buffer[..n] != rest[..n] {
                return Err(ErrorKind::InvalidData.into());
            }
            self.opened += n;
            if self.opened == opening.len() {
                self.stream.write_all(&ANSWER)?;
            }
        }
        loop {
            match &mut self.work {
                None => {
                    match self.stream.read(&mut self.request[self.received..])? {
                        0 => return Ok(()),
                        n => self.received += n,
                    }
                    if self.received == MESSAGE {
                        self.work = Request::from_message(&self.request);
                        match self.work {
                            None => return Err(ErrorKind::InvalidData.into()),
                            Some(Request::Echo) => self.stream.write_all(&self.request)?,
                            Some(_) => {}
                        }
                    }
                }
                Some(Request::Answer | Request::Sink(0)) => return self.stream.write_all(&ANSWER),
                // So little is under way that a full socket would be an error.
                Some(Request::Echo) => match self.stream.read(buffer)? {
                    0 => return Ok(()),
                    n => self.stream.write_all(&buffer[..n])?,
                },
                Some(Request::Source(0)) => return Ok(()),
                Some(Request::Source(left)) => {
                    let n = (*left).min(CHUNK as u64) as usize;
                    buffer[..n].fill(0);
                    *left -= self.stream.write(&buffer[..n])? as u64;
                }
                Some(Request::Sink(left)) => {
                    let n = (*left).min(CHUNK as u64) as usize;
                    match self.stream.read(&mut buffer[..n])? {
                        0 => return Ok(()),
                        n => *left -= n as u64,
                    }
                }
            }
        }
    }
}
