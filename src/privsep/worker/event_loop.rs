//! The loop of a worker: what is ready, whose time is over, and who has work left, each in bounded turns, so that one
//! busy connection does not keep a thousand small ones waiting.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::accept::Listener;
use super::connection::{Connection, Phase};
use super::contexts::Contexts;
use super::counters::Counts;
use super::dial::Backend;
use super::orders::Orders;
use super::report::Reporter;
use crate::privsep::message::{ToWorker, WorkerToParent, WorkerToStore};
use crate::relay::buffer::Scratch;
use crate::relay::crowd::{Crowd, Source, Token};

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
    pub(super) connections: Crowd<Connection>,
    pub(super) scratch: Scratch,
    /// How many events the present turn has.
    pub(super) at_once: usize,
    /// When accepting may be tried again.
    pub(super) paused: Option<Instant>,
    /// Told to drain: when the rest is cut.
    pub(super) draining: Option<Instant>,
    lost: Arc<AtomicBool>,
    has_parent: bool,
}

/// What events are about beside connections; greater numbers are listening sockets.
const PARENT: u32 = 0;
const STORE: u32 = 1;
const SIGNER: u32 = 2;
const LISTENERS: u32 = 3;

impl<'a> Worker<'a> {
    pub fn new(given: Given<'a>) -> Result<Worker<'a>, Errno> {
        let epoll = given.epoll;
        let level = EpollFlags::EPOLLIN;
        epoll.add(&given.parent, Source::Other(PARENT).event(level))?;
        if let Some(store) = &given.store {
            epoll.add(store, Source::Other(STORE).event(level))?;
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
            connections: Crowd::new(epoll),
            scratch: Scratch::new(),
            at_once: 0,
            paused: None,
            draining: None,
            lost: given.lost,
            has_parent: true,
        })
    }

    /// Watches the listening sockets.
    pub(super) fn listen(&mut self) -> Result<(), Errno> {
        (0..self.listeners.len()).try_for_each(|place| self.listen_on(place))
    }

    /// One worker is woken for one client.
    fn listen_on(&self, place: usize) -> Result<(), Errno> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        let event = Source::Other(LISTENERS + place as u32).event(flags);
        self.connections.epoll.add(&self.listeners[place], event)
    }

    pub(super) fn wait_behind_others(&mut self, place: usize) {
        let _ = self.connections.epoll.delete(&self.listeners[place]);
        if self.listen_on(place).is_err() {
            self.pause("no memory to watch a listening socket");
        }
    }

    pub(super) fn unlisten(&mut self) {
        for listener in &self.listeners {
            // It is in there.
            let _ = self.connections.epoll.delete(listener);
        }
    }

    /// Serves until there is nothing left to serve.
    pub fn run(&mut self) -> u8 {
        self.reporter.ready();
        let mut events = [EpollEvent::empty(); 256];
        loop {
            let moments = [self.paused, self.draining, self.reporter.due()];
            let Ok(count) = self.connections.wait(&mut events, moments) else {
                return 111;
            };
            self.at_once = count;
            for event in &events[..count] {
                self.dispatch(event);
            }
            for _ in 0..self.connections.turns() {
                if let Some(token) = self.connections.take_turn() {
                    self.step(token);
                }
            }
            self.let_go();
            while let Some(token) = self.connections.expired() {
                self.expire(token);
            }
            self.reporter.turn(self.connections.now());
            if self.lost.swap(false, Ordering::Relaxed) && self.draining.is_none() {
                self.reporter.fatal("the signer is gone");
                self.drain(self.orders.times.drain);
            }
            self.resume();
            if let Some(end) = self.draining
                && (self.connections.is_empty() || end <= self.connections.now())
            {
                self.cut();
                return 0;
            }
            self.connections.tidy(|| self.scratch.tidy());
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
            Source::Other(PARENT) => self.obey(),
            Source::Other(STORE) => self.hear_store(),
            // What it says is heard where it is asked; this can only be its end.
            Source::Other(SIGNER) => self.lost.store(true, Ordering::Relaxed),
            Source::Other(listener) => self.accept((listener - LISTENERS) as usize),
        }
    }

    /// Lets what the handshakes left be sent where no data came in time to go with it.
    fn let_go(&mut self) {
        while let Some(token) = self.connections.called() {
            if let Some(connection) = self.connections.get_mut(token)
                && let Phase::Relaying(pump) = &mut connection.phase
            {
                pump.let_go(&mut self.scratch);
                self.watch_room(token);
            }
        }
    }

    /// Has the kernel tell of room where there was none.
    pub(super) fn watch_room(&mut self, token: Token) {
        self.connections.watch_room(token, |connection| {
            let mut blocked = match &mut connection.phase {
                Phase::Relaying(pump) => pump.blocked(),
                Phase::Shaking(shaking) => shaking.blocked(),
                _ => [None, None],
            };
            if connection.turned {
                blocked.reverse();
            }
            blocked
        });
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
                    self.reporter.leave(&self.connections.epoll);
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
        let now = self.connections.now();
        let far = now + Duration::from_secs(365 * 86400);
        self.draining = Some(now.checked_add(patience).unwrap_or(far).min(far));
    }
}

/// For the channel to the signer: nothing but its end is waited for, and told of once.
pub fn signers_end() -> EpollEvent {
    Source::Other(SIGNER).event(EpollFlags::EPOLLET)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
