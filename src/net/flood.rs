//! Keeps what many strangers do at once out of the log.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long one spell of connections that came to nothing lasts, and how many of its lines are written whole.
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
