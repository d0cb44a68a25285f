//! Who is told the counters: the log at SIGUSR1, and whoever connects to the socket of METRICS.
#![forbid(unsafe_code)]

use std::time::Instant;

use nix::unistd::{Pid, getpid};

use super::counters::Now;
use super::listener::Listener;
use super::log::Level;
use crate::net::metrics::Metrics;
use crate::sys::process;

impl Listener {
    pub(super) fn log_counters(&self) {
        let pid = getpid();
        for line in self.counters.lines(&self.present()) {
            self.log
                .line(Level::Warning, format_args!("counters {pid} {line}"));
        }
    }

    /// Answers those who ask, and forgets those who do not leave.
    pub(super) fn turn_metrics(&mut self) {
        if let Some(mut metrics) = self.metrics.take() {
            let text = || self.counters.metrics(&self.present());
            metrics.turn(Instant::now(), text);
            self.metrics = Some(metrics);
        }
    }

    pub(super) fn metrics_due(&self) -> Option<Instant> {
        self.metrics.as_ref().and_then(Metrics::due)
    }

    fn present(&self) -> Now {
        Now {
            running: self.running,
            unfinished: self.count_unfinished(),
            memory: self.memory(),
        }
    }

    /// What each role has in memory; several processes of one role are one number, and none is 0.
    fn memory(&self) -> [(&'static str, u64); 4] {
        let roles = &self.roles;
        let keeper = roles.keeper.as_ref().map(|keeper| keeper.pid);
        let terminators = roles.crew.members.iter().map(|one| one.pid);
        let lookup = roles.lookup.as_ref().map(|lookup| lookup.pid);
        [
            ("listener", sum([getpid()])),
            ("keeper", sum(keeper)),
            ("terminator", sum(terminators)),
            ("lookup", sum(lookup)),
        ]
    }
}

fn sum(pids: impl IntoIterator<Item = Pid>) -> u64 {
    let known = pids.into_iter().filter_map(process::anonymous_memory);
    known.sum()
}
