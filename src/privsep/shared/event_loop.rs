//! The loop of a process that shares sessions: what is ready, whose time is over, and who has work left, each in bounded
//! turns, so that one busy connection does not keep a thousand small ones waiting.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::arrival::MOST_ENDS;
use super::connection::Connection;
use super::reporter::Reporter;
use crate::privsep::message::{FromTerminator, TerminatorToListener, ToTerminator};
use crate::privsep::session::Service;
use crate::privsep::terminator::{self, Orders, Tutor};
use crate::relay::buffer::Scratch;
use crate::relay::crowd::{Crowd, Source};

/// What such a process starts with.
pub struct Given<'a> {
    pub orders: &'a Orders,
    pub listener: TerminatorToListener,
    pub keeper: Tutor,
    pub epoll: Epoll,
    /// Of the first set of keys.
    pub service: Service,
    /// How many descriptors it may have.
    pub open_files: usize,
}

pub struct Shared<'a> {
    pub(super) orders: &'a Orders,
    keeper: Tutor,
    pub(super) reporter: Reporter,
    /// By the number of the set.
    pub(super) services: HashMap<u32, Result<Rc<Service>, String>>,
    pub(super) connections: Crowd<Connection>,
    pub(super) scratch: Scratch,
    /// How many descriptors connections may have in all, and how many they came with.
    pub(super) room: usize,
    pub(super) taken: usize,
    /// There is no room for another.
    pub(super) is_full: bool,
    /// The listener sends no more.
    draining: bool,
}

const LISTENER: Source = Source::Other(0);
/// Connections have their turn before more orders of the listener's are heard than this.
const ORDERS_AT_ONCE: usize = 64;
/// Descriptors that are no connection's: the standard ones, the channels, and those on their way.
const RESERVE: usize = 32;

impl<'a> Shared<'a> {
    pub fn new(given: Given<'a>) -> Result<Shared<'a>, Errno> {
        let event = LISTENER.event(EpollFlags::EPOLLIN);
        let reporter = Reporter::new(given.listener, &given.epoll, event)?;
        Ok(Shared {
            orders: given.orders,
            keeper: given.keeper,
            reporter,
            services: HashMap::from([(0, Ok(Rc::new(given.service)))]),
            connections: Crowd::new(given.epoll),
            scratch: Scratch::new(),
            room: given.open_files.saturating_sub(RESERVE),
            taken: 0,
            is_full: false,
            draining: false,
        })
    }

    /// Serves until there is nothing left to serve.
    pub fn run(&mut self) -> u8 {
        let mut events = [EpollEvent::empty(); 256];
        while !self.is_done() {
            let Ok(count) = self.connections.wait(&mut events, [self.reporter.due()]) else {
                return 111;
            };
            for event in &events[..count] {
                self.dispatch(event);
            }
            for _ in 0..self.connections.turns() {
                if let Some(token) = self.connections.take_turn() {
                    self.step(token);
                }
            }
            while let Some(token) = self.connections.called() {
                self.let_go(token);
            }
            while let Some(token) = self.connections.expired() {
                self.expire(token);
            }
            self.look_for_room();
            let now = self.connections.now();
            let epoll = &self.connections.epoll;
            self.reporter.turn(epoll, now, !self.is_full);
            self.connections.tidy(|| self.scratch.tidy());
        }
        0
    }

    fn is_done(&self) -> bool {
        let no_more = self.draining || !self.reporter.has_listener();
        no_more && self.connections.is_empty() && self.reporter.is_done()
    }

    fn dispatch(&mut self, event: &EpollEvent) {
        match Source::of(event) {
            Source::Member(token, side) => {
                if let Some(connection) = self.connections.get_mut(token) {
                    connection.notice(event.events().into(), side);
                    self.step(token);
                }
            }
            // Room alone is used at the end of the turn.
            Source::Other(_) if event.events() == EpollFlags::EPOLLOUT => {}
            Source::Other(_) => self.obey(event.events().contains(EpollFlags::EPOLLHUP)),
        }
    }

    /// Does what the listener says, and has said if it is gone.
    fn obey(&mut self, is_gone: bool) {
        for _ in 0..ORDERS_AT_ONCE {
            if self.is_full && !is_gone {
                return;
            }
            match self.reporter.hear() {
                Ok(None) => return,
                Ok(Some((ToTerminator::Connection(order), ends))) => self.welcome(order, ends),
                Ok(Some((
                    ToTerminator::Set {
                        number,
                        settings,
                        demand,
                        scope,
                    },
                    _,
                ))) => {
                    // The keeper has said all of it before the listener sent this, or is about to.
                    let keeper = &mut self.keeper;
                    let service =
                        terminator::serve(self.orders, keeper, number, &settings, demand, &scope);
                    self.services.insert(number, service.map(Rc::new));
                }
                Ok(Some((ToTerminator::Drain, _))) => self.draining = true,
                // It is gone, or breaks its word.
                Err(_) => {
                    self.reporter.leave(&self.connections.epoll);
                    return self.drop_orphans();
                }
            }
        }
    }

    /// Says once that there is no room, and once that there is again.
    fn look_for_room(&mut self) {
        // Rather more room than for one, so that it is not said of every connection.
        let is_roomy = self.taken + MOST_ENDS + self.room / 16 <= self.room;
        if self.is_full && (is_roomy || self.connections.is_empty()) {
            self.is_full = false;
            self.reporter.tell(FromTerminator::Recovered);
        }
    }
}
