//! What a worker tells its parent: numbers in shared memory, and messages that never make it wait.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::epoll::Epoll;

use super::counters::{Count, Counts};
use super::orders::Tells;
use crate::privsep::channel::ChannelError;
use crate::privsep::message::{Finished, FromWorker, ToWorker, WorkerToParent};

/// Errors that are told whole in each spell, and how long that is.
const WHOLE: u32 = 20;
const SPELL: Duration = Duration::from_secs(10);

pub struct Reporter<'a> {
    parent: WorkerToParent,
    counts: &'a Counts,
    pub tells: Tells,
    short: bool,
    /// Of the present spell of errors: its end, those told, those held back.
    spell: Option<Instant>,
    told: u32,
    withheld: u64,
}

impl<'a> Reporter<'a> {
    pub fn new(parent: WorkerToParent, counts: &'a Counts, tells: Tells) -> Reporter<'a> {
        Reporter {
            parent,
            counts,
            tells,
            short: false,
            spell: None,
            told: 0,
            withheld: 0,
        }
    }

    pub fn count(&self, what: Count, number: u64) {
        self.counts.add(what as usize, number);
    }

    pub fn ready(&self) {
        let _ = self.parent.send(&FromWorker::Ready, &[]);
    }

    pub fn stopped(&self) {
        self.tell(&FromWorker::Stopped);
    }

    pub fn fatal(&self, text: &str) {
        self.tell(&FromWorker::Fatal(text.into()));
    }

    /// A line lost because the parent does not keep up is counted.
    fn tell(&self, message: &FromWorker) {
        if self.parent.try_send(message, &[]).is_err() {
            self.count(Count::Withheld, 1);
        }
    }

    pub fn finished(&self, finished: Finished) {
        self.tell(&FromWorker::Finished(Box::new(finished)));
    }

    /// Whether the end of a connection is to be told: of each, or of failures unless there were very many lately.
    pub fn wants_end(&mut self, is_error: bool, now: Instant) -> bool {
        self.tells.connections || is_error && self.tells.errors && self.admits(now)
    }

    /// False: there were very many errors lately, and it is only counted.
    fn admits(&mut self, now: Instant) -> bool {
        self.spell.get_or_insert(now + SPELL);
        let admitted = self.told < WHOLE;
        match admitted {
            true => self.told += 1,
            false => self.withheld += 1,
        }
        admitted
    }

    /// An error of a backend's.
    pub fn unreached(&mut self, backend: u16, reason: &str, now: Instant) {
        if !self.tells.errors || !self.admits(now) {
            return;
        }
        self.tell(&FromWorker::Unreached {
            backend,
            reason: reason.into(),
        });
    }

    pub fn due(&self) -> Option<Instant> {
        self.spell
    }

    /// Ends a spell whose time is over.
    pub fn turn(&mut self, now: Instant) {
        if self.spell.is_some_and(|end| end <= now) {
            (self.spell, self.told) = (None, 0);
            let withheld = std::mem::take(&mut self.withheld);
            if withheld > 0 {
                self.tell(&FromWorker::Withheld(withheld));
            }
        }
    }

    /// Said once, until it is over.
    pub fn short(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.short, true) {
            self.count(Count::Shortages, 1);
            self.tell(&FromWorker::Short(reason.into()));
        }
    }

    pub fn recovered(&mut self) {
        if std::mem::take(&mut self.short) {
            self.tell(&FromWorker::Recovered);
        }
    }

    pub fn hear(&self) -> Result<Option<ToWorker>, ChannelError> {
        Ok(self.parent.try_receive()?.map(|(order, _)| order))
    }

    /// A channel whose other end is gone would be ready for ever.
    pub fn leave(&self, epoll: &Epoll) {
        let _ = epoll.delete(self.parent.as_fd());
    }
}
