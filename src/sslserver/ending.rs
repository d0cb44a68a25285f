//! The end of the server: at once, or with DRAIN when the connections have ended, or when their time is over.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::admission::BATCH;
use super::listener::Listener;
use super::log::Level;

/// Time for applications that were told to end.
const GRACE: Duration = Duration::from_secs(2);

/// The most that a listening socket holds, unless the system is set to more (net.core.somaxconn).
const MOST_QUEUED: usize = 4096;

/// How far an end has come that takes time.
#[derive(Clone, Copy)]
pub(super) enum Stopping {
    /// Connections finish by themselves until then.
    Draining(Instant),
    /// The applications that were left have had SIGTERM, and are killed then.
    Terminating(Instant),
}

impl Stopping {
    fn due(self) -> Instant {
        let (Stopping::Draining(due) | Stopping::Terminating(due)) = self;
        due
    }
}

impl Listener {
    /// Takes SIGTERM or SIGINT: the first begins the end, each one more takes its next step at once.
    pub(super) fn told_to_end(&mut self, signal: Signal) {
        match self.stopping {
            None => self.begin_to_end(signal),
            Some(_) => self.hurry(signal.as_str()),
        }
    }

    pub(super) fn end_due(&self) -> Option<Instant> {
        self.stopping.map(Stopping::due)
    }

    /// Ends when nothing is left, and goes on to the next step when the time for one is over.
    pub(super) fn keep_ending(&mut self, now: Instant) {
        let Some(stopping) = self.stopping else {
            return;
        };
        if self.left() == 0 && self.applications.is_empty() {
            self.log
                .line(Level::Status, "info: ended, no connection is left");
            self.end = Some(Ok(()));
        } else if stopping.due() <= now {
            let seconds = match stopping {
                Stopping::Draining(_) => self.drain,
                Stopping::Terminating(_) => GRACE,
            };
            self.hurry(format_args!("{} seconds are over", seconds.as_secs()));
        }
    }

    /// Applications are started as long as their connections have time.
    pub(super) fn may_start(&self) -> bool {
        !matches!(self.stopping, Some(Stopping::Terminating(_)))
    }

    /// Connections that are not over, those that somebody is asked about included.
    fn left(&self) -> usize {
        self.connections.len() + self.inquiries.len()
    }

    fn begin_to_end(&mut self, signal: Signal) {
        if self.drain.is_zero() {
            self.log
                .line(Level::Status, format_args!("info: ended by {signal}"));
            self.notify.stopping(&self.log, self.left());
            // Running connections go on: their sessions and applications need us only to be logged.
            self.end = Some(Ok(()));
            return;
        }
        // Who waits in the kernel's queue would be reset with the socket. A flood must not keep us here.
        for _ in 0..MOST_QUEUED / BATCH {
            self.accept_some();
        }
        self.socket = None;
        let (left, seconds) = (self.left(), self.drain.as_secs());
        self.log.line(
            Level::Status,
            format_args!("info: {signal}: {left} connections have {seconds} seconds to end"),
        );
        self.notify.stopping(&self.log, left);
        self.stopping = Some(Stopping::Draining(Instant::now() + self.drain));
    }

    /// Does what is done at the end of a time.
    fn hurry(&mut self, why: impl fmt::Display) {
        let (left, running) = (self.left(), self.applications.len());
        let signal = match self.stopping {
            Some(Stopping::Draining(_)) if running > 0 => Signal::SIGTERM,
            _ => Signal::SIGKILL,
        };
        let to = match running {
            0 => String::new(),
            _ => format!(", {signal} to {running} applications"),
        };
        self.log
            .warning(format_args!("{why}: {left} connections left{to}"));
        for &pid in self.applications.keys() {
            // It has not been reaped, so that the number is still its own.
            let _ = kill(pid, signal);
        }
        match signal {
            Signal::SIGTERM => {
                self.stopping = Some(Stopping::Terminating(Instant::now() + GRACE));
            }
            _ => self.end = Some(Ok(())),
        }
    }
}
