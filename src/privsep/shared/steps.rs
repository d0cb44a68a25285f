//! A connection's steps from one phase to the next, and its end.
#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use nix::errno::Errno;

use super::connection::{Connection, Phase};
use super::event_loop::Shared;
use crate::privsep::message::{Ending, SessionReport};
use crate::privsep::session::FAREWELL;
use crate::relay::crowd::Token;

impl Shared<'_> {
    /// Goes on with a connection as far as it can without waiting, within bounds.
    pub(super) fn step(&mut self, token: Token) {
        self.guarded(token, |shared| shared.advance(token));
    }

    /// The time of a connection's phase is over.
    pub(super) fn expire(&mut self, token: Token) {
        self.guarded(token, |shared| match shared.phase(token) {
            Some(Phase::Plain(_)) => shared.plain_expired(token),
            Some(Phase::Shaking(_)) => shared.fail(token, "timed out"),
            Some(Phase::Relaying(_)) => shared.relay_expired(token),
            Some(Phase::Leaving(_) | Phase::Over) | None => shared.forget(token),
        });
    }

    /// Does something with a connection; a panic costs this connection and no other.
    pub(super) fn guarded(&mut self, token: Token, act: impl FnOnce(&mut Self)) {
        // What a panic leaves undone is the connection's, which goes, and the scratch buffers', which are mended.
        let done = panic::catch_unwind(AssertUnwindSafe(|| act(self)));
        match done {
            Ok(()) => self.connections.watch_room(token, Connection::blocked),
            Err(panic) => self.drop_broken(token, &*panic),
        }
    }

    fn drop_broken(&mut self, token: Token, panic: &(dyn Any + Send)) {
        self.scratch.mend();
        let words = panic.downcast_ref::<&str>().copied();
        let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let reason = format!("internal error: {}", words.unwrap_or_default());
        if let Some(connection) = self.connections.get(token) {
            let report = match connection.is_established {
                true => finished((0, 0), Ending::Broken(reason)),
                false => failed(reason),
            };
            self.report(token, report);
            self.forget(token);
        }
    }

    fn advance(&mut self, token: Token) {
        match self.phase(token) {
            Some(Phase::Relaying(_)) => self.relay(token),
            Some(Phase::Shaking(_)) => self.shake(token),
            Some(Phase::Plain(_)) => self.hear_application(token),
            Some(Phase::Leaving(_)) => self.read_farewell(token),
            Some(Phase::Over) | None => {}
        }
    }

    fn phase(&self, token: Token) -> Option<&Phase> {
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

    /// There will be no TLS.
    pub(super) fn fail(&mut self, token: Token, reason: &str) {
        self.part(token, failed(reason.into()));
    }

    /// The relay has ended in this way.
    pub(super) fn finish(&mut self, token: Token, ending: Ending) {
        let counts = match self.phase(token) {
            Some(Phase::Relaying(pump)) => pump.counts(),
            _ => (0, 0),
        };
        match ending {
            Ending::Broken(_) => self.part(token, finished(counts, ending)),
            _ => {
                self.report(token, finished(counts, ending));
                self.forget(token);
            }
        }
    }

    /// The last word to the listener. It is said once.
    fn report(&mut self, token: Token, report: SessionReport) {
        if let Some(connection) = self.connections.get_mut(token)
            && !std::mem::replace(&mut connection.is_over, true)
        {
            self.reporter.report(connection.number, report);
        }
    }

    /// Parts with a client that is to read why. The application's pipes are closed before anybody is told.
    pub(super) fn part(&mut self, token: Token, report: SessionReport) {
        let client = match self.take_phase(token) {
            Phase::Plain(parts) => Some(parts.client),
            Phase::Shaking(shaking) => Some(shaking.parts.client),
            Phase::Relaying(pump) => Some(pump.into_parts().0),
            Phase::Leaving(client) => Some(client),
            Phase::Over => None,
        };
        self.report(token, report);
        let Some(client) = client else {
            return self.forget(token);
        };
        client.shut_write();
        self.set_phase(token, Phase::Leaving(client));
        self.connections.limit(token, FAREWELL);
        self.read_farewell(token);
    }

    /// Passes over what a client still says, until it has said its end too: closing before that could take back from
    /// it what it has not read yet.
    fn read_farewell(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else {
            return;
        };
        let Phase::Leaving(client) = &connection.phase else {
            return;
        };
        match client.read(&mut self.scratch.wire) {
            Ok(1..) => self.connections.enqueue(token),
            Err(Errno::EAGAIN) => {}
            Ok(0) | Err(_) => self.forget(token),
        }
    }

    /// The place is free again.
    pub(super) fn forget(&mut self, token: Token) {
        let Some(connection) = self.connections.remove(token) else {
            return;
        };
        self.scratch.account(0, connection.kept);
        self.taken -= connection.descriptors;
        if connection.control.is_none() {
            return;
        }
        let client = match connection.phase {
            Phase::Shaking(shaking) => shaking.parts.client,
            Phase::Relaying(pump) => pump.into_parts().0,
            Phase::Leaving(client) => client,
            Phase::Plain(_) | Phase::Over => return,
        };
        // The application may still have the socket: closing ours is not the end of its events.
        let _ = self.connections.epoll.delete(client);
    }
}

pub(super) fn failed(reason: String) -> SessionReport {
    let pid = std::process::id();
    SessionReport::Failed { pid, reason }
}

fn finished((received, sent): (u64, u64), ending: Ending) -> SessionReport {
    SessionReport::Finished {
        received,
        sent,
        ending,
    }
}
