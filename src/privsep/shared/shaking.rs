//! From the first byte of TLS to the end of the handshake.
#![forbid(unsafe_code)]

use std::time::Duration;

use openssl::ssl::SslVersion;

use super::connection::{Phase, Shaking};
use super::event_loop::Shared;
use super::steps::failed;
use crate::privsep::message::{MAX_ENVIRONMENT, SessionReport};
use crate::privsep::session::{self, starttls};
use crate::relay::crowd::{Side, Token};
use crate::relay::handshake;
use crate::sys::descriptor;
use crate::tls::client::Demand;
use crate::tls::stream::{Shake, Tls, TlsError};

impl Shared<'_> {
    /// TLS begins, and has to be agreed on in this time.
    pub(super) fn begin_handshake(&mut self, token: Token, patience: Duration, reports: bool) {
        let Phase::Plain(parts) = self.take_phase(token) else {
            return;
        };
        // A descriptor that is open takes flags.
        let _ = descriptor::set_nonblocking(&parts.client);
        let tls = match Tls::new(&parts.service.context) {
            Ok(tls) => tls,
            Err(stack) => return self.fail(token, &stack.to_string()),
        };
        let watched = self
            .connections
            .watch(token, Side::Near, &parts.client, false);
        self.set_phase(
            token,
            Phase::Shaking(Box::new(Shaking {
                tls,
                parts: *parts,
                reports,
            })),
        );
        match watched {
            // Its first bytes are told of when they are there, be it at once.
            Ok(()) => self.connections.limit(token, patience),
            Err(errno) => self.fail(token, errno.desc()),
        }
    }

    /// Goes on with the handshake as far as what the client sent reaches.
    pub(super) fn shake(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Shaking(shaking) = &mut connection.phase else {
            return;
        };
        let (ready, client) = (&mut connection.client, &shaking.parts.client);
        let tls = &mut shaking.tls;
        let step = handshake::advance(tls, client, ready, &mut self.scratch);
        // The tickets of TLS 1.3 may wait for the first data.
        let may_wait =
            matches!(step, Ok(Shake::Done)) && tls.ssl().version2() == Some(SslVersion::TLS1_3);
        let sent = match may_wait {
            true => Ok(()),
            false => handshake::send(tls, client, ready),
        };
        let more = ready.readable;
        match (step, sent) {
            (Err(TlsError(reason)), _) => self.fail(token, &reason),
            (_, Err(errno)) => self.fail(token, errno.desc()),
            (Ok(Shake::Done), _) => self.established(token),
            (Ok(_), _) if more => self.connections.enqueue(token),
            (Ok(_), _) => {}
        }
    }

    /// TLS is agreed on: everybody is told who has to know.
    fn established(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Shaking(shaking) = &connection.phase else {
            return;
        };
        let mut environment = match shaking.verdict() {
            Ok(environment) => environment,
            Err(report) => return self.part(token, *report),
        };
        if let Some(control) = connection.control.as_ref().filter(|_| shaking.reports) {
            starttls::report(control, &environment);
        }
        if !shaking.parts.service.settings.environment {
            environment.clear();
        }
        connection.is_established = true;
        let facts = session::facts(&shaking.tls);
        let report = SessionReport::Established { facts, environment };
        self.reporter.report(connection.number, report);
        if let Phase::Shaking(shaking) = self.take_phase(token) {
            let Shaking { mut tls, parts, .. } = *shaking;
            tls.settle();
            self.begin_relay(token, tls, parts);
        }
    }

    /// The listener is gone, and nobody is left to start an application for those who shake hands.
    pub(super) fn drop_orphans(&mut self) {
        for token in self.connections.tokens() {
            if let Some(connection) = self.connections.get(token)
                && let Phase::Shaking(_) = connection.phase
                // It has its application already.
                && connection.control.is_none()
            {
                self.forget(token);
            }
        }
    }
}

impl Shaking {
    /// Whether the client is whom it must be, and what is to be told of TLS: nothing where nobody wants to know.
    fn verdict(&self) -> Result<Vec<u8>, Box<SessionReport>> {
        let service = &self.parts.service;
        if service.demand == Demand::Named {
            session::check_name(&self.tls, self.parts.host.as_deref(), self.parts.ip)
                .map_err(|reason| Box::new(SessionReport::Refused { reason }))?;
        }
        if !self.reports && !service.settings.environment {
            return Ok(Vec::new());
        }
        let environment = session::variables(&self.tls, &service.certificates);
        match environment.len() <= MAX_ENVIRONMENT {
            true => Ok(environment),
            false => Err(Box::new(failed("its SSL_ variables are too long".into()))),
        }
    }
}
