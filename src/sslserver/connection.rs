//! One connection as the listener sees it: addresses, a stage, and what must be given back when it is over.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, pipe2};

use crate::net::address::Network;
use crate::privsep::message::{
    ConnectionOrder, Ending, Facts, ListenerToSession, SessionToListener,
};
use crate::tls::client::Demand;

/// Where a connection stands.
pub enum Stage {
    /// The session shakes hands. With the application's ends of its two pipes.
    Handshake(Pipes),
    /// There is no place or no process for the application yet.
    Waiting(Waiting),
    Running(Running),
    /// Nothing more will happen.
    Over,
}

/// The application's ends.
pub struct Pipes {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
}

pub struct Waiting {
    pub pipes: Pipes,
    pub to: Purpose,
    /// The banner was written already.
    pub greeted: bool,
}

/// What the application will start with.
pub enum Purpose {
    /// The handshake is done.
    Encrypted { environment: Vec<u8> },
    /// It starts in plain text and says itself when TLS begins (`-n`). The session is made when it runs.
    Plain(Plain),
}

/// What an application needs that begins in plain text.
pub struct Plain {
    /// Its end of the channel on which it asks for TLS.
    pub control: OwnedFd,
    /// What the terminator gets once the application runs; the client's socket is shared until then.
    pub handover: Handover,
}

pub struct Running {
    pub pid: Pid,
    /// Raw wait status once the application has ended.
    pub status: Option<i32>,
    /// The session is over; nobody listens to the application any more.
    pub alone: bool,
    /// It asked for TLS in plain text and did not get it.
    pub failed: bool,
    /// The handshake is done.
    pub encrypted: bool,
}

/// What was found out about a connection beside its addresses.
#[derive(Default)]
pub struct Names {
    /// Our own name and, if a proxy announced it, our address.
    pub local_name: Option<Vec<u8>>,
    pub local: Option<SocketAddr>,
    pub host: Option<String>,
    pub info: Option<Vec<u8>>,
    /// The proxy that the client came through.
    pub proxy: Option<IpAddr>,
}

/// Our own address as the client called it; a connection that is gone already has none.
pub fn local(stream: &TcpStream, remote: SocketAddr) -> SocketAddr {
    let unspecified = match remote {
        SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
    };
    stream.local_addr().map_or(unspecified, plain)
}

pub struct Connection {
    /// As the client's kernel and ours have them, IPv4 as IPv4.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub client: Network,
    pub names: Names,
    /// What the client has to show.
    pub demand: Demand,
    /// Variables of the rules that matched.
    pub variables: Vec<(Vec<u8>, Vec<u8>)>,
    pub stage: Stage,
    pub session: Session,
    /// What TLS agreed on; nothing before it has.
    pub facts: Facts,
    /// How the relay ended, if the session said so, and how many bytes it had received and sent.
    pub ending: Option<Ending>,
    pub moved: (u64, u64),
    /// When it was let in.
    pub began: Instant,
    /// When the listener acts by itself: the session overran its time, or the application stays on alone.
    pub due: Option<Instant>,
}

/// Where the reports of a connection's session come from.
pub enum Session {
    /// From a process of its own.
    Own(ListenerToSession),
    /// From one that has many, by the token of its channel; `None`: it is not handed over yet.
    Shared(Option<u64>),
    /// It has ended.
    Over,
}

impl Connection {
    /// Whether it counts as running, beyond its handshake and with an application.
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// The application has ended and the session is over: nothing is left.
    pub fn is_over(&self) -> bool {
        match &self.stage {
            Stage::Running(running) => {
                running.status.is_some() && matches!(self.session, Session::Over)
            }
            _ => false,
        }
    }
}

/// Everything that a connection needs, made before it is accepted: if there is not enough for one more, its client
/// waits in the kernel's queue instead of being lost.
pub struct Kit {
    pub pipes: Pipes,
    /// The two ends of the channel on which an application asks for TLS: its own and the session's.
    pub control: Option<(OwnedFd, OwnedFd)>,
    /// The session's ends.
    pub input: OwnedFd,
    pub output: OwnedFd,
    /// Our end of its reports and its own; `None`: it shares a channel with others.
    pub reports: Option<(ListenerToSession, SessionToListener)>,
}

impl Kit {
    pub fn make(delayed: bool, shared: bool) -> Result<Kit, Errno> {
        let (stdin, input) = pipe2(OFlag::O_CLOEXEC)?;
        let (output, stdout) = pipe2(OFlag::O_CLOEXEC)?;
        let stream = || {
            let (family, kind) = (AddressFamily::Unix, SockType::Stream);
            socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC)
        };
        Ok(Kit {
            pipes: Pipes { stdin, stdout },
            control: delayed.then(stream).transpose()?,
            input,
            output,
            reports: (!shared).then(ListenerToSession::pair).transpose()?,
        })
    }
}

/// A client that got past the rules and is on its way to the terminator.
pub struct Handover {
    pub number: u64,
    pub stream: TcpStream,
    pub input: OwnedFd,
    pub output: OwnedFd,
    /// The session's end of its reports, if it has a channel of its own.
    pub report: Option<SessionToListener>,
    /// The session's end of the channel on which the application asks for TLS.
    pub control: Option<OwnedFd>,
    pub client: IpAddr,
    pub host: Option<String>,
    /// Which set of keys.
    pub set: u32,
    pub deadline: Instant,
}

impl Handover {
    /// What the terminator is told.
    pub fn order(&self) -> ConnectionOrder {
        let left = self.deadline.saturating_duration_since(Instant::now());
        ConnectionOrder {
            number: self.number,
            set: self.set,
            patience: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
            client: self.client,
            host: self.host.clone(),
        }
    }

    /// The descriptors that go with it, in the order of the message.
    pub fn ends(&self) -> Vec<BorrowedFd<'_>> {
        let mut ends = vec![self.stream.as_fd(), self.input.as_fd(), self.output.as_fd()];
        ends.extend(self.report.as_ref().map(AsFd::as_fd));
        ends.extend(self.control.as_ref().map(AsFd::as_fd));
        ends
    }
}

/// The address without the IPv6 clothing that a dual-stack socket gives IPv4.
pub fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
