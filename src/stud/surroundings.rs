//! What the parent has around it beside its children: who started it in the background, the pid file, the file with
//! the addresses listened on, the socket that tells the counters.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use super::config::Config;
use super::log::Log;
use super::pidfile::PidFile;
use super::sockets::Bound;
use crate::net::metrics::Metrics;
use crate::sys::daemon::Starter;
use crate::sys::words;

#[derive(Default)]
pub struct Surroundings {
    pub starter: Option<Starter>,
    /// Held as long as we run.
    pub pid_file: Option<PidFile>,
    metrics: Option<Metrics>,
    has_served: bool,
}

impl Surroundings {
    /// No configuration has come into force yet.
    pub fn is_new(&self) -> bool {
        !self.has_served
    }

    /// A configuration has come into force.
    pub fn follow(&mut self, config: &Config, sockets: &[Bound], log: &Log) {
        self.has_served = true;
        for socket in sockets {
            log.life(format_args!("listening on {}", socket.local));
        }
        if let Some(path) = &config.listen_report
            && let Err(error) = report(path, sockets)
        {
            let reason = words::reason(&error);
            log.error(format_args!("unable to write {}: {reason}", path.display()));
        }
        let wanted = config.metrics.as_deref();
        if self.metrics.as_ref().map(Metrics::path) != wanted {
            // The old file must be gone first, be it in the way of the new one.
            self.metrics = None;
            match wanted.map(Metrics::open).transpose() {
                Ok(metrics) => self.metrics = metrics,
                Err(error) => log.error(error),
            }
        }
        if let Some(starter) = self.starter.take()
            && let Err(error) = starter.release()
        {
            let reason = words::reason(&error);
            log.error(format_args!("unable to go to the background: {reason}"));
        }
    }

    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    pub fn turn(&mut self, now: Instant, text: impl Fn() -> String) {
        if let Some(metrics) = &mut self.metrics {
            metrics.turn(now, text);
        }
    }
}

/// An `ADDRESS:PORT` of IPv4 a line.
fn report(path: &Path, sockets: &[Bound]) -> std::io::Result<()> {
    let mut text = String::new();
    for socket in sockets.iter().filter(|socket| socket.local.is_ipv4()) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", socket.local);
    }
    std::fs::write(path, text)
}
