//! One connection of a worker: which phase it is in, and what it waits for.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::time::Instant;

use super::dial::Dial;
use crate::net::proxy_header::Parser;
use crate::relay::plain::Socket;
use crate::relay::pump::{Pump, Readiness};
use crate::sys::stream::Stream;
use crate::tls::sessions::SessionId;
use crate::tls::stream::Tls;

pub struct Connection {
    pub frontend: u16,
    pub remote: SocketAddr,
    pub announced: Option<SocketAddr>,
    pub started: Instant,
    pub phase: Phase,
    /// What is known of the client's socket and of the backend's before there is a pump.
    pub near: Readiness,
    pub far: Readiness,
    /// Bytes that it keeps because somebody does not take them.
    pub kept: usize,
    /// TLS is agreed on.
    pub shaken: bool,
    /// The TLS side is the backend's.
    pub turned: bool,
}

pub enum Phase {
    /// The PROXY header is coming.
    Header {
        client: Stream,
        parser: Parser,
    },
    /// TLS is being agreed on.
    Shaking(Box<Shaking>),
    /// The backend is being connected to.
    Dialing(Box<Dialing>),
    Relaying(Pump<Socket>),
    /// Everything is said; the client may still read it.
    Leaving(Stream),
    /// Nothing any more, or a step has it in its hands.
    Over,
}

pub struct Shaking {
    pub tls: Tls,
    pub peer: Stream,
    /// `--client`: the plain client that waits for it.
    pub client: Option<Stream>,
    /// The PROXY header to hand on.
    pub header: Vec<u8>,
    /// The session that the store was asked for.
    pub asked: Option<SessionId>,
}

pub struct Dialing {
    pub client: Stream,
    /// The client's, unless TLS comes later, towards the backend.
    pub tls: Option<Tls>,
    pub preamble: Vec<u8>,
    pub dial: Dial,
}
