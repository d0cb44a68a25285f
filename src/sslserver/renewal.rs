//! Reading keys again, on SIGHUP or when a file has changed (`RELOAD=auto`). A set that is bad keeps its old version.
//! When all is read, new terminators take the new connections; those before them finish what they have.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use super::crew::Duty;
use super::listener::Listener;
use super::log::Level;
use crate::privsep::message::ToKeeper;
use crate::tls::watch::Seen;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(60);
/// Why keys are read again when nobody asked for it.
pub const CHANGED: &str = "a file has changed";

/// What is to be read.
enum Part {
    Set(u32),
    Tickets,
}

/// Keys are being read again.
#[derive(Default)]
pub struct Renewal {
    /// Those that the keeper was not asked for yet.
    parts: VecDeque<Part>,
    renewed: usize,
    kept: usize,
    /// It was asked for once more meanwhile.
    again: bool,
}

/// Looking at files without being asked (`RELOAD=auto`).
pub struct Watch {
    pub due: Instant,
    /// As they were when they were read, where it is for the listener to look.
    seen: Seen,
}

impl Watch {
    pub fn new(now: Instant) -> Watch {
        Watch {
            due: now + LOOK,
            seen: Seen::default(),
        }
    }
}

impl Listener {
    /// Has everything read again.
    pub(super) fn renew(&mut self, why: &str) {
        if let Some(renewal) = &mut self.renewal {
            renewal.again = true;
            return;
        }
        if self.stopping.is_some() {
            return self.log.warning(format_args!(
                "{why}: keys are not read again, the server is ending"
            ));
        }
        if self.roles.ready_keeper().is_none() || !self.started {
            // What has been read of them may have changed since.
            self.renewal_due = true;
            let text = format!("info: {why}: keys are just being read, and will be once more");
            self.log.line(Level::Status, text);
            if self.started {
                // Whoever asked waits for an answer.
                self.notify.reloading(&self.log);
                self.notify.ready(&self.log);
            }
            return;
        }
        self.log.line(
            Level::Status,
            format_args!("info: {why}: reading keys again"),
        );
        self.notify.reloading(&self.log);
        let (unused, used) = self.sets.sift();
        for number in unused {
            self.forget_set(number);
        }
        let mut renewal = Renewal::default();
        if self.roles.keeper_orders.ticket_keys.is_some() {
            renewal.parts.push_back(Part::Tickets);
        }
        let sets = [0].into_iter().chain(used);
        renewal.parts.extend(sets.map(Part::Set));
        self.renewal = Some(renewal);
        self.see();
        self.renew_next();
    }

    /// A set that nobody uses.
    fn forget_set(&mut self, number: u32) {
        for terminator in &mut self.roles.crew.members {
            terminator.sets.remove(&number);
        }
        if let Some(keeper) = &self.roles.keeper {
            // One that does not hear it keeps a set too many.
            let _ = keeper.channel.try_send(&ToKeeper::Forget(number), &[]);
        }
    }

    /// Asks the keeper for one part after the other.
    fn renew_next(&mut self) {
        while let Some(renewal) = &mut self.renewal {
            let asked = match renewal.parts.pop_front() {
                Some(Part::Set(number)) => self.ask_for_set(number, None),
                Some(Part::Tickets) => self.ask_for_tickets(),
                None => return self.all_renewed(),
            };
            match asked {
                Ok(()) => return,
                Err(reason) => self.part_kept(&reason),
            }
        }
    }

    fn ask_for_tickets(&mut self) -> Result<(), String> {
        let path = self.roles.keeper_orders.ticket_keys.iter();
        let (_, files) = self.roles.open_files(path);
        self.ask_keeper(&ToKeeper::Tickets, &files)
    }

    /// The keeper has read a part, or cannot use it.
    pub(super) fn part_renewed(&mut self, outcome: Result<(), String>) {
        match (outcome, &mut self.renewal) {
            (_, None) => return,
            (Ok(()), Some(renewal)) => renewal.renewed += 1,
            (Err(reason), Some(_)) => self.part_kept(&reason),
        }
        self.renew_next();
    }

    fn part_kept(&mut self, reason: &str) {
        self.counters.reloads_refused += 1;
        if let Some(renewal) = &mut self.renewal {
            renewal.kept += 1;
        }
        let text = format!("error: (111) keys are not renewed, the old ones stay: {reason}");
        self.log.line(Level::Warning, text);
    }

    fn all_renewed(&mut self) {
        match &self.renewal {
            Some(renewal) if renewal.renewed > 0 => {
                self.start_terminators(Duty::Follows, Instant::now());
            }
            _ => self.renewal_over(),
        }
    }

    /// Those that were to follow are ready.
    pub(super) fn take_over(&mut self) {
        let serving = self.roles.crew.with(Duty::Serves);
        let before: Vec<u64> = serving.map(|one| one.token).collect();
        for token in before {
            self.retire(token);
        }
        for terminator in &mut self.roles.crew.members {
            if terminator.duty == Duty::Follows {
                terminator.duty = Duty::Serves;
            }
        }
        self.roles.crew.due = None;
        if let Some(renewal) = &self.renewal {
            let (renewed, all) = (renewal.renewed, renewal.renewed + renewal.kept);
            self.counters.reloaded += renewed as u64;
            let text = format!("info: keys are renewed: {renewed} of {all}");
            self.log.line(Level::Status, text);
        }
        self.renewal_over();
    }

    /// New keys, but nobody to serve them: those who serve go on with the old ones.
    pub(super) fn abandon_successors(&mut self) {
        let following = self.roles.crew.with(Duty::Follows);
        let following: Vec<u64> = following.map(|one| one.token).collect();
        for token in following {
            self.retire(token);
        }
        let renewed = self.renewal.as_ref().map_or(0, |renewal| renewal.renewed);
        self.counters.reloads_refused += renewed as u64;
        self.log
            .warning("keys are read again, but cannot be served: the old ones stay");
        self.renewal_over();
    }

    fn renewal_over(&mut self) {
        let again = self.renewal.take().is_some_and(|renewal| renewal.again);
        self.notify.ready(&self.log);
        if again {
            self.renew("once more");
        }
    }

    /// Looks, or has the keeper look, whether files have changed.
    pub(super) fn look(&mut self, now: Instant) {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.due <= now) else {
            return;
        };
        watch.due = now + LOOK;
        if self.stopping.is_some() {
            return;
        }
        if self.roles.opened_by_listener {
            let seen = self.seen_now();
            let watch = self.watch.as_ref();
            if watch.is_some_and(|watch| watch.seen != seen) {
                self.renew(CHANGED);
            }
        } else if let Some(keeper) = self.roles.ready_keeper() {
            let _ = keeper.channel.try_send(&ToKeeper::Look, &[]);
        }
    }

    /// Remembers how the files are, before they are read.
    pub(super) fn see(&mut self) {
        if self.watch.is_some() && self.roles.opened_by_listener {
            let seen = self.seen_now();
            if let Some(watch) = &mut self.watch {
                watch.seen = seen;
            }
        }
    }

    fn seen_now(&self) -> Seen {
        let orders = &self.roles.keeper_orders;
        let mut seen = Seen::default();
        let outside = |path: &Path| self.roles.outside(path);
        for files in self.sets.files().chain([&orders.files]) {
            seen.set(files, outside);
        }
        if let Some(path) = &orders.ticket_keys {
            seen.file(&outside(path));
        }
        seen
    }
}
