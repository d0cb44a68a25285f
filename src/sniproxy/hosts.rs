//! The hosts directory: a name, its directory, and the backend's socket in it.
#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{chdir, fchdir};

use super::naming::Naming;
use crate::sys::stream::Stream;

const SOCKET: &str = "tls-socket";

/// What the backend wants to be told of a client, by files of these names. If both are there the second counts.
const LINE: &str = "send-proxy-v1";
const BINARY: &str = "send-proxy-v2";

/// Whether and how the backend is told of the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    Nothing,
    Line,
    Binary,
}

/// Why there is no connection to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBackend {
    /// Nobody serves this name.
    Unknown(Errno),
    /// Its queue is full, which may be over in a moment.
    Full,
    Failed(Errno),
}

impl fmt::Display for NoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoBackend::Unknown(Errno::ENOENT) => f.write_str("no such host"),
            NoBackend::Unknown(errno) => write!(f, "no backend: {}", errno.desc()),
            NoBackend::Full => f.write_str("backend's queue full"),
            NoBackend::Failed(errno) => write!(f, "unable to reach the backend: {}", errno.desc()),
        }
    }
}

impl From<Errno> for NoBackend {
    fn from(errno: Errno) -> NoBackend {
        match errno {
            Errno::ENOENT | Errno::EACCES | Errno::ECONNREFUSED => NoBackend::Unknown(errno),
            Errno::EAGAIN => NoBackend::Full,
            other => NoBackend::Failed(other),
        }
    }
}

pub struct Hosts {
    directory: OwnedFd,
    naming: Naming,
}

impl Hosts {
    /// The current directory.
    pub fn open(naming: Naming) -> Result<Hosts, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(".", flags, Mode::empty())?;
        Ok(Hosts { directory, naming })
    }

    /// Connects to the backend of a name as it is now. The name's directory is entered, so that whatever is changed
    /// meanwhile, socket and settings are of one directory, and no name is too long for a socket's address.
    pub fn connect(&self, name: &str) -> Result<(Stream, Announce), NoBackend> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let stream = socket(AddressFamily::Unix, SockType::Stream, flags, None)
            .map_err(NoBackend::Failed)?;
        // Always from here: had the last return failed, names would be looked for in a stranger's directory.
        fchdir(&self.directory)?;
        let connected = self.enter(name, &stream);
        // Nobody's directory shall be kept busy.
        let _ = fchdir(&self.directory);
        connected.map(|announce| (Stream::from(stream), announce))
    }

    fn enter(&self, name: &str, stream: &OwnedFd) -> Result<Announce, NoBackend> {
        chdir(self.naming.directory(name).as_str())?;
        let announce = match (exists(BINARY), exists(LINE)) {
            (true, _) => Announce::Binary,
            (false, true) => Announce::Line,
            (false, false) => Announce::Nothing,
        };
        connect(stream.as_raw_fd(), &UnixAddr::new(SOCKET)?)?;
        Ok(announce)
    }
}

fn exists(name: &str) -> bool {
    fstatat(AT_FDCWD, name, AtFlags::empty()).is_ok()
}
