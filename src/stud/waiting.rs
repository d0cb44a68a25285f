//! What the parent waits for: its children's words, signals, and times.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::failure::Failure;
use super::generation::State;
use super::parent::Parent;
use crate::net::metrics::Metrics;

/// Who has something to say.
#[derive(Clone, Copy)]
pub enum Source {
    Signals,
    /// Of the generation in this place.
    Keeper(usize),
    Store(usize),
    Worker(usize, usize),
    Resolver,
    Refresher,
    Metrics,
}

impl Parent {
    /// Waits until somebody has something to say or a time is over.
    pub(super) fn wait(&mut self) -> Vec<Source> {
        let mut sources: Vec<(Source, BorrowedFd<'_>)> =
            vec![(Source::Signals, self.signals.as_fd())];
        for (number, generation) in self.generations.iter().enumerate() {
            let keeper = generation
                .keeper
                .as_ref()
                .and_then(|keeper| keeper.channel.as_ref());
            sources.extend(keeper.map(|channel| (Source::Keeper(number), channel.as_fd())));
            let store = generation.store.as_ref().filter(|store| store.is_there());
            sources.extend(store.map(|store| (Source::Store(number), store.as_fd())));
            for (place, slot) in generation.slots.iter().enumerate() {
                let worker = slot
                    .worker
                    .as_ref()
                    .and_then(|worker| worker.channel.as_ref());
                let source = Source::Worker(number, place);
                sources.extend(worker.map(|channel| (source, channel.as_fd())));
            }
        }
        if let Some(coming) = &self.coming {
            sources.push((Source::Resolver, coming.resolver.as_fd()));
        }
        if let Some(refresher) = &self.refresher {
            sources.push((Source::Refresher, refresher.as_fd()));
        }
        if let Some(metrics) = self.surroundings.metrics() {
            sources.push((Source::Metrics, metrics.as_fd()));
        }
        let list = sources
            .iter()
            .map(|(_, end)| PollFd::new(*end, PollFlags::POLLIN));
        let mut list: Vec<PollFd> = list.collect();
        // An interrupted wait is one in which nobody spoke.
        let count = nix::poll::poll(&mut list, self.patience()).unwrap_or(0);
        let spoke = |entry: &PollFd| entry.any().unwrap_or(false);
        let ready = list
            .iter()
            .zip(&sources)
            .filter(|(entry, _)| count > 0 && spoke(entry));
        let mut ready: Vec<Source> = ready.map(|(_, (source, _))| *source).collect();
        // Whoever is attended to first may make generations go; the last places first, then.
        ready.reverse();
        self.now = Instant::now();
        ready
    }

    fn patience(&self) -> PollTimeout {
        let slots = self
            .generations
            .iter()
            .flat_map(|generation| &generation.slots);
        let dues = slots.filter_map(|slot| slot.due);
        let preparing = |state| matches!(state, State::Loading | State::Starting);
        let generations = self.generations.iter();
        let deadlines = generations
            .filter(|one| preparing(one.state))
            .map(|one| one.deadline);
        let coming = self.coming.as_ref().map(|coming| coming.deadline);
        let metrics = self.surroundings.metrics().and_then(Metrics::due);
        let single = [
            coming,
            self.renewal,
            self.end,
            self.announcement,
            self.refresh,
            metrics,
        ];
        let next = dues
            .chain(deadlines)
            .chain(single.into_iter().flatten())
            .min();
        match next {
            None => PollTimeout::NONE,
            Some(at) => {
                let wait = at.saturating_duration_since(Instant::now());
                // Rounded up: waking a moment early would mean to spin until the moment comes.
                let milliseconds = wait.as_millis().saturating_add(1);
                PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
            }
        }
    }

    /// Does what is due.
    pub(super) fn keep_times(&mut self) {
        let now = self.now;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.coming.as_ref().map(|coming| coming.deadline)) {
            self.resolved();
        }
        if is_due(self.surroundings.metrics().and_then(Metrics::due)) {
            self.tell_metrics();
        }
        if is_due(self.refresh) {
            self.look_backends_up();
        }
        self.announce();
        if is_due(self.renewal) {
            self.renewal = None;
            self.renew();
        }
        for place in 0..self.generations.len() {
            let generation = &self.generations[place];
            match generation.state {
                State::Loading | State::Starting if generation.deadline <= now => {
                    self.abort(
                        place,
                        Failure("keeper and workers did not get ready in time".into()),
                    );
                }
                State::Serving => self.replace_workers(place),
                _ => {}
            }
        }
        if is_due(self.end) {
            self.end = Some(now + Duration::from_secs(1));
            for generation in &mut self.generations {
                generation.kill();
            }
        }
    }

    fn replace_workers(&mut self, place: usize) {
        let now = self.now;
        for slot in 0..self.generations[place].slots.len() {
            let due = self.generations[place].slots[slot].due;
            if due.is_some_and(|due| due <= now) {
                let started = self.generations[place].start_worker(slot, now);
                if let Err(errno) = started {
                    let slot = &mut self.generations[place].slots[slot];
                    slot.backoff.started = Some(now);
                    slot.due = Some(slot.backoff.next(now));
                    let reason = errno.desc();
                    self.log
                        .error(format_args!("unable to start a worker: {reason}"));
                }
            }
        }
    }
}
