//! How much is said, and under which name in syslog.
#![forbid(unsafe_code)]

use super::{At, Value, boolean, shown};
use crate::stud::config::{Facility, Level};

/// `log-level` and `quiet`, of which the later counts.
impl Value for Level {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        *self = match (at.name, text) {
            ("quiet", _) => match boolean(text)? {
                true => Level::Quiet,
                false if *self == Level::Quiet => Level::Errors,
                false => *self,
            },
            (_, "0") => Level::Life,
            (_, "1") => Level::Errors,
            (_, "2") => Level::Connections,
            _ => return Err(format!("wants 0, 1 or 2, not \"{text}\"")),
        };
        Ok(())
    }

    /// A file has the level first, so that `quiet` has the last word.
    fn show(&self, name: &str) -> Option<String> {
        Some(match (name, self) {
            ("quiet", level) => shown(*level == Level::Quiet),
            (_, Level::Life) => "0".into(),
            (_, Level::Connections) => "2".into(),
            _ => "1".into(),
        })
    }
}

/// The names of syslog(3), with the numbers that stand in front of a message.
const FACILITIES: [(&str, u8); 18] = [
    ("user", 1 << 3),
    ("mail", 2 << 3),
    ("daemon", 3 << 3),
    ("lpr", 6 << 3),
    ("news", 7 << 3),
    ("uucp", 8 << 3),
    ("cron", 9 << 3),
    ("authpriv", 10 << 3),
    // Both have the private one, as with the original.
    ("auth", 10 << 3),
    ("ftp", 11 << 3),
    ("local0", 16 << 3),
    ("local1", 17 << 3),
    ("local2", 18 << 3),
    ("local3", 19 << 3),
    ("local4", 20 << 3),
    ("local5", 21 << 3),
    ("local6", 22 << 3),
    ("local7", 23 << 3),
];

impl Facility {
    pub fn named(name: &str) -> Option<Facility> {
        let known = FACILITIES.iter().find(|(known, _)| *known == name)?;
        Some(Facility(known.1))
    }
}

impl Value for Facility {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        *self = Facility::named(text)
            .ok_or_else(|| format!("wants a facility of syslog(3), not \"{text}\""))?;
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        let known = FACILITIES.iter().find(|(_, number)| *number == self.0)?;
        Some(known.0.to_owned())
    }
}
