//! Taking clients in, and not spinning when there is nothing to take them in with.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::connection::{Connection, Phase};
use super::error::Error;
use super::held::Held;
use super::log;
use super::router::Router;
use crate::net::address::Network;
use crate::relay::crowd::Side;
use crate::relay::forward::End;
use crate::relay::pump::Readiness;
use crate::sys::accept;
use crate::sys::stream::Stream;
use crate::tls::client_hello::ClientHello;

/// Clients accepted before others have their turn.
const AT_ONCE: usize = 16;
/// Accepting rests so long when something has run out.
const REST: Duration = Duration::from_millis(100);
/// Shortages closer together than this are one, and told once.
const SPELL: Duration = Duration::from_secs(60);

/// Why nobody is accepted just now.
pub enum Pause {
    /// Until a connection ends.
    Full,
    Until(Instant),
}

impl Pause {
    pub fn end(&self) -> Option<Instant> {
        match self {
            Pause::Full => None,
            Pause::Until(end) => Some(*end),
        }
    }
}

impl Router {
    pub(super) fn accept(&mut self) {
        for _ in 0..AT_ONCE {
            if !self.accept_one() {
                return;
            }
        }
    }

    /// Accepts whoever is queued, before the socket is closed for good.
    pub(super) fn accept_queued(&mut self) {
        while self.accept_one() {}
    }

    /// False: nobody is there, or nothing to serve them with.
    fn accept_one(&mut self) -> bool {
        let Some(socket) = self.socket.as_ref().filter(|_| self.pause.is_none()) else {
            return false;
        };
        if self.connections.len() >= self.room.connections {
            self.rest(Pause::Full, "no room for more connections");
            return false;
        }
        match accept::accept(socket.as_fd()) {
            Ok((stream, client)) => self.welcome(stream, client),
            Err(Errno::EAGAIN) => return false,
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                self.rest(Pause::Until(self.connections.now() + REST), errno.desc());
                return false;
            }
            // Another copy that shares the socket has shut it down.
            Err(errno @ (Errno::EINVAL | Errno::EBADF | Errno::ENOTSOCK)) => {
                self.failure = Some(Error::fatal("unable to accept", errno.desc()));
                self.drain();
                return false;
            }
            // That client's own trouble, such as a reset before its turn came.
            Err(_) => {}
        }
        true
    }

    fn rest(&mut self, pause: Pause, why: &str) {
        self.unlisten();
        self.pause = Some(pause);
        let now = self.connections.now();
        let told = self.shortage.replace(now);
        if told.is_none_or(|last| now.saturating_duration_since(last) > SPELL) {
            let count = self.connections.len();
            log::line(format_args!(
                "accepting pauses at {count} connections: {why}"
            ));
        }
    }

    /// Accepts again when there is room again.
    pub(super) fn resume(&mut self) {
        let is_over = match self.pause {
            None => return,
            Some(Pause::Full) => self.connections.len() < self.room.connections,
            Some(Pause::Until(end)) => end <= self.connections.now(),
        };
        if is_over {
            self.pause = match self.listen() {
                Ok(()) => None,
                Err(_) => Some(Pause::Until(self.connections.now() + REST)),
            };
        }
    }

    fn welcome(&mut self, stream: OwnedFd, client: SocketAddr) {
        let phase = Phase::Hello {
            client: End {
                stream: Stream::from(stream),
                ready: Readiness::default(),
            },
            parser: ClientHello::default(),
            held: Held::new(&self.pot),
        };
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let connection = Connection::new(client, phase, self.connections.now());
        if let Some(most) = self.options.per_client {
            if self.census.of_client(Network::of_client(client.ip())) >= most {
                return self.report(&connection, &"too many from its address");
            }
            self.census.enter(connection.network());
        }
        let token = self.connections.admit(connection);
        self.connections.limit(token, self.options.hello);
        // What has come already is announced at once.
        let connection = self.connections.get(token);
        let watched = match connection.map(|connection| &connection.phase) {
            Some(Phase::Hello { client, .. }) => {
                self.connections
                    .watch(token, Side::Near, &client.stream, false)
            }
            _ => Ok(()),
        };
        if let Err(errno) = watched {
            self.close(token, errno.desc());
        }
    }
}
