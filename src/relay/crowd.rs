//! Thousands of members behind one epoll(7): who is ready, who has work left, and whose time is over. Members are
//! connections to those who keep them here; nothing of what they say to each other is known here.
#![forbid(unsafe_code)]

mod source;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use slab::Slab;

pub use self::source::{Side, Source, Token};
use super::wheel::{Tick, Wheel};
use crate::sys::heap;

/// After so much quiet the heap's free pages are given back.
const QUIET: Duration = Duration::from_secs(2);
/// So many members are worth the search for free pages, when half of them have gone, though it is never quiet.
const MANY: usize = 1024;

pub struct Crowd<T> {
    /// Watches the members' descriptors; others may be in there as [`Source::Other`].
    pub epoll: Epoll,
    seats: Slab<Seat<T>>,
    generation: u32,
    now: Instant,
    wheel: Wheel<Token>,
    /// What the wheel gave and nobody has looked at yet.
    due: Vec<(Tick, Token)>,
    /// Members that have work left, in turn.
    queue: VecDeque<Token>,
    /// Members that wanted to be called, in the order of the moments.
    calls: VecDeque<(Instant, Token)>,
    /// Memory was used or freed since it was last given back.
    is_loose: bool,
    /// The most members since then.
    peak: usize,
    /// When something happened last.
    stirred: Instant,
}

struct Seat<T> {
    member: T,
    /// Tells it from those that had its place before.
    generation: u32,
    /// When its present phase is over at the latest; `None`: never.
    deadline: Option<Instant>,
    /// The next time that the wheel brings it back.
    alarm: Option<Tick>,
    is_queued: bool,
    /// On which of its sides the kernel tells of room as well.
    tells_room: [Cell<bool>; 4],
}

impl<T> Crowd<T> {
    pub fn new(epoll: Epoll) -> Crowd<T> {
        let now = Instant::now();
        Crowd {
            epoll,
            seats: Slab::new(),
            generation: 0,
            now,
            wheel: Wheel::new(now),
            due: Vec::new(),
            queue: VecDeque::new(),
            calls: VecDeque::new(),
            is_loose: true,
            peak: 0,
            stirred: now,
        }
    }

    /// The time as it was when the last wait was over.
    pub fn now(&self) -> Instant {
        self.now
    }

    pub fn len(&self) -> usize {
        self.seats.len()
    }

    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// All there are.
    pub fn tokens(&self) -> Vec<Token> {
        let token = |(place, seat): (usize, &Seat<T>)| Token::new(place, seat.generation);
        self.seats.iter().map(token).collect()
    }

    pub fn get(&self, token: Token) -> Option<&T> {
        self.seat(token).map(|seat| &seat.member)
    }

    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.seat_mut(token).map(|seat| &mut seat.member)
    }

    fn seat(&self, token: Token) -> Option<&Seat<T>> {
        let seat = self.seats.get(token.place());
        seat.filter(|seat| seat.generation == token.generation())
    }

    fn seat_mut(&mut self, token: Token) -> Option<&mut Seat<T>> {
        let seat = self.seats.get_mut(token.place());
        seat.filter(|seat| seat.generation == token.generation())
    }

    /// Makes a place for a member.
    pub fn admit(&mut self, member: T) -> Token {
        self.generation = source::next_generation(self.generation);
        self.is_loose = true;
        let place = self.seats.insert(Seat {
            member,
            generation: self.generation,
            deadline: None,
            alarm: None,
            is_queued: false,
            tells_room: Default::default(),
        });
        Token::new(place, self.generation)
    }

    /// Its place is free again. Whatever still comes for it is for nobody.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.seat(token)?;
        self.is_loose = true;
        Some(self.seats.remove(token.place()).member)
    }

    /// Has the kernel tell of a member's descriptor, once for every change. Room to write is there nearly always, so
    /// that it may be left to [`Crowd::watch_room`] to ask for it when there is none. Errors are those of epoll_ctl(2).
    pub fn watch(&self, token: Token, side: Side, end: impl AsFd, room: bool) -> Result<(), Errno> {
        if let Some(seat) = self.seat(token) {
            seat.tells_room[side as usize].set(room);
        }
        self.epoll.add(end, event(token, side, room))
    }

    /// Has the kernel tell of room where a member finds that there is none, near and far.
    pub fn watch_room<'a>(
        &'a mut self,
        token: Token,
        blocked: impl FnOnce(&'a mut T) -> [Option<BorrowedFd<'a>>; 2],
    ) {
        let seat = self.seats.get_mut(token.place());
        let Some(seat) = seat.filter(|seat| seat.generation == token.generation()) else {
            return;
        };
        for (end, side) in blocked(&mut seat.member).into_iter().zip(Side::WRITTEN) {
            if let Some(end) = end
                && !seat.tells_room[side as usize].replace(true)
            {
                // It is in there.
                let _ = self.epoll.modify(end, &mut event(token, side, true));
            }
        }
    }

    /// Lets a member have another turn after the others.
    pub fn enqueue(&mut self, token: Token) {
        if let Some(seat) = self.seat_mut(token)
            && !std::mem::replace(&mut seat.is_queued, true)
        {
            self.queue.push_back(token);
        }
    }

    /// How many turns there are to be taken before events are looked at again.
    pub fn turns(&self) -> usize {
        self.queue.len()
    }

    /// Whose turn it is. A turn is void if its member has gone.
    pub fn take_turn(&mut self) -> Option<Token> {
        let token = self.queue.pop_front()?;
        self.seat_mut(token)?.is_queued = false;
        Some(token)
    }

    /// Sets when the present phase of a member is over at the latest, or that it may last for ever.
    pub fn limit(&mut self, token: Token, time: impl Into<Option<Duration>>) {
        let time = time.into();
        self.set_deadline(token, time.and_then(|time| self.now.checked_add(time)));
    }

    fn set_deadline(&mut self, token: Token, deadline: Option<Instant>) {
        let tick = deadline.map(|deadline| self.wheel.tick(deadline));
        let Some(seat) = self.seat_mut(token) else {
            return;
        };
        seat.deadline = deadline;
        // A later time needs no new place on the wheel: it is looked at when the old one comes back.
        if let Some(tick) = tick
            && seat.alarm.is_none_or(|alarm| alarm > tick)
        {
            seat.alarm = Some(tick);
            self.wheel.insert(tick, token);
        }
    }

    /// One whose time is over, until there is none.
    pub fn expired(&mut self) -> Option<Token> {
        loop {
            if self.due.is_empty() {
                self.wheel.turn(self.now, &mut self.due);
            }
            let (tick, token) = self.due.pop()?;
            let now = self.now;
            let Some(seat) = self.seat_mut(token) else {
                continue;
            };
            // Another entry on the wheel has taken this one's place.
            if seat.alarm != Some(tick) {
                continue;
            }
            seat.alarm = None;
            match seat.deadline {
                Some(deadline) if deadline <= now => return Some(token),
                later => self.set_deadline(token, later),
            }
        }
    }

    /// Has a member called in a moment, whatever else happens to it. The wheel is too coarse for this; here everybody
    /// has to wait for the same time.
    pub fn call(&mut self, token: Token, time: Duration) {
        self.calls.push_back((self.now + time, token));
    }

    /// One that is to be called now, until there is none. It may have gone.
    pub fn called(&mut self) -> Option<Token> {
        let &(_, token) = self.calls.front().filter(|(at, _)| *at <= self.now)?;
        self.calls.pop_front();
        Some(token)
    }

    /// Waits for events, until the first of these moments or of the members' at the latest, and not at all while
    /// somebody has work left. A signal ends it early with nothing. Errors are those of epoll_wait(2).
    pub fn wait<const N: usize>(
        &mut self,
        events: &mut [EpollEvent],
        moments: [Option<Instant>; N],
    ) -> Result<usize, Errno> {
        let count = match self.epoll.wait(events, self.patience(moments)) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        self.now = Instant::now();
        if count > 0 {
            self.stirred = self.now;
        }
        Ok(count)
    }

    fn patience<const N: usize>(&self, moments: [Option<Instant>; N]) -> EpollTimeout {
        if !self.queue.is_empty() {
            return EpollTimeout::ZERO;
        }
        let own = [
            self.calls.front().map(|(at, _)| *at),
            self.is_loose.then(|| self.stirred + QUIET),
        ];
        let moments = own.into_iter().chain(moments).flatten();
        let first = moments.min();
        let first = first.map(|at| at.saturating_duration_since(self.now));
        match first.into_iter().chain(self.wheel.wait(self.now)).min() {
            None => EpollTimeout::NONE,
            Some(wait) => {
                // Rounded up: waking a moment early would mean to spin until the moment comes.
                let milliseconds = wait.as_millis().saturating_add(1);
                EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
            }
        }
    }

    /// Gives free memory back when it is quiet, or when half of many members have gone. `also` frees what their keeper
    /// can do without.
    pub fn tidy(&mut self, also: impl FnOnce()) {
        let number = self.seats.len();
        self.peak = self.peak.max(number);
        let is_low = self.peak >= MANY && number <= self.peak / 2;
        let is_quiet = self.stirred + QUIET <= self.now;
        if is_quiet && self.is_loose || is_low {
            self.is_loose = false;
            self.peak = number;
            self.seats.shrink_to_fit();
            also();
            heap::trim();
        }
    }
}

fn event(token: Token, side: Side, room: bool) -> EpollEvent {
    let mut flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
    flags.set(EpollFlags::EPOLLOUT, room);
    Source::Member(token, side).event(flags)
}
