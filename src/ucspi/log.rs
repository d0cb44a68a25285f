//! Lines for the log on descriptor 2, each in one write, in upstream's words.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::PollFlags;
use nix::unistd::Pid;

use crate::privsep::message::Facts;
use crate::sys::descriptor;
use crate::sys::words::field;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `-q`: nothing; only the exit code tells.
    Silent,
    /// `-Q`: errors and warnings.
    Warning,
    /// `-v`: and every connection.
    Status,
    /// `-V`: and what TLS agreed on.
    Detail,
}

/// So long a reader that stands still is waited for, once.
const PATIENCE: Duration = Duration::from_secs(1);

pub struct Log {
    /// What lines begin with: the name the program was called by.
    name: String,
    level: Level,
    /// Lines since the reader stands still.
    lost: Cell<u64>,
}

impl Log {
    pub fn new(name: String, level: Level) -> Log {
        Log {
            name,
            level,
            lost: Cell::new(0),
        }
    }

    pub fn level(&self) -> Level {
        self.level
    }

    /// Writes a line if the level is asked for. A log that cannot be written must not stop the service.
    pub fn line(&self, level: Level, text: impl fmt::Display) {
        if self.level >= level {
            let line = format!("{}: {text}\n", self.name);
            self.write(&line);
        }
    }

    /// A log that nobody reads fills up, and a write would wait for ever: then lines are lost, until somebody reads
    /// again and is told how many.
    fn write(&self, line: &str) {
        let mut log = std::io::stderr();
        let lost = self.lost.get();
        let patience = if lost == 0 { PATIENCE } else { Duration::ZERO };
        let room = descriptor::wait([Some((log.as_fd(), PollFlags::POLLOUT))], patience);
        // What cannot be waited for may still be written to.
        if room.is_ok_and(|[room]| !room.is_any()) {
            return self.lost.set(lost + 1);
        }
        if lost > 0 {
            self.lost.set(0);
            let name = &self.name;
            let _ = writeln!(
                log,
                "{name}: warning: nobody read the log: {lost} lines are lost"
            );
        }
        let _ = log.write_all(line.as_bytes());
    }

    pub fn warning(&self, text: impl fmt::Display) {
        self.line(Level::Warning, format_args!("warning: {text}"));
    }
}

/// `LOCALHOST:LOCALIP:LOCALPORT REMOTEHOST:REMOTEIP:REMOTEINFO:REMOTEPORT`, unknown fields empty.
pub struct Ends<'a> {
    pub local_name: Option<&'a [u8]>,
    pub local: SocketAddr,
    pub remote_name: Option<&'a str>,
    pub remote_info: Option<&'a [u8]>,
    pub remote: SocketAddr,
}

impl fmt::Display for Ends<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = field(self.local_name.unwrap_or_default());
        let (local, remote) = (self.local, self.remote);
        write!(f, "{name}:{}:{} ", local.ip(), local.port())?;
        let host = field(self.remote_name.unwrap_or_default().as_bytes());
        let info = field(self.remote_info.unwrap_or_default());
        write!(f, "{host}:{}:{info}:{}", remote.ip(), remote.port())
    }
}

/// A connection that is over: `key=value`, each in its place whatever is known, so that scripts find it. No value has a
/// blank in it but the reason, which comes last, and only if there is one.
pub struct Finished<'a> {
    pub pid: Pid,
    pub remote: SocketAddr,
    pub facts: &'a Facts,
    /// Bytes received and sent.
    pub moved: (u64, u64),
    pub time: Duration,
    /// The application's, as wait(2) has it.
    pub status: i32,
    /// How it ended in a word, and why.
    pub end: (&'static str, &'a str),
}

impl fmt::Display for Finished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, facts, status) = (self.pid, self.facts, self.status);
        let (ip, port) = (self.remote.ip(), self.remote.port());
        write!(f, "finished {pid} ip={ip} port={port}")?;
        for (key, value) in [
            ("name", &facts.name),
            ("protocol", &facts.protocol),
            ("cipher", &facts.cipher),
            ("group", &facts.group),
        ] {
            write!(f, " {key}={}", field(value.as_bytes()))?;
        }
        let resumed = if facts.resumed { "yes" } else { "no" };
        let (received, sent) = self.moved;
        let seconds = self.time.as_secs_f64();
        let (end, reason) = self.end;
        write!(
            f,
            " resumed={resumed} received={received} sent={sent} seconds={seconds:.3} status={status} end={end}"
        )?;
        match reason {
            "" => Ok(()),
            reason => write!(f, " reason={}", words(reason)),
        }
    }
}

/// A reason from a session: one line, no tricks.
pub fn words(reason: &str) -> String {
    let harmless = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    reason.chars().take(200).map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(facts: &Facts, end: (&'static str, &str)) -> String {
        let finished = Finished {
            pid: Pid::from_raw(4715),
            remote: "[2001:db8::1]:52100".parse().unwrap(),
            facts,
            moved: (9, 1_000_000),
            time: Duration::from_millis(61_050),
            status: 768,
            end,
        };
        finished.to_string()
    }

    #[test]
    fn every_field_of_a_finished_connection_has_its_place_and_strangers_do_not_move_it() {
        let facts = Facts {
            protocol: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            group: "x25519".into(),
            name: "a b\n end=x".into(),
            resumed: true,
        };
        assert_eq!(
            finished(&facts, ("client_gone", "Connection reset\nby peer")),
            "finished 4715 ip=2001:db8::1 port=52100 name=a?b??end=x protocol=TLSv1.3 \
             cipher=TLS_AES_256_GCM_SHA384 group=x25519 resumed=yes received=9 sent=1000000 \
             seconds=61.050 status=768 end=client_gone reason=Connection reset?by peer"
        );
        assert_eq!(
            finished(&Facts::default(), ("no_tls", "")),
            "finished 4715 ip=2001:db8::1 port=52100 name= protocol= cipher= group= resumed=no \
             received=9 sent=1000000 seconds=61.050 status=768 end=no_tls"
        );
    }

    #[test]
    fn unknown_names_leave_their_fields_empty() {
        let ends = Ends {
            local_name: Some(b"0"),
            local: "127.0.0.1:24150".parse().unwrap(),
            remote_name: None,
            remote_info: None,
            remote: "[::1]:52100".parse().unwrap(),
        };
        assert_eq!(ends.to_string(), "0:127.0.0.1:24150 :::1::52100");
    }
}
