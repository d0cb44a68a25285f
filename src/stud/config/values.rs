//! The kinds of values that options and keys take: how each is read, checked and written again. What a kind says of a
//! bad value stands behind the option's name, so that a line reads `workers wants a number from 1 to 1024, not "x"`.
#![forbid(unsafe_code)]

mod kept;
mod log;

use std::path::Path;
use std::time::Duration;

pub use self::kept::{Alpn, File, Folder, Kept, Name, NewFile, Store, Text, existing};
use crate::tls::client::Demand;

/// A year: no wait is meant to be longer, and no clock overflows.
const MOST_SECONDS: u64 = 366 * 24 * 3600;
/// More processes than this are a slip of the pen.
pub const MOST_WORKERS: usize = 1024;

/// Where a value is given.
pub struct At<'a> {
    /// Relative paths begin here.
    pub directory: &'a Path,
    /// Which of the files, or the command line: each has its number.
    pub source: usize,
    /// The option or key.
    pub name: &'static str,
}

pub trait Value {
    /// Takes a value, or says what is wrong with it.
    fn set(&mut self, text: &str, at: &At) -> Result<(), String>;
    /// The value as `set` takes it; `None` if none is set.
    fn show(&self, name: &str) -> Option<String>;
}

/// `on`, `yes`, `y`, `true`, `t`, `1` and their opposites, in any case.
fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "yes" | "y" | "true" | "t" | "1" => Ok(true),
        "off" | "no" | "n" | "false" | "f" | "0" => Ok(false),
        _ => Err(format!("wants on or off, not \"{text}\"")),
    }
}

fn shown(on: bool) -> String {
    String::from(if on { "on" } else { "off" })
}

impl Value for bool {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        *self = boolean(text)?;
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        Some(shown(*self))
    }
}

/// A boolean that a frontend may leave to the others' setting.
impl Value for Option<bool> {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        *self = Some(boolean(text)?);
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        self.map(shown)
    }
}

/// A number that is wholly decimal and in its range.
#[derive(Clone, Debug)]
pub struct Number<const LEAST: i64, const MOST: i64>(pub i64);

impl<const LEAST: i64, const MOST: i64> Value for Number<LEAST, MOST> {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        self.0 = number(text)
            .filter(|number| (LEAST..=MOST).contains(number))
            .ok_or_else(|| format!("wants a number from {LEAST} to {MOST}, not \"{text}\""))?;
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// `parse` alone would take a plus sign.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

/// A time limit in seconds; without end if switched off.
#[derive(Clone, Debug)]
pub struct Seconds(pub Duration);

impl Value for Seconds {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        let seconds = match boolean(text) {
            Ok(false) => Some(0),
            _ => number(text).and_then(|number| u64::try_from(number).ok()),
        };
        self.0 = match seconds {
            Some(0) => Duration::MAX,
            Some(seconds @ 1..=MOST_SECONDS) => Duration::from_secs(seconds),
            _ => {
                return Err(format!(
                    "wants seconds, 1 to {MOST_SECONDS}, or off, not \"{text}\""
                ));
            }
        };
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        Some(match self.0 {
            Duration::MAX => shown(false),
            limit => limit.as_secs().to_string(),
        })
    }
}

/// How many worker processes; `None`: one for each processor.
#[derive(Clone, Debug)]
pub struct Workers(pub Option<usize>);

impl Value for Workers {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        self.0 = match text {
            "auto" => None,
            _ => Some(
                number(text)
                    .and_then(|number| usize::try_from(number).ok())
                    .filter(|number| (1..=MOST_WORKERS).contains(number))
                    .ok_or_else(|| {
                        format!("wants auto or a number from 1 to {MOST_WORKERS}, not \"{text}\"")
                    })?,
            ),
        };
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        Some(
            self.0
                .map_or_else(|| "auto".into(), |count| count.to_string()),
        )
    }
}

/// What clients have to show.
impl Value for Option<Demand> {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        *self = Some(match text {
            "none" => Demand::Nothing,
            "optional" => Demand::Optional,
            "required" => Demand::Valid,
            _ => {
                return Err(format!("wants none, optional or required, not \"{text}\""));
            }
        });
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        self.map(|demand| match demand {
            Demand::Nothing => "none".into(),
            Demand::Optional => "optional".into(),
            Demand::Valid | Demand::Named => "required".into(),
        })
    }
}

/// The original's exchange of sessions between machines.
#[derive(Clone, Debug, Default)]
pub struct Refused;

impl Value for Refused {
    fn set(&mut self, _: &str, _: &At) -> Result<(), String> {
        Err(
            "is not there: with ticket-key-file or session-store, other machines resume sessions"
                .into(),
        )
    }

    fn show(&self, _: &str) -> Option<String> {
        None
    }
}
