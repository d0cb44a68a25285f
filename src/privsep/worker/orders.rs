//! What a worker is told before it is forked.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::privsep::message::Target;
use crate::privsep::role::Confinement;
use crate::tls::client::Demand;
use crate::tls::settings::Settings;

pub struct Orders {
    pub confinement: Confinement,
    /// Plain clients in front, TLS towards the backend.
    pub client: bool,
    /// How many there are of us.
    pub workers: usize,
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
    /// What clients of a PEM's names have to show, by the PEM's place; `None`: what the frontend says.
    pub pems: Vec<Option<Gate>>,
    pub preamble: Preamble,
    /// Every connection begins with a PROXY header, which is handed on.
    pub proxy_proxy: bool,
    pub times: Times,
    pub tells: Tells,
    /// `None`: tickets alone.
    pub sessions: Option<Sessions>,
    /// How many connections this worker has descriptors for.
    pub most_connections: usize,
}

/// Where clients come in.
#[derive(Clone)]
pub struct Frontend {
    pub settings: Settings,
    /// Places of the PEMs that count here, the preferred one first.
    pub pems: Vec<usize>,
    pub default: Option<usize>,
    pub gate: Gate,
    /// Number of the backend.
    pub backend: u16,
}

/// What clients have to show, and the number of the authorities that it is traced back to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    pub demand: Demand,
    pub authorities: Option<u16>,
}

#[derive(Clone)]
pub struct Backend {
    /// What a certificate has to be for, with `client`.
    pub host: String,
    pub targets: Vec<Target>,
}

/// What a backend is told before the client's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preamble {
    Nothing,
    /// The family and the client's address.
    Ip,
    /// PROXY version 1.
    Line,
    /// PROXY version 2.
    Binary(Details),
}

/// What a PROXY header of version 2 says beyond the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// Version and cipher of TLS, and the verdict on the client's certificate.
    pub tls: bool,
    /// The name the client asked for.
    pub authority: bool,
    /// The client's certificate.
    pub certificate: bool,
}

/// The longest that each phase of a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub handshake: Duration,
    /// For the PROXY header that a connection begins with.
    pub header: Duration,
    /// For one address of a backend.
    pub connect: Duration,
    /// Without a byte in either direction.
    pub idle: Duration,
    /// How long connections may go on after a reload or the order to end.
    pub drain: Duration,
}

/// What the parent wants to hear of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tells {
    /// Backends that do not answer.
    pub errors: bool,
    /// The end of every connection.
    pub connections: bool,
}

/// A store of sessions is there. `alone`: there are no tickets beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    pub alone: bool,
}
