//! Lines for whoever looks after the program.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// What is known of a connection that is over.
pub struct Access<'a> {
    pub client: SocketAddr,
    /// The name that the client asked for, a legal one.
    pub name: Option<&'a str>,
    /// Bytes delivered to the backend and to the client.
    pub counts: (u64, u64),
    pub time: Duration,
    /// In words; `done` if both sides ended in peace.
    pub outcome: &'a dyn fmt::Display,
}

impl fmt::Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = SocketAddr::new(self.client.ip().to_canonical(), self.client.port());
        let name = self.name.unwrap_or("-");
        let (up, down) = self.counts;
        let seconds = self.time.as_secs_f64();
        write!(
            f,
            "{client} {name} {up} {down} {seconds:.3} {}",
            self.outcome
        )
    }
}

/// A line on stderr, in one write. A log that cannot be written must not stop the service.
pub fn line(text: impl fmt::Display) {
    let line = format!("sniproxy: {text}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// A line on stdout, where the program says that it begins and ends.
pub fn announce(text: impl fmt::Display) {
    let line = format!("{text}\n");
    let _ = io::stdout().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_a_line_of_six_fields() {
        let access = Access {
            client: "[::ffff:192.0.2.1]:5000".parse().unwrap(),
            name: Some("a.example"),
            counts: (517, 4096),
            time: Duration::from_millis(1250),
            outcome: &"done",
        };
        let line = "192.0.2.1:5000 a.example 517 4096 1.250 done";
        assert_eq!(access.to_string(), line);
        let access = Access {
            name: None,
            outcome: &"no server name",
            ..access
        };
        let line = "192.0.2.1:5000 - 517 4096 1.250 no server name";
        assert_eq!(access.to_string(), line);
    }
}
