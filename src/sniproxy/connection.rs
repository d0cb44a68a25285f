//! One connection: what it is waiting for, and what is kept for it meanwhile.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::time::Instant;

use super::held::Held;
use crate::net::address::Network;
use crate::relay::crowd::Side;
use crate::relay::forward::{End, Forward};
use crate::sys::descriptor::Ready;
use crate::tls::client_hello::ClientHello;

pub struct Connection {
    pub client: SocketAddr,
    pub since: Instant,
    /// What the client asked for.
    pub name: Option<String>,
    pub phase: Phase,
}

pub enum Phase {
    /// The name is not known yet.
    Hello {
        client: End,
        parser: ClientHello,
        held: Held,
    },
    /// The backend's queue is full; it is tried again until then.
    Waiting {
        client: End,
        held: Held,
        until: Instant,
    },
    Relay(Forward),
    /// All is delivered and said; the client's end is waited for, so that no reset eats the last of it.
    Lingering(Forward),
    /// Refused and told so, for this reason; the client's end is waited for.
    Refused {
        client: End,
        why: String,
    },
    /// Between two phases.
    Between,
}

impl Connection {
    pub fn new(client: SocketAddr, phase: Phase, now: Instant) -> Connection {
        Connection {
            client,
            since: now,
            name: None,
            phase,
        }
    }

    /// Takes in what the kernel says of one of the sockets.
    pub fn notice(&mut self, ready: Ready, side: Side) {
        match &mut self.phase {
            Phase::Relay(forward) | Phase::Lingering(forward) => match side {
                Side::Near => forward.notice_client(ready),
                _ => forward.notice_backend(ready),
            },
            Phase::Hello { client, .. }
            | Phase::Waiting { client, .. }
            | Phase::Refused { client, .. } => client.ready.take(ready),
            Phase::Between => {}
        }
    }

    /// Bytes delivered to the backend and to the client.
    pub fn counts(&self) -> (u64, u64) {
        match &self.phase {
            Phase::Relay(forward) | Phase::Lingering(forward) => forward.counts(),
            _ => (0, 0),
        }
    }

    /// As whom the client is counted.
    pub fn network(&self) -> Network {
        Network::of_client(self.client.ip())
    }
}
