//! One connection as the listener sees it: addresses, a stage, and what must be given back when it is over.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Pid, pipe2};

use crate::net::address::Network;
use crate::privsep::message::{Ending, ListenerToSession, SessionToListener};

/// Where a connection stands.
pub enum Stage {
    /// The session shakes hands. With the application's ends of its two pipes.
    Handshake(Pipes),
    /// The handshake is done; there is no place or no process for the application yet.
    Waiting(Pipes, Established),
    Running(Running),
    /// Nothing more will happen.
    Over,
}

/// The application's ends.
pub struct Pipes {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
}

pub struct Established {
    pub summary: String,
    pub environment: Vec<u8>,
    /// The banner waits in the pipe already.
    pub greeted: bool,
}

pub struct Running {
    pub pid: Pid,
    /// Raw wait status once the application has ended.
    pub status: Option<i32>,
    /// The session is over; nobody listens to the application any more.
    pub alone: bool,
}

pub struct Connection {
    /// As the client's kernel and ours have them, IPv4 as IPv4.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub client: Network,
    /// Variables of the rules that matched.
    pub variables: Vec<(Vec<u8>, Vec<u8>)>,
    pub stage: Stage,
    /// The session's reports; `None` once it has ended.
    pub session: Option<ListenerToSession>,
    /// How the relay ended, if the session said so.
    pub ending: Option<Ending>,
    /// When the listener acts by itself: the session overran its time, or the application stays on alone.
    pub due: Option<Instant>,
}

impl Connection {
    /// Whether it counts as running, beyond its handshake and with an application.
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// The application has ended and the session is over: nothing is left.
    pub fn is_over(&self) -> bool {
        match &self.stage {
            Stage::Running(running) => running.status.is_some() && self.session.is_none(),
            _ => false,
        }
    }
}

/// Everything that a connection needs, made before it is accepted: if there is not enough for one more, its client
/// waits in the kernel's queue instead of being lost.
pub struct Kit {
    pub pipes: Pipes,
    /// The session's ends.
    pub input: OwnedFd,
    pub output: OwnedFd,
    pub reports: ListenerToSession,
    pub report: SessionToListener,
}

impl Kit {
    pub fn make() -> Result<Kit, Errno> {
        let (stdin, input) = pipe2(OFlag::O_CLOEXEC)?;
        let (output, stdout) = pipe2(OFlag::O_CLOEXEC)?;
        let (reports, report) = ListenerToSession::pair()?;
        Ok(Kit {
            pipes: Pipes { stdin, stdout },
            input,
            output,
            reports,
            report,
        })
    }
}

/// A client that got past the rules and is on its way to the terminator.
pub struct Handover {
    pub number: u64,
    pub stream: TcpStream,
    pub input: OwnedFd,
    pub output: OwnedFd,
    pub report: SessionToListener,
    pub deadline: Instant,
}

/// The address without the IPv6 clothing that a dual-stack socket gives IPv4.
pub fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
