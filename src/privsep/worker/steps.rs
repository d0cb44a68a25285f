//! A connection's steps from one phase to the next, and its end.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use openssl::ssl::SslVersion;

use super::connection::{Connection, Phase};
use super::counters::Count;
use super::event_loop::Worker;
use crate::privsep::message::{Finish, Finished};
use crate::relay::crowd::{Side, Token};
use crate::sys::descriptor::Ready;
use crate::tls::choice;
use crate::tls::stream::Tls;

/// How long a client may take to read our last words.
const FAREWELL: Duration = Duration::from_secs(2);

impl Connection {
    /// The client's socket.
    pub fn client(&self) -> Option<BorrowedFd<'_>> {
        match &self.phase {
            Phase::Header { client, .. } | Phase::Leaving(client) => Some(client.as_fd()),
            Phase::Shaking(shaking) => {
                Some(shaking.client.as_ref().unwrap_or(&shaking.peer).as_fd())
            }
            Phase::Dialing(dialing) => Some(dialing.client.as_fd()),
            Phase::Relaying(_) | Phase::Over => None,
        }
    }

    /// TLS, once there is any.
    fn tls(&self) -> Option<&Tls> {
        match &self.phase {
            Phase::Shaking(shaking) => Some(&shaking.tls),
            Phase::Dialing(dialing) => dialing.tls.as_ref(),
            Phase::Relaying(pump) => Some(pump.tls()),
            Phase::Header { .. } | Phase::Leaving(_) | Phase::Over => None,
        }
    }

    pub fn notice(&mut self, ready: Ready, side: Side) {
        let is_near = side == Side::Near;
        match &mut self.phase {
            Phase::Relaying(pump) => {
                let none = Ready::default();
                pump.notice(match is_near != self.turned {
                    true => [ready, none, none],
                    false => [none, ready, ready],
                });
            }
            _ if is_near => self.near.take(ready),
            _ => self.far.take(ready),
        }
    }
}

impl Worker<'_> {
    /// Goes on with a connection as far as it can without waiting, within bounds.
    pub(super) fn step(&mut self, token: Token) {
        self.advance(token);
        self.watch_room(token);
    }

    fn advance(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        match connection.phase {
            Phase::Relaying(_) => self.relay(token),
            Phase::Shaking(_) => self.shake(token),
            Phase::Dialing(_) => self.dial_on(token),
            Phase::Header { .. } => self.read_header(token),
            Phase::Leaving(_) => self.read_farewell(token),
            Phase::Over => {}
        }
    }

    /// The time of a connection's phase is over.
    pub(super) fn expire(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        match connection.phase {
            Phase::Header { .. } => {
                self.reporter.count(Count::HeaderTimeouts, 1);
                self.finish(token, Finish::Handshake("no PROXY header in time".into()));
            }
            Phase::Shaking(_) => {
                self.reporter.count(Count::HandshakeTimeouts, 1);
                self.finish(token, Finish::Handshake("timed out".into()));
            }
            Phase::Dialing(_) => self.dial_expired(token),
            Phase::Relaying(_) => self.relay_expired(token),
            Phase::Leaving(_) | Phase::Over => self.forget(token),
        }
    }

    pub(super) fn phase(&mut self, token: Token) -> Option<&mut Phase> {
        let connection = self.connections.get_mut(token);
        connection.map(|connection| &mut connection.phase)
    }

    pub(super) fn phase_of(&self, token: Token) -> Option<&Phase> {
        let connection = self.connections.get(token);
        connection.map(|connection| &connection.phase)
    }

    /// Takes the phase out of a connection, to make another of its parts.
    pub(super) fn take_phase(&mut self, token: Token) -> Phase {
        match self.connections.get_mut(token) {
            Some(connection) => std::mem::replace(&mut connection.phase, Phase::Over),
            None => Phase::Over,
        }
    }

    pub(super) fn set_phase(&mut self, token: Token, phase: Phase) {
        if let Some(connection) = self.connections.get_mut(token) {
            connection.phase = phase;
        }
    }

    /// A connection has ended in this way. What is left to do is to let the client read our last words.
    pub(super) fn finish(&mut self, token: Token, finish: Finish) {
        let Some(connection) = self.connections.get(token) else {
            return;
        };
        let turned = connection.turned;
        match &finish {
            Finish::Handshake(_) => self.reporter.count(Count::Failed, 1),
            Finish::Unreached(_) => self.reporter.count(Count::Unreached, 1),
            Finish::ClientGone(_) => self.reporter.count(Count::ClientsGone, 1),
            Finish::Idle => self.reporter.count(Count::IdleTimeouts, 1),
            Finish::Complete | Finish::BackendGone(_) | Finish::Broken(_) | Finish::Drained => {}
        }
        let is_error = matches!(finish, Finish::Handshake(_));
        if self.reporter.wants_end(is_error, self.connections.now()) {
            self.reporter
                .finished(self.describe(connection, finish.clone()));
        }
        let stays = matches!(
            finish,
            Finish::Handshake(_) | Finish::Unreached(_) | Finish::Broken(_)
        );
        let last = match self.take_phase(token) {
            Phase::Header { client, .. } => Some(client),
            Phase::Shaking(shaking) => Some(shaking.client.unwrap_or(shaking.peer)),
            Phase::Dialing(dialing) => Some(dialing.client),
            Phase::Relaying(mut pump) => {
                if let Finish::Idle | Finish::Drained = finish {
                    pump.abandon(&mut self.scratch);
                }
                Some(match pump.into_parts() {
                    (_, plain) if turned => plain.into(),
                    (peer, _) => peer,
                })
            }
            Phase::Leaving(_) | Phase::Over => None,
        };
        match last.filter(|_| stays) {
            // Nobody shall take what it has for all there was.
            Some(client) if turned => {
                client.break_off();
                self.forget(token);
            }
            Some(client) => {
                client.shut_write();
                self.set_phase(token, Phase::Leaving(client));
                self.connections.limit(token, FAREWELL);
                self.read_farewell(token);
            }
            None => self.forget(token),
        }
    }

    fn describe(&self, connection: &Connection, finish: Finish) -> Finished {
        let ssl = connection.tls().map(Tls::ssl).filter(|_| connection.shaken);
        let name = connection.tls().and_then(|tls| choice::asked(tls.ssl()));
        let cipher = ssl.and_then(|ssl| ssl.current_cipher());
        let (received, sent) = match &connection.phase {
            Phase::Relaying(pump) => pump.counts(),
            _ => (0, 0),
        };
        let now = self.connections.now();
        let spent = now.saturating_duration_since(connection.started);
        Finished {
            client: SocketAddr::new(
                connection.remote.ip().to_canonical(),
                connection.remote.port(),
            ),
            announced: connection.announced,
            name: name.unwrap_or_default().to_vec(),
            protocol: ssl.map_or("", |ssl| ssl.version_str()).to_owned(),
            cipher: cipher.map_or("", |cipher| cipher.name()).to_owned(),
            resumed: ssl.is_some_and(|ssl| ssl.session_reused()),
            received,
            sent,
            milliseconds: u64::try_from(spent.as_millis()).unwrap_or(u64::MAX),
            finish,
        }
    }

    /// Passes over what a client still says, until it has said its end too: closing before that could take back from
    /// it what it has not read yet.
    fn read_farewell(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Leaving(client) = &connection.phase else {
            return;
        };
        match client.read(&mut self.scratch.wire) {
            Ok(0) | Err(Errno::ECONNRESET) => self.forget(token),
            Ok(_) => self.connections.enqueue(token),
            Err(Errno::EAGAIN) => {}
            Err(_) => self.forget(token),
        }
    }

    /// The place is free again.
    pub(super) fn forget(&mut self, token: Token) {
        if let Some(connection) = self.connections.remove(token) {
            self.scratch.account(0, connection.kept);
            self.reporter.count(Count::Closed, 1);
        }
    }

    /// Ends whatever is left.
    pub(super) fn cut(&mut self) {
        for token in self.connections.tokens() {
            // Of those that are only leaving everything has been told.
            match self.phase_of(token) {
                Some(Phase::Leaving(_)) => self.forget(token),
                _ => self.finish(token, Finish::Drained),
            }
        }
    }

    /// Counts a handshake that succeeded.
    pub(super) fn count_handshake(&self, tls: &Tls) {
        if tls.ssl().session_reused() {
            self.reporter.count(Count::Resumed, 1);
        }
        let is_newest = tls.ssl().version2() == Some(SslVersion::TLS1_3);
        self.reporter.count(
            if is_newest {
                Count::Tls13
            } else {
                Count::Tls12
            },
            1,
        );
    }
}
