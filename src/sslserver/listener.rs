//! The listener: accepts, limits, asks the rules, hands clients to the terminator, starts applications and reaps them.
//! It is the one process that stays root; it parses no byte of a stranger and never waits for one.
#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::application::Launcher;
use super::config::Shown;
use super::connection::{Connection, Handover, Kit};
use super::counters::Counters;
use super::ending::Stopping;
use super::error::Error;
use super::inquiry::Inquiry;
use super::keysets::KeySets;
use super::limits::Limits;
use super::log::{Level, Log};
use super::notify::Notify;
use super::options::Options;
use super::renewal::{Renewal, Watch};
use super::roles::Roles;
use crate::net::address::Network;
use crate::net::census::Census;
use crate::net::flood::Spell;
use crate::net::metrics::Metrics;
use crate::net::rate::Rates;
use crate::rules::RulesFile;
use crate::sys::signal::Signals;
use crate::tls::client::Demand;

/// What an event is about; greater numbers are connections and terminators.
pub(super) mod token {
    pub const SOCKET: u64 = 0;
    pub const SIGNALS: u64 = 1;
    pub const KEEPER: u64 = 2;
    pub const LOOKUP: u64 = 4;
    pub const METRICS: u64 = 5;
    pub const FIRST: u64 = 16;
}

/// Pause before trying again what descriptors or processes lacked for.
pub(super) const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// So long nothing may lack before a shortage counts as over: it comes and goes while it lasts.
const ENOUGH: Duration = Duration::from_secs(2);

/// A lack that is told once when it begins and once when it is over.
#[derive(Default)]
pub(super) struct Shortage {
    told: bool,
    /// Since when there is enough again.
    enough: Option<Instant>,
}

impl Shortage {
    pub fn begin(&mut self, log: &Log, text: impl std::fmt::Display) {
        self.enough = None;
        if !self.told {
            self.told = true;
            log.warning(text);
        }
    }

    pub fn pass(&mut self) {
        if self.told && self.enough.is_none() {
            self.enough = Some(Instant::now());
        }
    }

    fn due(&self) -> Option<Instant> {
        self.enough.map(|since| since + ENOUGH)
    }

    fn end(&mut self, now: Instant, log: &Log, text: &str) {
        if self.due().is_some_and(|due| due <= now) {
            *self = Shortage::default();
            log.line(Level::Warning, format_args!("info: {text}"));
        }
    }
}

pub struct Listener {
    pub(super) options: Options,
    pub(super) log: Log,
    pub(super) limits: Limits,
    pub(super) demand: Demand,
    /// Gone when no more are accepted.
    pub(super) socket: Option<TcpListener>,
    pub(super) notify: Notify,
    pub(super) signals: Signals,
    pub(super) launcher: Launcher,
    pub(super) roles: Roles,
    pub(super) early_rules: Option<RulesFile>,
    pub(super) rules: Option<RulesFile>,
    pub(super) epoll: Epoll,
    pub(super) connections: HashMap<u64, Connection>,
    /// Connections that are not in yet: somebody is asked about them.
    pub(super) inquiries: HashMap<u64, Inquiry>,
    /// PROXYFROM: who may announce others.
    pub(super) proxies: Vec<Network>,
    pub(super) applications: HashMap<Pid, u64>,
    pub(super) census: Census,
    /// Those of them that have no application yet.
    pub(super) unfinished: Census,
    pub(super) rates: Rates,
    pub(super) running: usize,
    /// Established connections that wait for a place or a process, first come first served.
    pub(super) queue: VecDeque<u64>,
    pub(super) deadlines: BTreeSet<(Instant, u64)>,
    pub(super) next: u64,
    pub(super) kit: Option<Kit>,
    /// Clients for whom there is no terminator at present.
    pub(super) homeless: VecDeque<Handover>,
    pub(super) sets: KeySets,
    pub(super) renewal: Option<Renewal>,
    /// It was asked for while a keeper was only beginning.
    pub(super) renewal_due: bool,
    pub(super) watch: Option<Watch>,
    pub(super) accepting: bool,
    /// Nothing is accepted, or no application started, before this.
    pub(super) accept_after: Option<Instant>,
    pub(super) start_after: Option<Instant>,
    pub(super) descriptors: Shortage,
    /// Places for connections without an application.
    pub(super) handshakes_short: Shortage,
    /// Room to remember how often each client came.
    pub(super) uncounted: Shortage,
    pub(super) applications_short: Shortage,
    pub(super) sessions_short: Shortage,
    pub(super) denials: Spell,
    pub(super) failures: Spell,
    /// Rules that say what means nothing.
    pub(super) faults: Spell,
    pub(super) counters: Counters,
    /// METRICS: who asks for them.
    pub(super) metrics: Option<Metrics>,
    /// How we are configured, for the log.
    pub(super) settings: Shown,
    pub(super) dh_bits: u32,
    /// Everything was ready once.
    pub(super) started: bool,
    /// DRAIN: time for running connections when the server is told to end.
    pub(super) drain: Duration,
    pub(super) stopping: Option<Stopping>,
    /// Set when the server is to end, with the reason if it is an error.
    pub(super) end: Option<Result<(), Error>>,
}

/// What [`Listener::new`] is made of.
pub struct Parts {
    pub options: Options,
    pub log: Log,
    pub limits: Limits,
    pub drain: Duration,
    pub demand: Demand,
    pub proxies: Vec<Network>,
    pub socket: TcpListener,
    pub notify: Notify,
    pub signals: Signals,
    pub launcher: Launcher,
    pub roles: Roles,
    pub sets: KeySets,
    pub metrics: Option<Metrics>,
    pub settings: Shown,
    /// Changed files are found without SIGHUP.
    pub watches: bool,
}

impl Listener {
    pub fn new(parts: Parts) -> Result<Listener, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let event = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        epoll.add(&parts.signals, event(token::SIGNALS))?;
        epoll.add(
            &parts.socket,
            EpollEvent::new(EpollFlags::empty(), token::SOCKET),
        )?;
        if let Some(metrics) = &parts.metrics {
            epoll.add(metrics, event(token::METRICS))?;
        }
        Ok(Listener {
            early_rules: parts.options.early_rules.clone().map(RulesFile::new),
            rules: parts.options.rules.clone().map(RulesFile::new),
            options: parts.options,
            log: parts.log,
            limits: parts.limits,
            demand: parts.demand,
            socket: Some(parts.socket),
            notify: parts.notify,
            signals: parts.signals,
            launcher: parts.launcher,
            roles: parts.roles,
            epoll,
            connections: HashMap::new(),
            inquiries: HashMap::new(),
            proxies: parts.proxies,
            applications: HashMap::new(),
            census: Census::default(),
            unfinished: Census::default(),
            rates: Rates::default(),
            running: 0,
            queue: VecDeque::new(),
            deadlines: BTreeSet::new(),
            next: token::FIRST,
            kit: None,
            homeless: VecDeque::new(),
            sets: parts.sets,
            renewal: None,
            renewal_due: false,
            watch: parts.watches.then(|| Watch::new(Instant::now())),
            accepting: false,
            accept_after: None,
            start_after: None,
            descriptors: Shortage::default(),
            handshakes_short: Shortage::default(),
            uncounted: Shortage::default(),
            applications_short: Shortage::default(),
            sessions_short: Shortage::default(),
            denials: Spell::new("connections denied"),
            failures: Spell::new("handshakes failed"),
            faults: Spell::new("connections met a rule with a wrong limit"),
            counters: Counters::default(),
            metrics: parts.metrics,
            settings: parts.settings,
            dh_bits: 0,
            started: false,
            drain: parts.drain,
            stopping: None,
            end: None,
        })
    }

    /// Serves until a signal or a fatal error ends it.
    pub fn run(mut self) -> Result<(), Error> {
        self.roles.keeper_due = Some(Instant::now());
        let mut events = [EpollEvent::empty(); 64];
        loop {
            self.on_time(Instant::now());
            if let Some(end) = self.end.take() {
                return end;
            }
            self.set_accepting();
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(Error::fatal(format_args!("epoll: {}", errno.desc()))),
                Ok(count) => count,
            };
            for event in &events[..count] {
                let token = event.data();
                // A defect of ours in the handling of one connection ends that connection, not the service.
                let handled = catch_unwind(AssertUnwindSafe(|| self.on_event(token)));
                if handled.is_err() {
                    self.forget(token);
                }
            }
        }
    }

    fn on_event(&mut self, token: u64) {
        match token {
            token::SOCKET => self.accept_some(),
            token::SIGNALS => self.on_signals(),
            token::KEEPER => self.hear_keeper(),
            token::LOOKUP => self.hear_lookup(),
            token::METRICS => self.turn_metrics(),
            number if self.roles.crew.by_token(number).is_some() => self.hear_terminator(number),
            number => self.hear_session(number),
        }
    }

    fn on_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                Signal::SIGCHLD => self.reap(),
                Signal::SIGHUP => self.renew("SIGHUP"),
                Signal::SIGUSR1 => self.log_counters(),
                signal => self.told_to_end(signal),
            }
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = crate::sys::process::reap() {
            match self.applications.remove(&ended.pid) {
                Some(number) => self.application_ended(number, ended),
                None => self.role_ended(ended),
            }
        }
    }

    /// Does what is due.
    fn on_time(&mut self, now: Instant) {
        self.keep_ending(now);
        self.look_after_roles(now);
        self.look(now);
        while let Some(&(due, number)) = self.deadlines.first()
            && due <= now
        {
            self.deadlines.remove(&(due, number));
            self.overdue(number);
        }
        if self.start_after.is_some_and(|after| after <= now) {
            self.start_after = None;
            self.start_waiting();
        }
        if self.metrics_due().is_some_and(|due| due <= now) {
            self.turn_metrics();
        }
        for (shortage, text) in [
            (&mut self.descriptors, "accepting connections again"),
            (
                &mut self.handshakes_short,
                "below the handshake limit again",
            ),
            (
                &mut self.uncounted,
                "counting the rate of each client again",
            ),
            (&mut self.applications_short, "starting applications again"),
            (&mut self.sessions_short, "making sessions again"),
        ] {
            shortage.end(now, &self.log, text);
        }
        for spell in [&mut self.denials, &mut self.failures, &mut self.faults] {
            if spell.due().is_some_and(|due| due <= now)
                && let Some(line) = spell.end()
            {
                self.log.warning(line);
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let dues = [
            self.end_due(),
            self.roles.moment(),
            self.watch.as_ref().map(|watch| watch.due),
            self.deadlines.first().map(|(due, _)| *due),
            self.start_after,
            self.accept_after,
            self.denials.due(),
            self.failures.due(),
            self.faults.due(),
            self.metrics_due(),
            self.descriptors.due(),
            self.handshakes_short.due(),
            self.uncounted.due(),
            self.applications_short.due(),
            self.sessions_short.due(),
        ];
        let Some(due) = dues.into_iter().flatten().min() else {
            return EpollTimeout::NONE;
        };
        let left = due.saturating_duration_since(Instant::now());
        // Rounded up: waking a moment early would mean to spin until the moment comes.
        let milliseconds = left.as_millis().saturating_add(1);
        EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::MAX)
    }

    /// Opens or shuts the gate: clients that cannot be served now wait in the kernel's queue.
    fn set_accepting(&mut self) {
        self.tell_crowd();
        let now = Instant::now();
        if self.accept_after.is_some_and(|after| after <= now) {
            self.accept_after = None;
        }
        let wanted = self.may_accept();
        if wanted != self.accepting {
            let flags = match wanted {
                true => EpollFlags::EPOLLIN,
                false => EpollFlags::empty(),
            };
            let mut event = EpollEvent::new(flags, token::SOCKET);
            if let Some(socket) = &self.socket
                && self.epoll.modify(socket, &mut event).is_ok()
            {
                self.accepting = wanted;
            }
        }
    }

    pub(super) fn may_accept(&self) -> bool {
        self.roles.crew.takes()
            && self.socket.is_some()
            && self.homeless.is_empty()
            && self.accept_after.is_none()
            && self.running < self.limits.running
            && !self.is_crowded()
    }

    /// Pauses accepting for want of descriptors or memory.
    pub(super) fn pause(&mut self, reason: Errno) {
        let reason = reason.desc();
        self.descriptors.begin(
            &self.log,
            format_args!("unable to accept more connections: {reason}"),
        );
        self.accept_after = Some(Instant::now() + SHORTAGE_PAUSE);
    }

    /// No process could be made for an application: all that wait try again a little later.
    pub(super) fn pause_starts(&mut self, reason: impl std::fmt::Display) {
        self.applications_short.begin(
            &self.log,
            format_args!("unable to start more applications: {reason}"),
        );
        self.start_after = Some(Instant::now() + SHORTAGE_PAUSE);
    }
}
