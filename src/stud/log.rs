//! What the proxy has to say: lines on standard error or in a file, and beside that to syslog. The parent alone writes
//! them; what the other roles report comes to it as messages, so that one that was taken over cannot forge a line.
#![forbid(unsafe_code)]

mod file;
mod syslog;

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Instant, SystemTime};

use nix::unistd::{Pid, getpid};

use self::file::LogFile;
use self::syslog::{Priority, Syslog};
use super::config::{Level, LogSettings};
use crate::sys::clock::LocalTime;
use crate::sys::words;

/// Where syslog listens for the system's programs.
const SYSLOG: &str = "/dev/log";

pub struct Log {
    settings: LogSettings,
    /// Nobody who writes a line calls back into the log, so that a borrow never meets another.
    outlets: RefCell<Outlets>,
}

struct Outlets {
    /// `None`: standard error.
    file: Option<LogFile>,
    syslog: Option<Syslog>,
    lost: u64,
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Life,
    Error,
    Connection,
    Verdict,
}

impl Log {
    /// Opens what the settings name; the error names the file. `program` is what syslog knows us by.
    pub fn open(program: &'static str, settings: &LogSettings) -> Result<Log, String> {
        let file = settings.file.as_deref().map(LogFile::open).transpose()?;
        let syslog = settings.syslog;
        Ok(Log {
            settings: settings.clone(),
            outlets: RefCell::new(Outlets {
                file,
                syslog: syslog.map(|facility| Syslog::new(SYSLOG.as_ref(), facility, program)),
                lost: 0,
            }),
        })
    }

    /// Whether it is what these settings want.
    pub fn is_for(&self, settings: &LogSettings) -> bool {
        self.settings == *settings
    }

    /// A start, a stop, a reload.
    pub fn life(&self, text: impl Display) {
        self.line(Kind::Life, getpid(), text);
    }

    /// Something that went wrong and is not a client's doing.
    pub fn error(&self, text: impl Display) {
        self.line(Kind::Error, getpid(), text);
    }

    /// What became of something that the administrator asked for: said at every level.
    pub fn verdict(&self, text: impl Display) {
        self.line(Kind::Verdict, getpid(), text);
    }

    /// An error that a worker tells of.
    pub fn error_of(&self, worker: Pid, text: impl Display) {
        self.line(Kind::Error, worker, text);
    }

    /// A connection of that worker is over.
    pub fn connection(&self, worker: Pid, text: impl Display) {
        self.line(Kind::Connection, worker, text);
    }

    /// Opens the file again by its name: somebody may have moved the old one away. If that cannot be done the old one
    /// stays.
    pub fn reopen(&self) -> Result<(), String> {
        match &mut self.outlets.borrow_mut().file {
            Some(file) => file.reopen(),
            None => Ok(()),
        }
    }

    /// Lines that could not be written to one of their places so far.
    pub fn lost(&self) -> u64 {
        self.outlets.borrow().lost
    }

    /// A log that cannot be written must not stop the service.
    fn line(&self, kind: Kind, pid: Pid, text: impl Display) {
        if shows(self.settings.level, kind) {
            let text = words::on_one_line(&text.to_string());
            let time = LocalTime::of(SystemTime::now());
            self.outlets.borrow_mut().write(kind, time, pid, &text);
        }
    }
}

fn shows(level: Level, kind: Kind) -> bool {
    match level {
        Level::Quiet => matches!(kind, Kind::Error | Kind::Verdict),
        Level::Life => matches!(kind, Kind::Life | Kind::Verdict),
        Level::Errors => kind != Kind::Connection,
        Level::Connections => true,
    }
}

/// `YYYYMMDDTHHMMSS.uuuuuu [  pid] text`, as hitch has it.
fn format(time: LocalTime, pid: Pid, text: &str) -> String {
    let LocalTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        microsecond,
    } = time;
    format!(
        "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{microsecond:06} [{pid:>5}] {text}\n"
    )
}

impl Outlets {
    fn write(&mut self, kind: Kind, time: LocalTime, pid: Pid, text: &str) {
        let line = format(time, pid, text);
        let written = match &mut self.file {
            Some(file) => file.write(line.as_bytes(), Instant::now()),
            None => io::stderr().write_all(line.as_bytes()),
        };
        let priority = match kind {
            Kind::Error => Priority::Error,
            Kind::Life | Kind::Connection | Kind::Verdict => Priority::Information,
        };
        let sent = match &mut self.syslog {
            Some(syslog) => syslog.send(priority, time, pid, text),
            None => Ok(()),
        };
        self.lost += [written, sent]
            .iter()
            .filter(|outcome| outcome.is_err())
            .count() as u64;
    }
}

#[cfg(test)]
mod tests;
