//! Lines for the log on descriptor 2, each in one write, in upstream's words.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

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

pub struct Log {
    /// What lines begin with: the name the program was called by.
    name: String,
    level: Level,
}

impl Log {
    pub fn new(name: String, level: Level) -> Log {
        Log { name, level }
    }

    pub fn level(&self) -> Level {
        self.level
    }

    /// Writes a line if the level is asked for. A log that cannot be written must not stop the service.
    pub fn line(&self, level: Level, text: impl fmt::Display) {
        if self.level >= level {
            let line = format!("{}: {text}\n", self.name);
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    pub fn warning(&self, text: impl fmt::Display) {
        self.line(Level::Warning, format_args!("warning: {text}"));
    }
}

/// A field that a stranger had a hand in: what could break a line or forge one becomes `?`, and it ends after 100 bytes.
pub fn field(bytes: &[u8]) -> String {
    const MOST: usize = 100;
    let harmless = |&byte: &u8| match byte {
        b'%' | 0..=32 | 127.. => '?',
        _ => char::from(byte),
    };
    let mut text: String = bytes.iter().take(MOST).map(harmless).collect();
    if bytes.len() > MOST {
        text.push_str("...");
    }
    text
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

/// How long one spell of turned away connections lasts, and how many of its lines are written whole.
const SPELL: Duration = Duration::from_secs(10);
const WHOLE: u32 = 20;

/// Keeps a flood out of the log: the first lines of a spell are written, the rest is counted.
pub struct Spell {
    /// What is counted, in the plural.
    what: &'static str,
    since: Option<Instant>,
    lines: u32,
    held: u64,
    last: Option<IpAddr>,
}

impl Spell {
    pub fn new(what: &'static str) -> Spell {
        Spell {
            what,
            since: None,
            lines: 0,
            held: 0,
            last: None,
        }
    }

    /// True if the line about this client is to be written.
    pub fn admits(&mut self, client: IpAddr, now: Instant) -> bool {
        self.since.get_or_insert(now);
        if self.lines < WHOLE {
            self.lines += 1;
            return true;
        }
        self.held += 1;
        self.last = Some(client);
        false
    }

    /// When the spell is over and [`Spell::end`] has something to say.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + SPELL)
    }

    /// Ends the spell and answers the line that sums it up, if any was held back.
    pub fn end(&mut self) -> Option<String> {
        let spell = std::mem::replace(self, Spell::new(self.what));
        let last = spell.last?;
        let seconds = SPELL.as_secs();
        let (held, what) = (spell.held, spell.what);
        Some(format!(
            "{held} more {what} within {seconds} seconds, the last from {last}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_cannot_break_a_line_or_fill_it() {
        assert_eq!(field(b"a\nb%c d\xff"), "a?b?c?d?");
        let long = field(&[b'x'; 200]);
        assert_eq!(long.len(), 103);
        assert!(long.ends_with("x..."));
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

    #[test]
    fn a_flood_is_one_line_more_than_its_beginning() {
        let (mut spell, now) = (Spell::new("connections denied"), Instant::now());
        let client = IpAddr::from([192, 0, 2, 1]);
        let written = (0..10_000).filter(|_| spell.admits(client, now)).count();
        assert_eq!(written, 20);
        let line = spell.end().unwrap();
        assert_eq!(
            line,
            "9980 more connections denied within 10 seconds, the last from 192.0.2.1"
        );
        assert!(spell.end().is_none());
    }

    #[test]
    fn a_few_denials_need_no_summary() {
        let (mut spell, now) = (Spell::new("connections denied"), Instant::now());
        assert!(spell.admits(IpAddr::from([192, 0, 2, 1]), now));
        assert!(spell.due().is_some());
        assert!(spell.end().is_none());
    }
}
