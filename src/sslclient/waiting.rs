//! While the program runs: what the session reports, what becomes of the program, and signals for it.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::told_connected;
use crate::privsep::message::{Ending, ListenerToSession, SessionReport};
use crate::sys::signal::Signals;
use crate::sys::{descriptor, process};
use crate::ucspi::error::{DROPPED, Error, TEMPORARY};
use crate::ucspi::log::{Level, Log, words};

/// After the program has ended the session has so long, beyond the idle time twice, to bring the rest to the server.
const REST: Duration = Duration::from_secs(60);
/// As shells say of a program that a signal ended.
const SIGNALLED: i32 = 128;

/// What ends a program, passed on to it if it came from another process. What comes from a terminal it got itself.
const PASSED_ON: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];

pub struct Waiting {
    remote: SocketAddr,
    signals: Signals,
    /// `None`: the session is over.
    reports: Option<ListenerToSession>,
    /// The session has said how the relay ended.
    is_told: bool,
    /// What speaks louder than the program's exit code.
    trouble: Option<u8>,
    idle: Duration,
}

impl Waiting {
    /// To be called before the program is started, so that its end is not missed.
    pub fn begin(
        remote: SocketAddr,
        reports: ListenerToSession,
        idle: Duration,
    ) -> Result<Waiting, Error> {
        let wanted = [&PASSED_ON[..], &[Signal::SIGCHLD]].concat();
        let failed =
            |errno: Errno| Error::fatal(format_args!("unable to catch signals: {}", errno.desc()));
        Ok(Waiting {
            remote,
            signals: Signals::catch(&wanted).map_err(failed)?,
            reports: Some(reports),
            is_told: false,
            trouble: None,
            idle,
        })
    }

    /// The mask of signals that the program gets.
    pub fn inherited(&self) -> SigSet {
        *self.signals.inherited()
    }

    /// Waits until both program and session are over. Answers with the exit code.
    pub fn wait_for(mut self, program: Pid, log: &Log) -> u8 {
        let mut status = None;
        let mut due: Option<Instant> = None;
        loop {
            if status.is_some() && self.reports.is_none() {
                return self.trouble.unwrap_or(status.unwrap_or(TEMPORARY));
            }
            if status.is_some() && due.is_none() {
                due = Some(Instant::now() + 2 * self.idle + REST);
            }
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                self.fail(program, "the session does not end", log);
                self.reports = None;
                continue;
            }
            let watched = self
                .reports
                .as_ref()
                .map(|reports| (reports.as_fd(), PollFlags::POLLIN));
            let signals = Some((self.signals.as_fd(), PollFlags::POLLIN));
            // Without a descriptor to wait for there would be no program either.
            let ready = descriptor::wait([signals, watched], left.unwrap_or(Duration::MAX));
            if ready.is_ok_and(|[_, reports]| reports.readable) {
                self.hear(program, log);
            }
            while let Some((signal, is_sent)) = self.signals.next_with_source() {
                match signal {
                    Signal::SIGCHLD => {
                        while let Some(ended) = process::reap() {
                            if ended.pid == program {
                                log.line(Level::Status, format_args!("{program} {ended}"));
                                status = Some(code(ended.status));
                            }
                        }
                    }
                    // There is only the rest of its output to be lost.
                    _ if status.is_some() => return code(signal as i32),
                    _ if is_sent => {
                        // One that is gone is about to be noticed.
                        let _ = kill(program, signal);
                    }
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, program: Pid, log: &Log) {
        let Some(reports) = &self.reports else {
            return;
        };
        let report = match reports.try_receive() {
            Ok(Some((report, _))) => report,
            Ok(None) => return,
            Err(_) => {
                if !self.is_told {
                    self.fail(program, "the session ended without a word", log);
                }
                self.reports = None;
                return;
            }
        };
        match report {
            SessionReport::Established { .. } => return told_connected(self.remote, log),
            SessionReport::Failed { reason, .. } => {
                log.line(Level::Warning, Error::fatal(words(&reason)));
                self.trouble = Some(TEMPORARY);
            }
            SessionReport::Refused { reason } => {
                log.line(Level::Warning, Error::dropped(words(&reason)));
                self.trouble = Some(DROPPED);
            }
            SessionReport::Finished { ending, .. } => match ending {
                Ending::Complete | Ending::Plain => {}
                Ending::Cut => self.fail(program, "it ended without close_notify", log),
                Ending::Idle => self.fail(program, "idle for too long", log),
                Ending::ClientGone(reason) | Ending::Broken(reason) => {
                    self.fail(program, &words(&reason), log);
                }
            },
        }
        self.is_told = true;
    }

    fn fail(&mut self, program: Pid, reason: &str, log: &Log) {
        let ip = self.remote.ip();
        log.line(
            Level::Warning,
            format_args!("error: (111) unable to speak TLS with: {ip} for pid: {program} {reason}"),
        );
        self.trouble = Some(TEMPORARY);
    }
}

/// The exit code for a raw status of wait(2).
fn code(status: i32) -> u8 {
    let code = match libc::WIFSIGNALED(status) {
        true => SIGNALLED + libc::WTERMSIG(status),
        false => libc::WEXITSTATUS(status),
    };
    u8::try_from(code).unwrap_or(TEMPORARY)
}
