//! From the backend's first address to the last byte.
#![forbid(unsafe_code)]

use std::time::Duration;

use nix::errno::Errno;

use super::connection::{Dialing, Phase, Shaking};
use super::counters::Count;
use super::dial::{Dial, Dialed};
use super::event_loop::Worker;
use crate::privsep::message::Finish;
use crate::relay::crowd::{Side, Token};
use crate::relay::plain::Socket;
use crate::relay::pump::Pump;
use crate::sys::stream::Stream;
use crate::tls::stream::{Tls, TlsError};

/// Tickets wait so long for a first answer, to go with it: that spares a packet and the client a wake-up.
const HOLD: Duration = Duration::from_millis(20);
/// How long a client may hang on after the backend is gone and has been heard.
const LINGER: Duration = Duration::from_secs(5);
/// A connection of which only one direction is left may be quiet for so long: most are forgotten by their client.
const HALF_CLOSED: Duration = Duration::from_secs(60);

impl Worker<'_> {
    pub(super) fn dialing(
        &self,
        client: Stream,
        tls: Option<Tls>,
        preamble: Vec<u8>,
        frontend: u16,
    ) -> Phase {
        let backend = &self.backends[self.backend_of(frontend)];
        Phase::Dialing(Box::new(Dialing {
            client,
            tls,
            preamble,
            dial: Dial::new(backend, self.connections.now()),
        }))
    }

    /// The place of a frontend's backend.
    fn backend_of(&self, frontend: u16) -> usize {
        usize::from(self.orders.frontends[usize::from(frontend)].backend)
    }

    /// Tries addresses until one connects, may connect, or none is left.
    pub(super) fn dial(&mut self, token: Token) {
        loop {
            let Some(connection) = self.connections.get_mut(token) else {
                return;
            };
            let place =
                usize::from(self.orders.frontends[usize::from(connection.frontend)].backend);
            // It may have broken off while it still shook hands, which is not told again.
            if connection.near.is_broken() {
                return self.client_left(token);
            }
            let Phase::Dialing(dialing) = &mut connection.phase else {
                return;
            };
            connection.far = Default::default();
            let outcome = dialing.dial.attempt(&self.backends[place]);
            match outcome {
                Dialed::Connected => return self.connected(token),
                Dialed::Pending => return self.await_backend(token),
                Dialed::Failed(errno) => {
                    if !self.try_next(token, errno) {
                        return;
                    }
                }
            }
        }
    }

    fn await_backend(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Dialing(dialing) = &mut connection.phase else {
            return;
        };
        // What the handshake left does not wait as long as this may take.
        if let Some(tls) = &mut dialing.tls
            && let Ok(count) = dialing.client.write(tls.wire().output.as_slice())
        {
            tls.wire().output.consume(count);
        }
        let again = dialing.dial.again;
        let Some(Phase::Dialing(dialing)) = self.phase_of(token) else {
            return;
        };
        let stream = dialing.dial.stream.as_ref();
        let watched = stream.is_some_and(|stream| {
            self.connections
                .watch(token, Side::Far, stream, true)
                .is_ok()
        });
        let wait = match watched && !again {
            true => self.orders.times.connect,
            false => Duration::ZERO,
        };
        self.connections.limit(token, wait);
    }

    /// Something happened while the backend was waited for.
    pub(super) fn dial_on(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Dialing(dialing) = &mut connection.phase else {
            return;
        };
        if connection.near.is_broken() {
            return self.client_left(token);
        }
        if dialing.dial.stream.is_none() {
            return self.dial(token);
        }
        // A fresh socket is always thought writable; only an event says that it is decided.
        let decided = connection.far.is_known();
        if !decided || dialing.dial.again {
            return;
        }
        match dialing.dial.outcome() {
            Dialed::Failed(errno) => {
                if self.try_next(token, errno) {
                    self.dial(token);
                }
            }
            _ => self.connected(token),
        }
    }

    fn client_left(&mut self, token: Token) {
        let finish = Finish::ClientGone("before its backend was there".into());
        self.finish(token, finish);
    }

    pub(super) fn dial_expired(&mut self, token: Token) {
        let now = self.connections.now();
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Dialing(dialing) = &mut connection.phase else {
            return;
        };
        let spent = now.saturating_duration_since(dialing.dial.since);
        if dialing.dial.again && spent < self.orders.times.connect {
            dialing.dial.stream = None;
            return self.dial(token);
        }
        if self.try_next(token, Errno::ETIMEDOUT) {
            self.dial(token);
        }
    }

    /// An address does not answer. False if there is no other, and the connection is over.
    fn try_next(&mut self, token: Token, errno: Errno) -> bool {
        let now = self.connections.now();
        self.reporter.count(Count::BackendErrors, 1);
        let Some(connection) = self.connections.get_mut(token) else {
            return false;
        };
        let place = usize::from(self.orders.frontends[usize::from(connection.frontend)].backend);
        let Phase::Dialing(dialing) = &mut connection.phase else {
            return false;
        };
        if dialing.dial.advance(&self.backends[place], now) {
            return true;
        }
        // The client hears that it was no attack.
        if let Some(tls) = &mut dialing.tls {
            tls.close();
            let _ = dialing.client.write(tls.wire().output.as_slice());
        }
        self.reporter.unreached(place as u16, errno.desc(), now);
        self.finish(token, Finish::Unreached(errno.desc().into()));
        false
    }

    fn connected(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let place = usize::from(self.orders.frontends[usize::from(connection.frontend)].backend);
        let known = connection.far.is_known();
        let frontend = connection.frontend;
        let Phase::Dialing(dialing) = self.take_phase(token) else {
            return;
        };
        let Dialing {
            client,
            tls,
            preamble,
            mut dial,
        } = *dialing;
        let Some(backend) = dial.stream.take() else {
            return self.forget(token);
        };
        dial.praise(&mut self.backends[place]);
        let connections = &self.connections;
        if !known
            && connections
                .watch(token, Side::Far, &backend, false)
                .is_err()
        {
            return self.forget(token);
        }
        match tls {
            Some(tls) => self.begin_relay(token, tls, client, backend, &preamble),
            None => match self.contexts.connect(frontend, &self.backends[place].host) {
                Ok(tls) => {
                    self.set_phase(
                        token,
                        Phase::Shaking(Box::new(Shaking {
                            tls,
                            peer: backend,
                            client: Some(client),
                            header: Vec::new(),
                            asked: None,
                        })),
                    );
                    self.connections.limit(token, self.orders.times.handshake);
                    self.connections.enqueue(token);
                }
                Err(TlsError(reason)) => self.finish(token, Finish::Handshake(reason)),
            },
        }
    }

    /// Both sides are there: `peer` speaks TLS, `plain` does not.
    pub(super) fn begin_relay(
        &mut self,
        token: Token,
        tls: Tls,
        peer: Stream,
        plain: Stream,
        preamble: &[u8],
    ) {
        let mut pump = Pump::new(tls, peer, Socket::new(plain), preamble);
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        match connection.turned {
            false => pump.know(connection.near, connection.far),
            true => pump.know(connection.far, connection.near),
        }
        match connection.turned {
            true => pump.be_strict(),
            false => pump.hold(),
        }
        let held = pump.is_held();
        let verdict = pump.start(&mut self.scratch);
        connection.phase = Phase::Relaying(pump);
        self.connections.limit(token, self.orders.times.idle);
        if held {
            self.connections.call(token, HOLD);
        }
        match verdict {
            Ok(()) => self.relay(token),
            Err(TlsError(reason)) => self.finish(token, Finish::Broken(reason)),
        }
    }

    /// One turn of a connection's pump.
    pub(super) fn relay(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Relaying(pump) = &mut connection.phase else {
            return;
        };
        let before = pump.counts();
        let was_lingering = pump.is_lingering();
        let verdict = pump.turn(&mut self.scratch);
        let kept = pump.kept();
        self.scratch.account(kept, connection.kept);
        connection.kept = kept;
        let (received, sent) = pump.counts();
        self.reporter.count(Count::Received, received - before.0);
        self.reporter.count(Count::Sent, sent - before.1);
        if let Err(TlsError(reason)) = verdict {
            return self.finish(token, Finish::Broken(reason));
        }
        if pump.is_complete() {
            let finish = match (pump.peer_gone(), pump.plain_cut()) {
                (Some(errno), _) => Finish::ClientGone(errno.desc().into()),
                (None, Some(errno)) => Finish::BackendGone(errno.desc().into()),
                (None, None) => Finish::Complete,
            };
            return self.finish(token, finish);
        }
        let lingers = pump.is_lingering();
        let idle = match pump.is_closed() {
            true => self.orders.times.idle.min(HALF_CLOSED),
            false => self.orders.times.idle,
        };
        let more = pump.has_work();
        if !more {
            pump.release();
        }
        match lingers {
            // Nobody is left to hear what the client says; its time does not begin anew.
            true if was_lingering => {}
            true => self.connections.limit(token, LINGER),
            false => self.connections.limit(token, idle),
        }
        if more {
            self.connections.enqueue(token);
        }
    }

    /// Nothing moved for too long, or the client hangs on after everything is said.
    pub(super) fn relay_expired(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else {
            return;
        };
        let Phase::Relaying(pump) = &connection.phase else {
            return;
        };
        let finish = match pump.is_lingering() {
            true => Finish::Complete,
            false => Finish::Idle,
        };
        self.finish(token, finish);
    }
}
