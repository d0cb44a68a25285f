//! The loop of a worker: what is ready, whose time is over, and who has work left, each in bounded turns, so that one
//! busy connection does not keep a thousand small ones waiting.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use slab::Slab;

use super::accept::Listener;
use super::connection::{Connection, Phase};
use super::contexts::Contexts;
use super::counters::Counts;
use super::dial::Backend;
use super::orders::Orders;
use super::report::Reporter;
use crate::privsep::message::{ToWorker, WorkerToParent, WorkerToStore};
use crate::relay::buffer::Scratch;
use crate::relay::wheel::{Tick, Wheel};
use crate::sys::descriptor::Ready;
use crate::sys::heap;

/// After so much quiet the heap's free pages are given back.
const QUIET: Duration = Duration::from_secs(2);
/// So many connections are worth the search for free pages, when half of them have gone, though it is never quiet.
const MANY: usize = 1024;

/// Tickets wait so long for a first answer, to go with it: that spares a packet and the client a wake-up.
const HOLD: Duration = Duration::from_millis(20);

/// What a worker starts with.
pub struct Given<'a> {
    pub orders: &'a Orders,
    pub counts: &'a Counts,
    pub parent: WorkerToParent,
    pub epoll: Epoll,
    pub contexts: Contexts,
    pub store: Option<WorkerToStore>,
    pub listeners: Vec<(OwnedFd, u16)>,
    /// Becomes true when the signer is gone.
    pub lost: Arc<AtomicBool>,
}

pub struct Worker<'a> {
    pub(super) orders: &'a Orders,
    pub(super) reporter: Reporter<'a>,
    pub(super) contexts: Contexts,
    pub(super) store: Option<WorkerToStore>,
    pub(super) backends: Vec<Backend>,
    pub(super) listeners: Vec<Listener>,
    pub(super) connections: Slab<Connection>,
    pub(super) epoll: Epoll,
    pub(super) scratch: Scratch,
    pub(super) now: Instant,
    /// How many events the present turn has.
    pub(super) at_once: usize,
    /// When accepting may be tried again.
    pub(super) paused: Option<Instant>,
    /// Told to drain: when the rest is cut.
    pub(super) draining: Option<Instant>,
    wheel: Wheel<Token>,
    /// Connections that have work left, in turn.
    queue: VecDeque<Token>,
    held: VecDeque<(Instant, Token)>,
    generation: u32,
    lost: Arc<AtomicBool>,
    has_parent: bool,
    /// Memory was used or freed since it was last given back.
    pub(super) is_loose: bool,
    /// The most connections since then.
    peak: usize,
    /// When something happened last.
    stirred: Instant,
}

/// A connection by its place and who had it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub place: u32,
    pub generation: u32,
}

impl Token {
    /// For those who keep it meanwhile and know nothing of places.
    pub fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.place)
    }

    pub fn from_number(number: u64) -> Token {
        Token {
            place: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

/// Which descriptor an event is about.
#[derive(Clone, Copy)]
enum Source {
    /// The client's socket, or the backend's.
    Near(Token),
    Far(Token),
    Listener(usize),
    Parent,
    Store,
    Signer,
}

const KIND: u32 = 62;
const GENERATION: u32 = 30;

impl Source {
    fn number(self) -> u64 {
        let (kind, generation, place) = match self {
            Source::Near(token) => (0, token.generation, token.place),
            Source::Far(token) => (1, token.generation, token.place),
            Source::Listener(place) => (2, 0, place as u32),
            Source::Parent => (3, 0, 0),
            Source::Store => (3, 0, 1),
            Source::Signer => (3, 0, 2),
        };
        kind << KIND | u64::from(generation) << 32 | u64::from(place)
    }

    fn from_number(number: u64) -> Source {
        let place = number as u32;
        let generation = (number >> 32) as u32 & ((1 << GENERATION) - 1);
        let token = Token { place, generation };
        match (number >> KIND, place) {
            (0, _) => Source::Near(token),
            (1, _) => Source::Far(token),
            (2, _) => Source::Listener(place as usize),
            (_, 0) => Source::Parent,
            (_, 1) => Source::Store,
            _ => Source::Signer,
        }
    }
}

impl<'a> Worker<'a> {
    pub fn new(given: Given<'a>) -> Result<Worker<'a>, Errno> {
        let now = Instant::now();
        let epoll = given.epoll;
        let level = EpollFlags::EPOLLIN;
        epoll.add(
            &given.parent,
            EpollEvent::new(level, Source::Parent.number()),
        )?;
        if let Some(store) = &given.store {
            epoll.add(store, EpollEvent::new(level, Source::Store.number()))?;
        }
        let backends = given.orders.backends.iter().map(|backend| Backend {
            host: backend.host.clone(),
            targets: backend.targets.clone(),
            good: 0,
        });
        Ok(Worker {
            orders: given.orders,
            reporter: Reporter::new(given.parent, given.counts, given.orders.tells),
            contexts: given.contexts,
            store: given.store,
            backends: backends.collect(),
            listeners: given.listeners.into_iter().map(Listener::new).collect(),
            connections: Slab::new(),
            epoll,
            scratch: Scratch::new(),
            now,
            at_once: 0,
            paused: None,
            draining: None,
            wheel: Wheel::new(now),
            queue: VecDeque::new(),
            held: VecDeque::new(),
            generation: 0,
            lost: given.lost,
            has_parent: true,
            is_loose: true,
            peak: 0,
            stirred: now,
        })
    }

    /// Watches the listening sockets.
    pub(super) fn listen(&mut self) -> Result<(), Errno> {
        (0..self.listeners.len()).try_for_each(|place| self.listen_on(place))
    }

    /// One worker is woken for one client.
    fn listen_on(&self, place: usize) -> Result<(), Errno> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        let event = EpollEvent::new(flags, Source::Listener(place).number());
        self.epoll.add(&self.listeners[place], event)
    }

    pub(super) fn wait_behind_others(&mut self, place: usize) {
        let _ = self.epoll.delete(&self.listeners[place]);
        if self.listen_on(place).is_err() {
            self.pause("no memory to watch a listening socket");
        }
    }

    pub(super) fn unlisten(&mut self) {
        for listener in &self.listeners {
            // It is in there.
            let _ = self.epoll.delete(listener);
        }
    }

    /// Serves until there is nothing left to serve.
    pub fn run(&mut self) -> u8 {
        self.reporter.ready();
        let mut events = [EpollEvent::empty(); 256];
        let mut due = Vec::new();
        loop {
            let wait = self.wait();
            let count = match self.epoll.wait(&mut events, wait) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(_) => return 111,
            };
            self.now = Instant::now();
            self.at_once = count;
            for event in &events[..count] {
                self.dispatch(event);
            }
            for _ in 0..self.queue.len() {
                if let Some(token) = self.queue.pop_front() {
                    self.step(token);
                }
            }
            self.let_go();
            self.turn_wheel(&mut due);
            self.reporter.turn(self.now);
            if self.lost.swap(false, Ordering::Relaxed) && self.draining.is_none() {
                self.reporter.fatal("the signer is gone");
                self.drain(self.orders.times.drain);
            }
            self.resume();
            if let Some(end) = self.draining
                && (self.connections.is_empty() || end <= self.now)
            {
                self.cut();
                return 0;
            }
            if count > 0 {
                self.stirred = self.now;
            }
            self.tidy();
        }
    }

    /// Gives free memory back when it is quiet, or when half of many connections have gone.
    fn tidy(&mut self) {
        let number = self.connections.len();
        self.peak = self.peak.max(number);
        let is_low = self.peak >= MANY && number <= self.peak / 2;
        let is_quiet = self.stirred + QUIET <= self.now;
        if is_quiet && self.is_loose || is_low {
            self.is_loose = false;
            self.peak = number;
            self.connections.shrink_to_fit();
            self.scratch.tidy();
            heap::trim();
        }
    }

    fn wait(&self) -> EpollTimeout {
        if !self.queue.is_empty() {
            return EpollTimeout::ZERO;
        }
        let until = |at: Instant| at.saturating_duration_since(self.now);
        let waits = [
            self.wheel.wait(self.now),
            self.paused.map(until),
            self.draining.map(until),
            self.reporter.due().map(until),
            self.held.front().map(|(at, _)| until(*at)),
            self.is_loose.then(|| until(self.stirred + QUIET)),
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
            Source::Near(token) => self.notice(token, event.events().into(), true),
            Source::Far(token) => self.notice(token, event.events().into(), false),
            Source::Listener(place) => self.accept(place),
            Source::Parent => self.obey(),
            Source::Store => self.hear_store(),
            // What it says is heard where it is asked; this can only be its end.
            Source::Signer => self.lost.store(true, Ordering::Relaxed),
        }
    }

    /// Lets what the handshakes left be sent where no data came in time to go with it.
    fn let_go(&mut self) {
        while let Some(&(at, token)) = self.held.front()
            && at <= self.now
        {
            self.held.pop_front();
            let found = self.connections.get_mut(token.place as usize);
            let found = found.filter(|connection| connection.generation == token.generation);
            if let Some(Phase::Relaying(pump)) = found.map(|connection| &mut connection.phase) {
                pump.let_go(&mut self.scratch);
                self.watch_room(token);
            }
        }
    }

    /// Has what a handshake left wait for the first data for a moment.
    pub(super) fn hold(&mut self, token: Token) {
        self.held.push_back((self.now + HOLD, token));
    }

    /// Takes in what the kernel says of one of a connection's sockets, and goes on with it.
    fn notice(&mut self, token: Token, ready: Ready, is_near: bool) {
        if let Some(connection) = self.find(token) {
            connection.notice(ready, is_near);
            self.step(token);
        }
    }

    pub(super) fn find(&mut self, token: Token) -> Option<&mut Connection> {
        let found = self.connections.get_mut(token.place as usize);
        found.filter(|connection| connection.generation == token.generation)
    }

    /// Makes a place for a connection.
    pub(super) fn admit(&mut self, connection: Connection) -> Token {
        self.generation = (self.generation + 1) & ((1 << GENERATION) - 1);
        let generation = self.generation;
        let place = self.connections.insert(Connection {
            generation,
            ..connection
        });
        self.is_loose = true;
        Token {
            place: place as u32,
            generation,
        }
    }

    /// Has the kernel tell of a socket of this connection, once for every change. Room to write is there nearly always,
    /// so that it is told of only on demand.
    pub(super) fn watch(
        &self,
        end: BorrowedFd<'_>,
        token: Token,
        is_near: bool,
        room: bool,
    ) -> bool {
        self.epoll.add(end, event(token, is_near, room)).is_ok()
    }

    /// Has the kernel tell of room where there was none.
    pub(super) fn watch_room(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token.place as usize) else {
            return;
        };
        let turned = connection.turned;
        let blocked = match &mut connection.phase {
            Phase::Relaying(pump) => pump.blocked(),
            Phase::Shaking(shaking) => shaking.blocked(),
            _ => return,
        };
        for (end, is_near) in blocked.into_iter().zip([!turned, turned]) {
            let known = match is_near {
                true => &mut connection.near_out,
                false => &mut connection.far_out,
            };
            if let Some(end) = end
                && !std::mem::replace(known, true)
            {
                // It is in there.
                let _ = self.epoll.modify(end, &mut event(token, is_near, true));
            }
        }
    }

    /// Lets a connection have another turn after the others.
    pub(super) fn enqueue(&mut self, token: Token) {
        if let Some(connection) = self.find(token)
            && !connection.queued
        {
            connection.queued = true;
            self.queue.push_back(token);
        }
    }

    /// Sets when the present phase of a connection is over at the latest.
    pub(super) fn limit(&mut self, token: Token, time: Duration) {
        let deadline = self.now.checked_add(time);
        let Some(connection) = self.connections.get_mut(token.place as usize) else {
            return;
        };
        connection.deadline = deadline;
        let Some(deadline) = deadline else {
            return;
        };
        let tick = self.wheel.tick(deadline);
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
                Some(deadline) => self.limit(token, deadline - now),
            }
        }
    }

    /// Does what the parent says. A parent that is gone means a drain.
    fn obey(&mut self) {
        match self.reporter.hear() {
            Ok(Some(ToWorker::Targets { backend, targets })) => {
                if let Some(backend) = self.backends.get_mut(usize::from(backend)) {
                    (backend.targets, backend.good) = (targets, 0);
                }
            }
            Ok(Some(ToWorker::Accept)) => {
                if self.draining.is_none() && self.listen().is_err() {
                    self.reporter.fatal("unable to watch the listening sockets");
                }
            }
            Ok(Some(ToWorker::Drain { patience })) => {
                self.drain(Duration::from_millis(patience));
            }
            Ok(None) => {}
            Err(_) => {
                if std::mem::take(&mut self.has_parent) {
                    self.reporter.leave(&self.epoll);
                }
                if self.draining.is_none() {
                    self.drain(self.orders.times.drain);
                }
            }
        }
    }

    /// Accepts no more.
    fn drain(&mut self, patience: Duration) {
        self.accept_queued();
        self.unlisten();
        self.listeners.clear();
        self.reporter.stopped();
        self.paused = None;
        let far = self.now + Duration::from_secs(365 * 86400);
        self.draining = Some(self.now.checked_add(patience).unwrap_or(far).min(far));
    }
}

/// For the channel to the signer: nothing but its end is waited for, and told of once.
pub fn signers_end() -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLET, Source::Signer.number())
}

fn event(token: Token, is_near: bool, room: bool) -> EpollEvent {
    let source = match is_near {
        true => Source::Near(token),
        false => Source::Far(token),
    };
    let mut flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
    flags.set(EpollFlags::EPOLLOUT, room);
    EpollEvent::new(flags, source.number())
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
