//! Connections that begin in plain text: the application says when TLS begins (ucspi-tls, `-n`). Until then nothing of
//! the client's is touched.
#![forbid(unsafe_code)]

use super::connection::Phase;
use super::event_loop::Shared;
use crate::privsep::message::Ending;
use crate::privsep::session::starttls::{self, Command};
use crate::relay::crowd::Token;

impl Shared<'_> {
    /// Hears what the application has said on its channel.
    pub(super) fn hear_application(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else {
            return;
        };
        let Some(control) = &connection.control else {
            return;
        };
        let Some(command) = starttls::hear(control) else {
            return;
        };
        // It has said all that counts.
        let _ = self.connections.epoll.delete(control);
        let patience = self.orders.session.handshake;
        match command {
            Command::Start => self.begin_handshake(token, patience, false),
            Command::StartAndReport => self.begin_handshake(token, patience, true),
            Command::None => self.finish(token, Ending::Plain),
            Command::Idle => self.finish(token, Ending::Idle),
        }
    }

    /// The time of `-w` is over; what was said in plain text meanwhile counts.
    pub(super) fn plain_expired(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else {
            return;
        };
        let Phase::Plain(parts) = &connection.phase else {
            return;
        };
        match starttls::rest(&parts.client, self.orders.session.idle) {
            Some(rest) => self.connections.limit(token, rest),
            None => self.finish(token, Ending::Idle),
        }
    }
}
