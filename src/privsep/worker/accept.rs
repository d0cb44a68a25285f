//! Taking clients in, and not spinning when there is nothing to take them in with.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;

use super::connection::{Connection, Phase};
use super::counters::Count;
use super::event_loop::Worker;
use crate::net::proxy_header::Parser;
use crate::relay::crowd::Side;
use crate::relay::pump::Readiness;
use crate::sys::accept;
use crate::sys::stream::Stream;

/// Clients that may be waiting when accepting ends.
const LONGEST_QUEUE: usize = 4096;
/// Accepting rests so long when something has run out.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket of the parent's.
pub struct Listener {
    pub socket: OwnedFd,
    pub frontend: u16,
}

impl Listener {
    pub fn new((socket, frontend): (OwnedFd, u16)) -> Listener {
        Listener { socket, frontend }
    }
}

impl Worker<'_> {
    /// Takes one in: others have their turn, and other workers a chance, before the next. Where turns take long because
    /// there are many at a time, several are.
    pub(super) fn accept(&mut self, place: usize) {
        let at_once = (self.at_once / 4).max(1);
        let taken = (0..at_once).take_while(|_| self.accept_one(place)).count();
        if taken > 0 && self.orders.workers > 1 && self.paused.is_none() {
            // The kernel wakes whoever waits the longest, counted from here on: so the workers take turns.
            self.wait_behind_others(place);
        }
    }

    /// Accepts whoever is queued, before the sockets are closed for good.
    pub(super) fn accept_queued(&mut self) {
        for place in 0..self.listeners.len() {
            let _ = (0..LONGEST_QUEUE).find(|_| !self.accept_one(place));
        }
    }

    /// False: nobody is there, or nothing to serve them with.
    fn accept_one(&mut self, place: usize) -> bool {
        let Some(listener) = self.listeners.get(place).filter(|_| self.paused.is_none()) else {
            return false;
        };
        if self.connections.len() >= self.orders.most_connections {
            self.pause("as many connections as there are descriptors for");
            return false;
        }
        let frontend = listener.frontend;
        match accept::accept(listener.as_fd()) {
            Ok((client, remote)) => {
                self.reporter.recovered();
                self.welcome(client, remote, frontend);
                true
            }
            Err(Errno::EAGAIN) => false,
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                self.pause(errno.desc());
                false
            }
            // That client's own trouble, such as a reset before its turn came.
            Err(_) => true,
        }
    }

    pub(super) fn pause(&mut self, reason: &str) {
        self.unlisten();
        self.paused = Some(self.connections.now() + PAUSE);
        self.reporter.short(reason);
    }

    /// Accepts again when there is room again.
    pub(super) fn resume(&mut self) {
        let room = self.connections.len() < self.orders.most_connections;
        if let Some(end) = self.paused
            && end <= self.connections.now()
        {
            self.paused = match room && self.listen().is_ok() {
                true => None,
                false => Some(self.connections.now() + PAUSE),
            };
        }
    }

    fn welcome(&mut self, client: OwnedFd, remote: SocketAddr, frontend: u16) {
        self.reporter.count(Count::Accepted, 1);
        let client = Stream::from(client);
        let phase = match self.orders.proxy_proxy {
            true => Phase::Header {
                client,
                parser: Parser::default(),
            },
            false => match self.begin(client, frontend, Vec::new()) {
                Ok(phase) => phase,
                Err(_) => {
                    self.reporter.count(Count::Failed, 1);
                    return self.reporter.count(Count::Closed, 1);
                }
            },
        };
        let token = self.connections.admit(Connection {
            frontend,
            remote,
            announced: None,
            started: self.connections.now(),
            phase,
            near: Readiness::default(),
            far: Readiness::default(),
            kept: 0,
            shaken: false,
            turned: self.orders.client,
        });
        self.connections.limit(
            token,
            match self.orders.proxy_proxy {
                true => self.orders.times.header,
                false => self.orders.times.handshake,
            },
        );
        // Its first bytes are told of when they are there, be it at once.
        let connections = &self.connections;
        let client = connections.get(token).and_then(Connection::client);
        let watched = client.map(|end| connections.watch(token, Side::Near, end, false));
        if !matches!(watched, Some(Ok(()))) {
            self.forget(token);
        } else if self.orders.client {
            // It is the backend that is waited for.
            self.step(token);
        }
    }
}
