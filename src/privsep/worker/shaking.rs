//! From a client's first byte to the end of the handshake.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use openssl::ssl::SslVersion;

use super::announce;
use super::connection::{Phase, Shaking};
use super::event_loop::Worker;
use crate::net::proxy_header::{Announced, MAX_HEADER};
use crate::privsep::message::{Finish, ToStore};
use crate::relay::crowd::Token;
use crate::relay::handshake;
use crate::sys::stream::Stream;
use crate::tls::sessions;
use crate::tls::stream::{Shake, TlsError};

impl Worker<'_> {
    /// The first phase of a client that has no PROXY header, or no more of it.
    pub(super) fn begin(
        &mut self,
        client: Stream,
        frontend: u16,
        header: Vec<u8>,
    ) -> Result<Phase, TlsError> {
        if self.orders.client {
            return Ok(self.dialing(client, None, Vec::new(), frontend));
        }
        Ok(Phase::Shaking(Box::new(Shaking {
            tls: self.contexts.accept(frontend)?,
            peer: client,
            client: None,
            header,
            asked: None,
        })))
    }

    /// Takes the PROXY header from the client, and not a byte more: it looks before it takes.
    pub(super) fn read_header(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Phase::Header { client, parser } = &mut connection.phase else {
            return;
        };
        let count = match client.peek(&mut self.scratch.wire[..MAX_HEADER]) {
            Ok(0) => return self.finish(token, Finish::Handshake("no PROXY header".into())),
            Ok(count) => count,
            Err(Errno::EAGAIN) => return,
            Err(errno) => return self.finish(token, Finish::Handshake(errno.desc().into())),
        };
        let (taken, announced) = match parser.take(&self.scratch.wire[..count]) {
            Ok(taken) => taken,
            Err(bad) => return self.finish(token, Finish::Handshake(bad.to_string())),
        };
        // They were just there.
        let _ = client.read(&mut self.scratch.wire[..taken]);
        let Some(announced) = announced else {
            return;
        };
        if let Announced::Ends { remote, .. } = announced {
            connection.announced = Some(remote);
        }
        connection.near.readable = true;
        let frontend = connection.frontend;
        let Phase::Header { client, parser } = self.take_phase(token) else {
            return;
        };
        match self.begin(client, frontend, parser.into_bytes()) {
            Ok(phase) => {
                self.set_phase(token, phase);
                self.connections.limit(token, self.orders.times.handshake);
                self.connections.enqueue(token);
            }
            Err(TlsError(reason)) => self.finish(token, Finish::Handshake(reason)),
        }
    }

    /// Goes on with the handshake as far as what the peer sent reaches.
    pub(super) fn shake(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let ready = match connection.turned {
            true => &mut connection.far,
            false => &mut connection.near,
        };
        let Phase::Shaking(shaking) = &mut connection.phase else {
            return;
        };
        if shaking.asked.is_some() {
            // The store has the word; what the client says meanwhile stays in the kernel.
            return;
        }
        let Shaking {
            tls, peer, client, ..
        } = &mut **shaking;
        let step = handshake::advance(tls, peer, ready, &mut self.scratch);
        // The tickets of TLS 1.3 may wait.
        let may_wait = matches!(step, Ok(Shake::Done))
            && client.is_none()
            && tls.ssl().version2() == Some(SslVersion::TLS1_3);
        let sent = match may_wait {
            true => Ok(()),
            false => handshake::send(tls, peer, ready),
        };
        while let (Some(store), Some(put)) = (&self.store, sessions::take_put()) {
            let put = ToStore::Put {
                id: put.id,
                lifetime: put.lifetime,
                sealed: put.sealed,
            };
            // A store that has no time has no room.
            let _ = store.try_send(&put, &[]);
        }
        let more = ready.readable;
        match (step, sent) {
            (Err(TlsError(reason)), _) => self.finish(token, Finish::Handshake(reason)),
            (_, Err(errno)) => self.finish(token, Finish::Handshake(errno.desc().into())),
            (Ok(Shake::Done), _) => self.established(token),
            (Ok(Shake::More), _) if more => self.connections.enqueue(token),
            (Ok(Shake::More), _) => {}
            (Ok(Shake::Suspended), _) => self.ask_store(token),
        }
    }

    fn ask_store(&mut self, token: Token) {
        let wish = sessions::take_wish();
        let asked = match (&self.store, &wish) {
            (Some(store), Some(wish)) => {
                let get = ToStore::Get {
                    token: token.number(),
                    id: wish.id,
                    once: wish.once,
                };
                store.try_send(&get, &[]).is_ok()
            }
            _ => false,
        };
        let Some(Phase::Shaking(shaking)) = self.phase(token) else {
            return;
        };
        shaking.asked = wish.map(|wish| wish.id);
        if !asked {
            // Without the store every session is a new one.
            self.supply(token, None);
        }
    }

    /// Takes in what the store answers.
    pub(super) fn hear_store(&mut self) {
        let Some(store) = &self.store else {
            return;
        };
        match store.try_receive() {
            Ok(Some((found, _))) => {
                self.supply(Token::from_number(found.token), found.sealed);
            }
            Ok(None) => {}
            Err(_) => {
                let _ = self.connections.epoll.delete(store.as_fd());
                self.store = None;
                for token in self.connections.tokens() {
                    self.supply(token, None);
                }
            }
        }
    }

    /// Goes on with a handshake that waited for the store.
    fn supply(&mut self, token: Token, sealed: Option<Vec<u8>>) {
        if let Some(Phase::Shaking(shaking)) = self.phase(token)
            && let Some(id) = shaking.asked.take()
        {
            sessions::supply(id, sealed);
            self.shake(token);
        }
    }

    /// TLS is agreed on.
    fn established(&mut self, token: Token) {
        let (frontend, preamble) = match self.connections.get_mut(token) {
            Some(connection) => {
                connection.shaken = true;
                let preamble = announce::preamble(self.orders.preamble, connection);
                (connection.frontend, preamble)
            }
            None => return,
        };
        let Phase::Shaking(mut shaking) = self.take_phase(token) else {
            return;
        };
        self.count_handshake(&shaking.tls);
        shaking.tls.settle();
        let Shaking {
            tls,
            peer,
            client,
            mut header,
            ..
        } = *shaking;
        match client {
            Some(client) => self.begin_relay(token, tls, peer, client, &[]),
            None => {
                header.extend(preamble);
                let phase = self.dialing(peer, Some(tls), header, frontend);
                self.set_phase(token, phase);
                self.dial(token);
            }
        }
    }
}

impl Shaking {
    /// The peer's socket, if it has no room for what is to be sent.
    pub fn blocked(&mut self) -> [Option<BorrowedFd<'_>>; 2] {
        [handshake::blocked(&mut self.tls, &self.peer), None]
    }
}
