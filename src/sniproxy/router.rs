//! The loop: who is ready, whose time is over, and who has work left, each in bounded turns.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use slab::Slab;

use super::admission::Pause;
use super::connection::Connection;
use super::error::Error;
use super::held::Pot;
use super::hosts::Hosts;
use super::log::{self, Access};
use super::options::Options;
use super::room::Room;
use crate::net::census::Census;
use crate::relay::forward::Tools;
use crate::relay::pipes::Pipes;
use crate::relay::wheel::{Tick, Wheel};
use crate::sys::descriptor::Ready;
use crate::sys::heap;
use crate::sys::signal::Signals;

/// After so much quiet the heap's free pages are given back.
const QUIET: Duration = Duration::from_secs(2);

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
    pub(super) epoll: Epoll,
    pub(super) connections: Slab<Connection>,
    pub(super) census: Census,
    pub(super) tools: Tools,
    pub(super) now: Instant,
    pub(super) pause: Option<Pause>,
    /// When accepting last had to pause.
    pub(super) shortage: Option<Instant>,
    /// Those whose backend has a full queue, and when it is tried again; in this order.
    pub(super) waiting: VecDeque<(Instant, Token)>,
    pub(super) pot: Pot,
    /// Told to end: when the rest is cut.
    draining: Option<Instant>,
    /// Why it ends otherwise than by being told to.
    pub(super) failure: Option<Error>,
    wheel: Wheel<Token>,
    /// Connections that have work left, in turn.
    queue: VecDeque<Token>,
    generation: u32,
    /// Memory was used since it was last given back.
    is_loose: bool,
}

/// A connection by its place and who had it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub place: u32,
    pub generation: u32,
}

/// What an event is about, as a number: a connection's generation, its place, and two bits.
#[derive(Clone, Copy)]
pub enum Source {
    Client(Token),
    Backend(Token),
    Socket,
    Signals,
}

const PLACE_BITS: u32 = 30;

impl Source {
    fn number(self) -> u64 {
        let (kind, token) = match self {
            Source::Client(token) => (0, token),
            Source::Backend(token) => (1, token),
            Source::Socket => return 2,
            Source::Signals => return 3,
        };
        u64::from(token.generation) << 32 | u64::from(token.place) << 2 | kind
    }

    fn from_number(number: u64) -> Source {
        let token = Token {
            place: (number >> 2) as u32 & ((1 << PLACE_BITS) - 1),
            generation: (number >> 32) as u32,
        };
        match number & 3 {
            0 => Source::Client(token),
            1 => Source::Backend(token),
            2 => Source::Socket,
            _ => Source::Signals,
        }
    }
}

impl Router {
    pub fn new(parts: Parts) -> Result<Router, Errno> {
        let now = Instant::now();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, Source::Signals.number());
        epoll.add(&parts.signals, event)?;
        let router = Router {
            options: parts.options,
            hosts: parts.hosts,
            socket: Some(parts.socket),
            signals: parts.signals,
            room: parts.room,
            epoll,
            connections: Slab::new(),
            census: Census::default(),
            tools: Tools::new(Pipes::new(parts.room.pipes)),
            now,
            pause: None,
            shortage: None,
            waiting: VecDeque::new(),
            pot: Pot::default(),
            draining: None,
            failure: None,
            wheel: Wheel::new(now),
            queue: VecDeque::new(),
            generation: 0,
            is_loose: true,
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
        self.epoll
            .add(socket, EpollEvent::new(flags, Source::Socket.number()))
    }

    pub(super) fn unlisten(&self) {
        if let Some(socket) = &self.socket {
            // It need not be in there.
            let _ = self.epoll.delete(socket);
        }
    }

    /// Serves until it is told to end and nothing is left to serve.
    pub fn run(mut self) -> Result<(), Error> {
        let mut events = [EpollEvent::empty(); 256];
        let mut due = Vec::new();
        loop {
            let count = match self.epoll.wait(&mut events, self.patience()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(Error::fatal("unable to wait for events", errno.desc())),
            };
            self.now = Instant::now();
            for event in &events[..count] {
                self.dispatch(event);
            }
            for _ in 0..self.queue.len() {
                if let Some(token) = self.queue.pop_front()
                    && let Some(connection) = self.find(token)
                {
                    connection.is_queued = false;
                    self.step(token);
                }
            }
            self.retry();
            self.turn_wheel(&mut due);
            self.resume();
            if let Some(end) = self.draining {
                if self.connections.is_empty() {
                    return self.failure.map_or(Ok(()), Err);
                }
                if end <= self.now {
                    return Err(self.cut());
                }
            }
            if count == 0 && self.queue.is_empty() && std::mem::take(&mut self.is_loose) {
                heap::trim();
            }
        }
    }

    fn patience(&self) -> EpollTimeout {
        if !self.queue.is_empty() {
            return EpollTimeout::ZERO;
        }
        let until = |at: Instant| at.saturating_duration_since(self.now);
        let waits = [
            self.wheel.wait(self.now),
            self.waiting.front().map(|&(at, _)| until(at)),
            self.pause.as_ref().and_then(Pause::end).map(until),
            self.draining.map(until),
            self.is_loose.then_some(QUIET),
        ];
        match waits.into_iter().flatten().min() {
            None => EpollTimeout::NONE,
            Some(wait) => {
                // Rounded up: waking a moment early would mean to spin until the moment comes.
                let milliseconds = wait.as_millis().saturating_add(1);
                EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
            }
        }
    }

    fn dispatch(&mut self, event: &EpollEvent) {
        match Source::from_number(event.data()) {
            Source::Client(token) => self.notice(token, event.events().into(), true),
            Source::Backend(token) => self.notice(token, event.events().into(), false),
            Source::Socket => self.accept(),
            Source::Signals => {
                while let Some(signal) = self.signals.next() {
                    if self.draining.is_none() {
                        log::announce(format_args!("got {signal}, shutting down"));
                        self.drain();
                    }
                }
            }
        }
    }

    /// Takes in what the kernel says of one of a connection's sockets, and goes on with it.
    fn notice(&mut self, token: Token, ready: Ready, is_client: bool) {
        if let Some(connection) = self.find(token) {
            connection.notice(ready, is_client);
            self.step(token);
        }
    }

    pub(super) fn find(&mut self, token: Token) -> Option<&mut Connection> {
        let found = self.connections.get_mut(token.place as usize);
        found.filter(|connection| connection.generation == token.generation)
    }

    /// Makes a place for a connection.
    pub(super) fn admit(&mut self, mut connection: Connection) -> Token {
        self.generation = self.generation.wrapping_add(1);
        connection.generation = self.generation;
        self.is_loose = true;
        Token {
            generation: self.generation,
            place: self.connections.insert(connection) as u32,
        }
    }

    /// Has the kernel tell of a socket, once for every change.
    pub(super) fn watch(&self, end: impl AsFd, source: Source) -> Result<(), Errno> {
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        self.epoll.add(end, EpollEvent::new(flags, source.number()))
    }

    /// Lets a connection have another turn after the others.
    pub(super) fn enqueue(&mut self, token: Token) {
        if let Some(connection) = self.find(token)
            && !std::mem::replace(&mut connection.is_queued, true)
        {
            self.queue.push_back(token);
        }
    }

    /// Sets when the present phase of a connection is over at the latest.
    pub(super) fn limit(&mut self, token: Token, time: Option<Duration>) {
        let deadline = time.and_then(|time| self.now.checked_add(time));
        let tick = deadline.map(|deadline| self.wheel.tick(deadline));
        let Some(connection) = self.find(token) else {
            return;
        };
        connection.deadline = deadline;
        let Some(tick) = tick else {
            return;
        };
        // A later time needs no new place: it is looked at when the old one comes back.
        if connection.alarm.is_none_or(|alarm| alarm > tick) {
            connection.alarm = Some(tick);
            self.wheel.insert(tick, token);
        }
    }

    fn turn_wheel(&mut self, due: &mut Vec<(Tick, Token)>) {
        self.wheel.turn(self.now, due);
        for (tick, token) in due.drain(..) {
            let now = self.now;
            let Some(connection) = self.find(token) else {
                continue;
            };
            if connection.alarm != Some(tick) {
                continue;
            }
            connection.alarm = None;
            match connection.deadline {
                None => {}
                Some(deadline) if deadline <= now => self.expire(token),
                Some(deadline) => self.limit(token, Some(deadline - now)),
            }
        }
    }

    /// Forgets a connection that is over.
    pub(super) fn close(&mut self, token: Token, outcome: impl fmt::Display) {
        if self.find(token).is_none() {
            return;
        }
        let connection = self.connections.remove(token.place as usize);
        if self.options.per_client.is_some() {
            self.census.leave(connection.network());
        }
        self.report(&connection, &outcome);
    }

    /// Writes the line about a connection, if lines are wanted.
    pub(super) fn report(&self, connection: &Connection, outcome: &dyn fmt::Display) {
        if self.options.log {
            log::line(Access {
                client: connection.client,
                name: connection.name.as_deref(),
                counts: connection.counts(),
                time: self.now.saturating_duration_since(connection.since),
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
        self.draining = self.now.checked_add(self.options.drain);
    }

    /// Ends what is left.
    fn cut(&mut self) -> Error {
        let left = self.connections.len();
        let tokens: Vec<Token> = self
            .connections
            .iter()
            .map(|(place, connection)| Token {
                place: place as u32,
                generation: connection.generation,
            })
            .collect();
        for token in tokens {
            self.close(token, "cut");
        }
        let seconds = self.options.drain.as_secs();
        Error::Fatal(format!("{left} connections cut after {seconds} seconds"))
    }
}
