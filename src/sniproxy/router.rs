//! The loop: who is ready, whose time is over, and who has work left, each in bounded turns.
#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::admission::Pause;
use super::connection::Connection;
use super::error::Error;
use super::held::Pot;
use super::hosts::Hosts;
use super::log::{self, Access};
use super::options::Options;
use super::room::Room;
use crate::net::census::Census;
use crate::relay::crowd::{Crowd, Source, Token};
use crate::relay::forward::Tools;
use crate::relay::pipes::Pipes;
use crate::sys::signal::Signals;

/// What the program has when it begins to serve.
pub struct Parts {
    pub options: Options,
    pub socket: OwnedFd,
    pub hosts: Hosts,
    pub signals: Signals,
    pub room: Room,
}

pub struct Router {
    pub(super) options: Options,
    pub(super) hosts: Hosts,
    /// Gone when no more are accepted.
    pub(super) socket: Option<OwnedFd>,
    signals: Signals,
    pub(super) room: Room,
    pub(super) connections: Crowd<Connection>,
    pub(super) census: Census,
    pub(super) tools: Tools,
    pub(super) pause: Option<Pause>,
    /// When accepting last had to pause.
    pub(super) shortage: Option<Instant>,
    pub(super) pot: Pot,
    /// Told to end: when the rest is cut.
    draining: Option<Instant>,
    /// Why it ends otherwise than by being told to.
    pub(super) failure: Option<Error>,
}

/// What events are about beside connections.
const SOCKET: u32 = 0;
const SIGNALS: u32 = 1;

impl Router {
    pub fn new(parts: Parts) -> Result<Router, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let event = Source::Other(SIGNALS).event(EpollFlags::EPOLLIN);
        epoll.add(&parts.signals, event)?;
        let router = Router {
            options: parts.options,
            hosts: parts.hosts,
            socket: Some(parts.socket),
            signals: parts.signals,
            room: parts.room,
            connections: Crowd::new(epoll),
            census: Census::default(),
            tools: Tools::new(Pipes::new(parts.room.pipes)),
            pause: None,
            shortage: None,
            pot: Pot::default(),
            draining: None,
            failure: None,
        };
        router.listen()?;
        Ok(router)
    }

    /// Watches the listening socket. Of several copies that share it, one is woken for one client.
    pub(super) fn listen(&self) -> Result<(), Errno> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        let event = Source::Other(SOCKET).event(flags);
        self.connections.epoll.add(socket, event)
    }

    pub(super) fn unlisten(&self) {
        if let Some(socket) = &self.socket {
            // It need not be in there.
            let _ = self.connections.epoll.delete(socket);
        }
    }

    /// Serves until it is told to end and nothing is left to serve.
    pub fn run(mut self) -> Result<(), Error> {
        let mut events = [EpollEvent::empty(); 256];
        loop {
            let resting = self.pause.as_ref().and_then(Pause::end);
            let waited = self.connections.wait(&mut events, [resting, self.draining]);
            let count =
                waited.map_err(|errno| Error::fatal("unable to wait for events", errno.desc()))?;
            for event in &events[..count] {
                self.dispatch(event);
            }
            for _ in 0..self.connections.turns() {
                if let Some(token) = self.connections.take_turn() {
                    self.step(token);
                }
            }
            self.retry();
            while let Some(token) = self.connections.expired() {
                self.expire(token);
            }
            self.resume();
            if let Some(end) = self.draining {
                if self.connections.is_empty() {
                    return self.failure.map_or(Ok(()), Err);
                }
                if end <= self.connections.now() {
                    return Err(self.cut());
                }
            }
            self.connections.tidy(|| ());
        }
    }

    fn dispatch(&mut self, event: &EpollEvent) {
        match Source::of(event) {
            Source::Member(token, side) => {
                if let Some(connection) = self.connections.get_mut(token) {
                    connection.notice(event.events().into(), side);
                    self.step(token);
                }
            }
            Source::Other(SOCKET) => self.accept(),
            Source::Other(_) => {
                while let Some(signal) = self.signals.next() {
                    if self.draining.is_none() {
                        log::announce(format_args!("got {signal}, shutting down"));
                        self.drain();
                    }
                }
            }
        }
    }

    /// Forgets a connection that is over.
    pub(super) fn close(&mut self, token: Token, outcome: impl fmt::Display) {
        let Some(connection) = self.connections.remove(token) else {
            return;
        };
        if self.options.per_client.is_some() {
            self.census.leave(connection.network());
        }
        self.report(&connection, &outcome);
    }

    /// Writes the line about a connection, if lines are wanted.
    pub(super) fn report(&self, connection: &Connection, outcome: &dyn fmt::Display) {
        if self.options.log {
            let now = self.connections.now();
            log::line(Access {
                client: connection.client,
                name: connection.name.as_deref(),
                counts: connection.counts(),
                time: now.saturating_duration_since(connection.since),
                outcome,
            });
        }
    }

    /// Accepts no more. Who is queued already is served.
    pub(super) fn drain(&mut self) {
        self.pause = None;
        self.accept_queued();
        self.unlisten();
        self.socket = None;
        self.pause = None;
        self.draining = self.connections.now().checked_add(self.options.drain);
    }

    /// Ends what is left.
    fn cut(&mut self) -> Error {
        let left = self.connections.len();
        for token in self.connections.tokens() {
            self.close(token, "cut");
        }
        let seconds = self.options.drain.as_secs();
        Error::Fatal(format!("{left} connections cut after {seconds} seconds"))
    }
}
