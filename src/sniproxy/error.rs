//! Why the program ends.
#![forbid(unsafe_code)]

use std::fmt;

use super::options::usage;
use crate::net::inherited::Unfit;

/// Wrong use of the program, and everything else, as it always was.
const USAGE: u8 = 100;
const FAILED: u8 = 1;

#[derive(Debug)]
pub enum Error {
    Usage(String),
    /// What could not be done, and why.
    Fatal(String),
}

impl Error {
    pub fn fatal(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Fatal(format!("{what}: {why}"))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => USAGE,
            Error::Fatal(_) => FAILED,
        }
    }
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Error {
        Error::Fatal(unfit.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(text) => write!(f, "sniproxy: {text}\n{}", usage()),
            Error::Fatal(text) => write!(f, "sniproxy: {text}"),
        }
    }
}
