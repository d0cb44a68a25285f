//! From the end of the handshake to the last byte.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::connection::{Parts, Phase};
use super::event_loop::Shared;
use crate::privsep::message::Ending;
use crate::privsep::session::LINGER;
use crate::relay::crowd::{Side, Token};
use crate::relay::plain::Pipes;
use crate::relay::pump::{Pump, Readiness};
use crate::tls::stream::{Tls, TlsError};

/// Tickets wait so long for a first answer, to go with it: that spares a packet and the client a wake-up.
const HOLD: Duration = Duration::from_millis(20);

impl Shared<'_> {
    pub(super) fn begin_relay(&mut self, token: Token, tls: Tls, parts: Parts) {
        let connections = &self.connections;
        let watched = connections
            .watch(token, Side::Far, &parts.input, false)
            .and_then(|()| connections.watch(token, Side::Back, &parts.output, false));
        let pipes = Pipes::new(parts.input, parts.output);
        let mut pump = Pump::new(tls, parts.client, pipes, &[]);
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        pump.know(connection.client, Readiness::default());
        pump.hold();
        let held = pump.is_held();
        let verdict = pump.start(&mut self.scratch);
        connection.phase = Phase::Relaying(pump);
        if let Err(errno) = watched {
            return self.finish(token, Ending::Broken(errno.desc().into()));
        }
        if held {
            self.connections.call(token, HOLD);
        }
        match verdict {
            Ok(()) => self.relay(token),
            Err(TlsError(reason)) => self.finish(token, Ending::Broken(reason)),
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
        let verdict = pump.turn(&mut self.scratch);
        let kept = pump.kept();
        self.scratch.account(kept, connection.kept);
        connection.kept = kept;
        if let Err(TlsError(reason)) = verdict {
            return self.finish(token, Ending::Broken(reason));
        }
        if pump.is_complete() {
            let ending = match pump.peer_gone() {
                Some(errno) => Ending::ClientGone(errno.desc().into()),
                None => Ending::Complete,
            };
            return self.finish(token, ending);
        }
        let more = pump.has_work();
        if !more {
            pump.release();
        }
        let idle = self.orders.session.idle;
        let lingers = pump.is_lingering();
        match lingers && std::mem::replace(&mut connection.lingers, lingers) {
            // Nobody is left to hear what the client says; its time does not begin anew.
            true => {}
            false if lingers => self.connections.limit(token, idle.min(LINGER)),
            false => self.connections.limit(token, idle),
        }
        if more {
            self.connections.enqueue(token);
        }
    }

    /// Lets what the handshake left be sent where no data came in time to go with it.
    pub(super) fn let_go(&mut self, token: Token) {
        self.guarded(token, |shared| {
            if let Some(connection) = shared.connections.get_mut(token)
                && let Phase::Relaying(pump) = &mut connection.phase
            {
                pump.let_go(&mut shared.scratch);
            }
        });
    }

    /// Nothing moved for too long, or the client hangs on after everything is said.
    pub(super) fn relay_expired(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Relaying(pump) = &mut connection.phase else {
            return;
        };
        if pump.is_lingering() {
            // The application was heard to the end; a client that never closes is its own affair.
            self.finish(token, Ending::Complete);
        } else if pump.has_input() {
            // First the application is told that nothing more comes; it may have something to say to that.
            pump.end_input();
            self.relay(token);
        } else {
            self.finish(token, Ending::Idle);
        }
    }
}
