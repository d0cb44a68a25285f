//! The parent: it keeps the listening sockets, starts keepers and workers and looks after them, and writes the log. It
//! reads no stranger's byte.
#![forbid(unsafe_code)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::config::Config;
use super::failure::Failure;
use super::generation::{Generation, State};
use super::lines;
use super::log::Log;
use super::succession::Coming;
use super::surroundings::Surroundings;
use super::waiting::Source;
use crate::privsep::backoff::Backoff;
use crate::privsep::resolver::Resolver;
use crate::privsep::worker::Counts;
use crate::sys::heap;
use crate::sys::process;
use crate::sys::signal::Signals;

/// Time to end after everybody was told to.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How the configuration is read again.
pub type Reread = Box<dyn Fn() -> Result<Config, Failure>>;

pub struct Parent {
    /// What syslog knows us by.
    pub(super) name: &'static str,
    pub(super) log: Log,
    pub(super) signals: Signals,
    reread: Reread,
    /// The last one is the newest.
    pub(super) generations: Vec<Generation>,
    pub(super) coming: Option<Coming>,
    /// A generation has taken over; by this time it is said, be those before it still accepting.
    pub(super) announcement: Option<Instant>,
    pub(super) counts: Vec<Arc<Counts>>,
    /// A generation with the same configuration is to take over.
    pub(super) renewal: Option<Instant>,
    pub(super) renewals: Backoff,
    /// When whoever is left is killed.
    pub(super) end: Option<Instant>,
    pub(super) now: Instant,
    pub(super) surroundings: Surroundings,
    /// When the backends' names are looked up again, and who is at it.
    pub(super) refresh: Option<Instant>,
    pub(super) refresher: Option<Resolver>,
    /// Nothing is to be served; whether it could be is all that is asked.
    pub testing: bool,
    /// Why the first generation did not come to serve.
    pub(super) failure: Option<Failure>,
}

impl Parent {
    pub fn new(
        name: &'static str,
        log: Log,
        signals: Signals,
        surroundings: Surroundings,
        reread: Reread,
    ) -> Parent {
        Parent {
            name,
            log,
            signals,
            reread,
            generations: Vec::new(),
            coming: None,
            announcement: None,
            counts: Vec::new(),
            renewal: None,
            renewals: Backoff::default(),
            end: None,
            now: Instant::now(),
            surroundings,
            refresh: None,
            refresher: None,
            testing: false,
            failure: None,
        }
    }

    /// Serves until it is told to end, and everybody has.
    pub fn run(&mut self, config: Config) -> Result<(), Failure> {
        self.begin(Rc::new(config))?;
        while !self.is_over() {
            for source in self.wait() {
                self.attend(source);
            }
            // Not before: the sources count them.
            self.forget_what_is_over();
            self.keep_times();
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    fn is_over(&self) -> bool {
        let idle = self.generations.is_empty() && self.coming.is_none();
        idle && (self.end.is_some() || self.failure.is_some())
    }

    fn forget_what_is_over(&mut self) {
        let before = self.generations.len();
        self.generations.retain(|generation| !generation.is_over());
        if self.generations.len() < before {
            // Children would inherit what a long configuration leaves.
            heap::trim();
        }
    }

    fn attend(&mut self, source: Source) {
        match source {
            Source::Signals => {
                while let Some(signal) = self.signals.next() {
                    self.obey(signal);
                }
            }
            Source::Keeper(generation) => drop(self.hear_keeper(generation)),
            Source::Store(generation) => self.hear_store(generation),
            Source::Worker(generation, place) => drop(self.hear_worker(generation, place)),
            Source::Resolver => self.hear_resolver(),
            Source::Refresher => self.hear_refresher(),
            Source::Metrics => self.tell_metrics(),
        }
    }

    fn obey(&mut self, signal: Signal) {
        match signal {
            Signal::SIGCHLD => {
                while let Some(ended) = process::reap() {
                    self.bury(ended);
                }
            }
            Signal::SIGHUP => self.reload(),
            Signal::SIGTERM if self.end.is_none() => {
                let serving = self.serving();
                let drain = serving.map_or(Duration::ZERO, |one| one.config.times.drain);
                self.log.life("SIGTERM: no more connections are accepted");
                self.leave(drain);
            }
            Signal::SIGTERM | Signal::SIGINT => {
                let signal = signal.as_str();
                self.log.life(format_args!("{signal}: ending at once"));
                self.leave(Duration::ZERO);
            }
            Signal::SIGUSR1 => self.log.verdict(lines::counters(&self.counts, &self.log)),
            _ => {}
        }
    }

    pub(super) fn serving(&self) -> Option<&Generation> {
        let mut all = self.generations.iter();
        all.find(|generation| generation.state == State::Serving)
    }

    /// Ends, when the connections do or the time is over.
    pub(super) fn leave(&mut self, patience: Duration) {
        self.coming = None;
        self.renewal = None;
        for generation in &mut self.generations {
            match generation.state {
                State::Loading | State::Starting => generation.give_up(),
                State::Serving | State::Draining => generation.drain(patience),
            }
            generation.dismiss_keeper();
        }
        let end = self.now.checked_add(patience.saturating_add(LAST_WORDS));
        self.end = Some(end.unwrap_or(self.now + Duration::from_secs(365 * 86400)));
    }

    fn reload(&mut self) {
        if self.end.is_some() {
            return;
        }
        if let Err(error) = self.log.reopen() {
            self.log.error(error);
        }
        self.log.life("reload: reading the configuration again");
        let config = (self.reread)();
        if let Err(failure) = config.and_then(|config| self.begin(Rc::new(config))) {
            self.fail(failure);
        }
    }
}
