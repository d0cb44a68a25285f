//! What ends the program, in words and as an exit code.
#![forbid(unsafe_code)]

use std::fmt;

/// Wrong use: the command line or a setting.
pub const USAGE: u8 = 100;
/// The other side is not there, or not whom it must be.
pub const DROPPED: u8 = 110;
/// The system or a file is in the way; another try may succeed.
pub const TEMPORARY: u8 = 111;

#[derive(Debug)]
pub enum Error {
    IllegalOption(String),
    MissingArgument(char),
    BadNumber {
        what: String,
        value: String,
        least: u64,
        most: u64,
    },
    BadSetting(String),
    /// Host, port or program are missing.
    Incomplete,
    /// With upstream's class and code in front, as another role sent it or as a step of the start puts it.
    Fatal(String),
    /// The same of the other side of a connection.
    Dropped(String),
}

impl Error {
    pub fn fatal(text: impl fmt::Display) -> Error {
        Error::Fatal(format!("fatal: ({TEMPORARY}) {text}"))
    }

    pub fn dropped(text: impl fmt::Display) -> Error {
        Error::Dropped(format!("error: ({DROPPED}) {text}"))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Fatal(_) => TEMPORARY,
            Error::Dropped(_) => DROPPED,
            _ => USAGE,
        }
    }

    /// The same inside another line: without what stands in front of a line of its own.
    pub fn reason(&self) -> String {
        match self {
            Error::BadSetting(text) => text.clone(),
            Error::Fatal(text) => text.trim_start_matches("fatal: (111) ").to_owned(),
            other => other.to_string().trim_start_matches("usage: ").to_owned(),
        }
    }

    /// The usage line helps with these.
    pub fn is_usage(&self) -> bool {
        !matches!(
            self,
            Error::Fatal(_) | Error::Dropped(_) | Error::BadSetting(_)
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::IllegalOption(option) => write!(f, "illegal option -- {option}"),
            Error::MissingArgument(option) => write!(f, "option requires an argument -- {option}"),
            Error::BadNumber {
                what,
                value,
                least,
                most,
            } => write!(
                f,
                "usage: {what} wants a number from {least} to {most}, not \"{value}\""
            ),
            Error::BadSetting(text) => write!(f, "usage: {text}"),
            Error::Incomplete => f.write_str("usage: host, port and program are wanted"),
            Error::Fatal(text) | Error::Dropped(text) => f.write_str(text),
        }
    }
}
