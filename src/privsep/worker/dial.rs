//! Connecting to a backend: its addresses one after the other, each with its time.
#![forbid(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, UnixAddr, connect,
    setsockopt, socket, sockopt,
};

use crate::privsep::message::Target;
use crate::sys::stream::Stream;

/// A backend as this worker knows it.
pub struct Backend {
    pub host: String,
    pub targets: Vec<Target>,
    /// The place of the one that answered last.
    pub good: usize,
}

/// An attempt under way.
pub struct Dial {
    /// Taken out when it is connected.
    pub stream: Option<Stream>,
    /// Place of the address, and how many have been tried.
    place: usize,
    tried: usize,
    /// The backend's queue was full, so that it is tried again.
    pub again: bool,
    /// When this address was tried first.
    pub since: Instant,
}

/// What an attempt came to.
pub enum Dialed {
    Connected,
    /// It will be writable when it is decided.
    Pending,
    Failed(Errno),
}

impl Dial {
    pub fn new(backend: &Backend, now: Instant) -> Dial {
        Dial {
            stream: None,
            place: backend.good,
            tried: 0,
            again: false,
            since: now,
        }
    }

    /// Tries the present address.
    pub fn attempt(&mut self, backend: &Backend) -> Dialed {
        self.again = false;
        let Some(target) = backend.targets.get(self.place) else {
            return Dialed::Failed(Errno::EADDRNOTAVAIL);
        };
        let stream = match open(target) {
            Ok(stream) => stream,
            Err(errno) => return Dialed::Failed(errno),
        };
        let outcome = call(&stream, target);
        self.stream = Some(Stream::from(stream));
        match outcome {
            Ok(()) => Dialed::Connected,
            Err(Errno::EINPROGRESS | Errno::EINTR | Errno::EALREADY) => Dialed::Pending,
            // A Unix socket whose queue is full cannot be waited for.
            Err(Errno::EAGAIN) => {
                self.again = true;
                Dialed::Pending
            }
            Err(errno) => Dialed::Failed(errno),
        }
    }

    /// What became of an attempt whose socket is ready.
    pub fn outcome(&self) -> Dialed {
        match self.stream.as_ref().and_then(Stream::error) {
            None => Dialed::Connected,
            Some(errno) => Dialed::Failed(errno),
        }
    }

    /// Goes on to the next address; false if there is none.
    pub fn advance(&mut self, backend: &Backend, now: Instant) -> bool {
        self.tried += 1;
        self.place = (self.place + 1) % backend.targets.len().max(1);
        self.since = now;
        self.stream = None;
        self.tried < backend.targets.len()
    }

    /// This address is good for the next connection.
    pub fn praise(&self, backend: &mut Backend) {
        backend.good = self.place;
    }
}

fn open(target: &Target) -> Result<OwnedFd, Errno> {
    let family = match target {
        Target::Tcp(address) if address.is_ipv4() => AddressFamily::Inet,
        Target::Tcp(_) => AddressFamily::Inet6,
        Target::Unix(_) => AddressFamily::Unix,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = socket(family, SockType::Stream, flags, None::<SockProtocol>)?;
    if matches!(target, Target::Tcp(_)) {
        setsockopt(&stream, sockopt::TcpNoDelay, &true)?;
    }
    Ok(stream)
}

fn call(stream: &OwnedFd, target: &Target) -> Result<(), Errno> {
    match target {
        Target::Tcp(address) => {
            let address = SockaddrStorage::from(*address);
            match connect(stream.as_raw_fd(), &address) {
                // Close by it is done already, and asking costs less than waiting for the news.
                Err(Errno::EINPROGRESS) => connect(stream.as_raw_fd(), &address),
                outcome => outcome,
            }
        }
        Target::Unix(path) => {
            let bytes = path.as_os_str().as_bytes();
            let address = match bytes.strip_prefix(b"@") {
                Some(name) => UnixAddr::new_abstract(name)?,
                None => UnixAddr::new(path)?,
            };
            connect(stream.as_raw_fd(), &address)
        }
    }
}
