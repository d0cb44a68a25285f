//! Taking in the connections that the listener hands over.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::connection::{Connection, Parts, Phase};
use super::event_loop::Shared;
use super::steps::failed;
use crate::privsep::message::{ConnectionOrder, Ending, FromTerminator};
use crate::relay::crowd::{Side, Token};
use crate::relay::pump::Readiness;
use crate::sys::descriptor;
use crate::sys::stream::Stream;

/// The most descriptors that a connection has.
pub const MOST_ENDS: usize = 4;

impl Shared<'_> {
    pub(super) fn welcome(&mut self, order: ConnectionOrder, ends: Vec<OwnedFd>) {
        let service = match self.services.get(&order.set) {
            Some(service) => service.clone(),
            None => Err("no such set of keys".into()),
        };
        let descriptors = ends.len();
        let mut ends = ends.into_iter();
        let parts = service.and_then(|service| match (ends.next(), ends.next(), ends.next()) {
            (Some(client), Some(input), Some(output)) => Ok(Parts {
                service,
                client: Stream::from(client),
                input,
                output,
                ip: order.client,
                host: order.host,
            }),
            _ => Err("its descriptors are missing".into()),
        });
        let parts = match parts {
            Ok(parts) => parts,
            Err(reason) => return self.reporter.report(order.number, failed(reason)),
        };
        let control = ends.next();
        for end in [Some(&parts.input), Some(&parts.output), control.as_ref()] {
            // A descriptor that is open takes flags.
            let _ = end.map(descriptor::set_nonblocking);
        }
        let is_delayed = control.is_some();
        let token = self.connections.admit(Connection {
            number: order.number,
            phase: Phase::Plain(Box::new(parts)),
            client: Readiness::default(),
            control,
            descriptors,
            kept: 0,
            is_established: false,
            is_over: false,
            lingers: false,
        });
        self.take_room(descriptors);
        self.guarded(token, |shared| match is_delayed {
            true => shared.wait_for_command(token),
            false => {
                let patience = Duration::from_millis(order.patience.into());
                shared.begin_handshake(token, patience, false);
            }
        });
    }

    /// Watches the application's channel. What the client says meanwhile is not for us.
    fn wait_for_command(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else {
            return;
        };
        let control = connection.control.as_ref();
        let watched = control.map(|end| self.connections.watch(token, Side::Aside, end, false));
        match watched {
            // It stays as it is.
            Some(Err(_)) => self.finish(token, Ending::Plain),
            _ => self.connections.limit(token, self.orders.session.idle),
        }
    }

    /// Another one might not find descriptors enough, and be lost: it waits in the channel until some have gone.
    fn take_room(&mut self, descriptors: usize) {
        self.taken += descriptors;
        if self.taken + MOST_ENDS > self.room && !self.is_full {
            self.is_full = true;
            let reason = "as many connections as there are descriptors for";
            self.reporter.tell(FromTerminator::Short(reason.into()));
        }
    }
}
