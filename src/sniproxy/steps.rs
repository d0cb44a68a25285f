//! What happens with a connection from its first byte to its end.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use nix::errno::Errno;

use super::connection::{Connection, Phase};
use super::held::Held;
use super::hosts::{Announce, NoBackend};
use super::naming::is_spelled_right;
use super::router::Router;
use crate::net::preamble::{Ends, Facts};
use crate::relay::crowd::{Side, Token};
use crate::relay::forward::{End, Forward};
use crate::sys::stream::Stream;
use crate::tls::client_hello::{Alert, Refusal, Verdict};

/// How long a backend with a full queue is tried again, and how often.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(10);
/// How long a client's end is waited for when nothing but that is missing.
const LINGER: Duration = Duration::from_secs(3);

const NO_MEMORY: &str = "no memory for its ClientHello";

impl Router {
    /// Goes on with a connection as far as it goes.
    pub(super) fn step(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        match &connection.phase {
            Phase::Hello { .. } => {
                let mut bytes = std::mem::take(&mut self.tools.bytes);
                self.read_hello(token, &mut bytes);
                self.tools.bytes = bytes;
            }
            Phase::Relay(_) | Phase::Lingering(_) => self.relay(token),
            Phase::Refused { .. } => self.hear_out(token),
            Phase::Waiting { .. } | Phase::Between => {}
        }
    }

    fn read_hello(&mut self, token: Token, bytes: &mut [u8]) {
        let empty = Held::new(&self.pot);
        while let Some(connection) = self.connections.get_mut(token)
            && let Phase::Hello {
                client,
                parser,
                held,
            } = &mut connection.phase
            && client.ready.readable
        {
            let count = match client.stream.read(bytes) {
                Ok(0) => return self.refuse(token, Alert::DecodeError, "ended before its name"),
                Ok(count) => count,
                Err(Errno::EAGAIN) => {
                    client.ready.readable = false;
                    return;
                }
                Err(errno) => return self.close(token, errno.desc()),
            };
            client.ready.drained(count < bytes.len());
            let fresh = &bytes[..count];
            match parser.feed(fresh) {
                Verdict::Refused(refusal) => return self.refuse(token, refusal.alert(), refusal),
                Verdict::NeedMore if held.append(fresh) => {}
                Verdict::NeedMore => return self.refuse(token, Alert::InternalError, NO_MEMORY),
                Verdict::Name(name) => {
                    connection.name = Some(name);
                    let held = std::mem::replace(held, empty);
                    return self.route_or_wait(token, held, fresh);
                }
            }
        }
    }

    /// Looks for the backend now that the name is known.
    fn route_or_wait(&mut self, token: Token, mut held: Held, fresh: &[u8]) {
        // Mostly all came at once, and need not be kept.
        let is_whole = held.is_empty();
        if is_whole && self.route(token, fresh) {
            return;
        }
        if !held.append(fresh) {
            return self.refuse(token, Alert::InternalError, NO_MEMORY);
        }
        if is_whole || !self.route(token, held.as_slice()) {
            self.wait(token, held);
        }
    }

    /// Looks for the backend. `first` is what the client has said. False: the backend's queue is full.
    fn route(&mut self, token: Token, first: &[u8]) -> bool {
        let Some(name) = self
            .connections
            .get(token)
            .and_then(|connection| connection.name.clone())
        else {
            return true;
        };
        if !is_spelled_right(&name) {
            let refusal = Refusal::IllegalName;
            self.refuse(token, refusal.alert(), refusal);
            return true;
        }
        match self.hosts.connect(&name) {
            Ok((backend, announce)) => self.join(token, backend, announce, first),
            Err(NoBackend::Full) => return false,
            Err(why @ NoBackend::Unknown(_)) => self.refuse(token, Alert::UnrecognizedName, why),
            Err(why @ NoBackend::Failed(_)) => self.refuse(token, Alert::InternalError, why),
        }
        true
    }

    /// Has the backend tried again in a moment.
    fn wait(&mut self, token: Token, held: Held) {
        let now = self.connections.now();
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let (client, until) = match std::mem::replace(&mut connection.phase, Phase::Between) {
            Phase::Hello { client, .. } => (client, now + PATIENCE),
            Phase::Waiting { client, until, .. } => (client, until),
            other => return connection.phase = other,
        };
        connection.phase = Phase::Waiting {
            client,
            held,
            until,
        };
        self.connections.limit(token, None);
        match until <= now {
            true => self.refuse(token, Alert::InternalError, NoBackend::Full),
            false => self.connections.call(token, RETRY),
        }
    }

    /// Tries the backends again whose queues were full.
    pub(super) fn retry(&mut self) {
        while let Some(token) = self.connections.called() {
            let empty = Held::new(&self.pot);
            if let Some(connection) = self.connections.get_mut(token)
                && let Phase::Waiting { held, .. } = &mut connection.phase
            {
                let held = std::mem::replace(held, empty);
                if !self.route(token, held.as_slice()) {
                    self.wait(token, held);
                }
            }
        }
    }

    /// Joins a client and its backend.
    fn join(&mut self, token: Token, backend: Stream, announce: Announce, first: &[u8]) {
        if let Err(errno) = self.connections.watch(token, Side::Far, &backend, false) {
            return self.refuse(token, Alert::InternalError, errno.desc());
        }
        let idle = self.options.idle;
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let client = match std::mem::replace(&mut connection.phase, Phase::Between) {
            Phase::Hello { client, .. } | Phase::Waiting { client, .. } => client,
            other => return connection.phase = other,
        };
        let header = header(announce, connection, &client);
        let whole;
        let first = match header.is_empty() {
            true => first,
            false => {
                whole = [&header, first].concat();
                &whole
            }
        };
        connection.phase = Phase::Relay(Forward::new(client, backend, first));
        self.connections.limit(token, idle);
        self.relay(token);
    }

    fn relay(&mut self, token: Token) {
        let tools = &mut self.tools;
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let (Phase::Relay(forward) | Phase::Lingering(forward)) = &mut connection.phase else {
            return;
        };
        let before = forward.counts();
        forward.turn(tools);
        if forward.is_complete() {
            let outcome = match forward.is_client_gone() {
                true => "client reset",
                false => "done",
            };
            return self.close(token, outcome);
        }
        let (has_work, has_moved) = (forward.has_work(), forward.counts() != before);
        if forward.is_lingering() {
            match std::mem::replace(&mut connection.phase, Phase::Between) {
                Phase::Relay(forward) => {
                    connection.phase = Phase::Lingering(forward);
                    self.connections.limit(token, LINGER);
                }
                other => connection.phase = other,
            }
        } else if has_moved && self.options.idle.is_some() {
            self.connections.limit(token, self.options.idle);
        }
        if has_work {
            self.connections.enqueue(token);
        }
        // A Unix socket would tell of room whenever its other end reads, for nothing as long as none is missing.
        self.connections
            .watch_room(token, |connection| match &connection.phase {
                Phase::Relay(forward) => forward.blocked(),
                _ => [None, None],
            });
    }

    /// Tells the client that there is nothing for it.
    fn refuse(&mut self, token: Token, alert: Alert, why: impl fmt::Display) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let client = match std::mem::replace(&mut connection.phase, Phase::Between) {
            Phase::Hello { client, .. } | Phase::Waiting { client, .. } => client,
            other => return connection.phase = other,
        };
        // Who is gone does not hear it.
        let _ = client.stream.write(&alert.record());
        client.stream.shut_write();
        let why = why.to_string();
        connection.phase = Phase::Refused { client, why };
        self.connections.limit(token, LINGER);
        self.hear_out(token);
    }

    /// Throws away what a client sends that was refused, until it ends too.
    fn hear_out(&mut self, token: Token) {
        let bytes = &mut self.tools.bytes;
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Refused { client, why } = &mut connection.phase else {
            return;
        };
        if !client.ready.readable {
            return;
        }
        match client.stream.read(bytes) {
            Ok(count) if count > 0 => {
                client.ready.drained(count < bytes.len());
                if client.ready.readable {
                    self.connections.enqueue(token);
                }
            }
            Err(Errno::EAGAIN) => client.ready.readable = false,
            Ok(_) | Err(_) => {
                let why = std::mem::take(why);
                self.close(token, why);
            }
        }
    }

    /// The time of a phase is over.
    pub(super) fn expire(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        match &mut connection.phase {
            Phase::Hello { .. } => self.refuse(token, Alert::UserCanceled, "too slow"),
            Phase::Relay(_) => self.close(token, "idle"),
            Phase::Lingering(_) => self.close(token, "done"),
            Phase::Refused { why, .. } => {
                let why = std::mem::take(why);
                self.close(token, why);
            }
            Phase::Waiting { .. } | Phase::Between => {}
        }
    }
}

/// What the backend wants to be told before the client's first byte.
fn header(announce: Announce, connection: &Connection, client: &End) -> Vec<u8> {
    if announce == Announce::Nothing {
        return Vec::new();
    }
    // A connection has both addresses as long as we hold it.
    let local = client.stream.local().unwrap_or(connection.client);
    let ends = Ends::new(connection.client, local);
    match announce {
        Announce::Line => ends.line(),
        _ => ends.binary(&Facts {
            authority: connection.name.as_deref().map(str::as_bytes),
            ..Facts::default()
        }),
    }
}
