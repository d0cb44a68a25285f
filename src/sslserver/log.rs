//! Lines for the log on descriptor 2, each in one write, in upstream's words.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
