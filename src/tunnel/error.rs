//! What is wrong with the command line or `tunnel.ini`, in a line that says where.
#![forbid(unsafe_code)]

use std::fmt;

const FAILED: u8 = 1;

#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    Usage,
    Unreadable {
        file: String,
        reason: String,
    },
    /// A line that is neither section nor setting.
    Line {
        file: String,
        line: usize,
    },
    /// Section, key, and what is wrong with it.
    Setting {
        file: String,
        problem: String,
    },
}

impl Error {
    pub fn exit_code(&self) -> u8 {
        FAILED
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage => f.write_str("usage: tunnel [FILE]"),
            Error::Unreadable { file, reason } => write!(f, "unable to read {file}: {reason}"),
            Error::Line { file, line } => {
                write!(f, "{file}, line {line}: neither [section] nor name = value")
            }
            Error::Setting { file, problem } => write!(f, "{file}: {problem}"),
        }
    }
}
