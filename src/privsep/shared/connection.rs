//! One of the connections: which phase it is in, and what it needs in the next.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use crate::privsep::session::Service;
use crate::relay::crowd::Side;
use crate::relay::handshake;
use crate::relay::plain::Pipes;
use crate::relay::pump::{Pump, Readiness};
use crate::sys::descriptor::Ready;
use crate::sys::stream::Stream;
use crate::tls::stream::Tls;

pub struct Connection {
    /// The listener's own number for it.
    pub number: u64,
    pub phase: Phase,
    /// What is known of the client's socket before there is a pump.
    pub client: Readiness,
    /// Where an application that begins in plain text says when TLS begins. To it the end of this is the sign of failure.
    pub control: Option<OwnedFd>,
    /// How many descriptors came with it.
    pub descriptors: usize,
    /// Bytes that it keeps because somebody does not take them.
    pub kept: usize,
    /// The listener knows that TLS is agreed on.
    pub is_established: bool,
    /// The listener knows that it is over.
    pub is_over: bool,
    /// Only the client still hangs on, and its time is running.
    pub lingers: bool,
}

pub enum Phase {
    /// The application talks to the client in plain text, past this process.
    Plain(Box<Parts>),
    Shaking(Box<Shaking>),
    Relaying(Pump<Pipes>),
    /// Everything is said; the client may still read it.
    Leaving(Stream),
    /// Nothing any more, or a step has it in its hands.
    Over,
}

/// What a connection is made of, and what a handshake needs to know.
pub struct Parts {
    pub service: Rc<Service>,
    pub client: Stream,
    /// Write end of the application's input.
    pub input: OwnedFd,
    /// Read end of the application's output.
    pub output: OwnedFd,
    pub ip: IpAddr,
    pub host: Option<String>,
}

pub struct Shaking {
    pub tls: Tls,
    pub parts: Parts,
    /// The application wants to know what is agreed on.
    pub reports: bool,
}

impl Connection {
    pub fn notice(&mut self, ready: Ready, side: Side) {
        let none = Ready::default();
        match (&mut self.phase, side) {
            (Phase::Relaying(pump), Side::Near) => pump.notice([ready, none, none]),
            (Phase::Relaying(pump), Side::Far) => pump.notice([none, ready, none]),
            (Phase::Relaying(pump), Side::Back) => pump.notice([none, none, ready]),
            (_, Side::Near) => self.client.take(ready),
            // Of the others a look at them tells more.
            _ => {}
        }
    }

    /// The descriptors that have no room for what is to be written: the client's, and the application's input.
    pub fn blocked(&mut self) -> [Option<BorrowedFd<'_>>; 2] {
        match &mut self.phase {
            Phase::Relaying(pump) => pump.blocked(),
            Phase::Shaking(shaking) => {
                let Shaking { tls, parts, .. } = &mut **shaking;
                [handshake::blocked(tls, &parts.client), None]
            }
            _ => [None, None],
        }
    }
}
