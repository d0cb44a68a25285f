//! The plain server behind the proxy: one process with one thread, all its connections on one epoll. Several can share
//! a port, because a process has only so many descriptors.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt,
};

use crate::frame::{FRAME, LEAST, Request, is_right, piece};

pub const ROLE: &str = "backend";

const LISTENER: u64 = u64::MAX;
const INPUT: u64 = LISTENER - 1;
/// So much goes to or from one connection before it is the others' turn.
const CHUNK: usize = 1 << 16;
const _: () = assert!(CHUNK <= LEAST);

/// Serves on a port (0: any, which it says) until its input ends.
pub fn run(port: &str) -> ExitCode {
    let port = port.parse().expect("a port");
    let listener = listen(port).unwrap_or_else(|errno| panic!("port {port}: {errno}"));
    println!("ok {}", listener.local_addr().expect("bound").port());
    serve(&listener).expect("an epoll");
    ExitCode::SUCCESS
}

fn listen(port: u16) -> nix::Result<TcpListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    socket::listen(&fd, Backlog::new(4096)?)?;
    Ok(TcpListener::from(fd))
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    epoll.add(io::stdin(), EpollEvent::new(EpollFlags::EPOLLIN, INPUT))?;
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut events = [EpollEvent::empty(); 256];
    let mut scratch = vec![0; CHUNK];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            match event.data() {
                INPUT => return Ok(()),
                LISTENER => accept(listener, &epoll, &mut connections)?,
                number => {
                    let Some(connection) = connections.get_mut(&number) else {
                        continue;
                    };
                    let before = connection.interest();
                    let is_open = match connection.turn(&mut scratch) {
                        Err(error) => error.kind() == ErrorKind::WouldBlock,
                        Ok(is_open) => is_open,
                    };
                    let after = connection.interest();
                    if !is_open {
                        connections.remove(&number);
                    } else if before != after {
                        let mut event = EpollEvent::new(after, number);
                        epoll.modify(&connection.stream, &mut event)?;
                    }
                }
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    epoll: &Epoll,
    connections: &mut HashMap<u64, Connection>,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let number = stream.as_raw_fd().unsigned_abs().into();
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
                connections.insert(number, Connection::new(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The proxy may have given up already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

struct Connection {
    stream: TcpStream,
    frame: [u8; FRAME],
    filled: usize,
    work: Work,
}

#[derive(Clone, Copy)]
enum Work {
    /// A frame is coming.
    Listen,
    Send {
        left: u64,
        at: u64,
    },
    Take {
        left: u64,
        at: u64,
    },
    Nothing,
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            frame: [0; FRAME],
            filled: 0,
            work: Work::Listen,
        }
    }

    fn interest(&self) -> EpollFlags {
        match self.work {
            Work::Listen | Work::Take { .. } => EpollFlags::EPOLLIN,
            Work::Send { .. } => EpollFlags::EPOLLOUT,
            Work::Nothing => EpollFlags::empty(),
        }
    }

    /// One piece of work; false when the connection is over.
    fn turn(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        match self.work {
            Work::Listen => self.listen(),
            Work::Send { left, at } => {
                let size = left.min(scratch.len() as u64) as usize;
                let sent = self.stream.write(&piece(at)[..size])? as u64;
                self.work = match left - sent {
                    0 => Work::Listen,
                    left => Work::Send {
                        left,
                        at: at + sent,
                    },
                };
                Ok(true)
            }
            Work::Take { left, at } => {
                let size = left.min(scratch.len() as u64) as usize;
                let count = self.stream.read(&mut scratch[..size])?;
                // Whoever sent something else hears nothing more.
                if count == 0 || !is_right(&scratch[..count], at) {
                    return Ok(false);
                }
                let (left, at) = (left - count as u64, at + count as u64);
                self.work = Work::Take { left, at };
                if left == 0 {
                    self.answer()?;
                }
                Ok(true)
            }
            // Only a hang-up is told of.
            Work::Nothing => Ok(false),
        }
    }

    fn listen(&mut self) -> io::Result<bool> {
        match self.stream.read(&mut self.frame[self.filled..])? {
            0 => return Ok(false),
            count => self.filled += count,
        }
        if self.filled < FRAME {
            return Ok(true);
        }
        self.filled = 0;
        match Request::parse(&self.frame) {
            None => return Ok(false),
            Some(Request::Echo) => self.answer()?,
            Some(Request::End) => {
                self.answer()?;
                return Ok(false);
            }
            Some(Request::Down { size, start }) => {
                self.work = Work::Send {
                    left: size,
                    at: start,
                };
            }
            Some(Request::Up { size, start }) => {
                self.work = Work::Take {
                    left: size,
                    at: start,
                };
            }
            Some(Request::Stall) => self.work = Work::Nothing,
        }
        Ok(true)
    }

    /// So little is under way that there is room.
    fn answer(&mut self) -> io::Result<()> {
        self.work = Work::Listen;
        match self.stream.write(&self.frame)? {
            FRAME => Ok(()),
            _ => Err(ErrorKind::WriteZero.into()),
        }
    }
}
