//! What is wrong with the command line or a file, in a line that says where.
#![forbid(unsafe_code)]

use std::fmt;

/// All of the original's errors end it with this.
const FAILED: u8 = 1;

#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    UnknownOption(String),
    /// An abbreviation of more than one.
    Ambiguous {
        given: String,
        candidates: Vec<&'static str>,
    },
    MissingArgument(String),
    /// A value for an option that takes none.
    UnwantedArgument(String),
    /// An argument that is not UTF-8, or as much of it as is.
    NotText(String),
    /// An option's value, with what is wrong with it.
    Value(String),
    /// The same in a file, or a line that cannot be read.
    File {
        file: String,
        line: usize,
        problem: String,
    },
    /// A file that cannot be read at all.
    Unreadable {
        file: String,
        reason: String,
    },
    /// Each setting is right, all together are not.
    Together(String),
}

impl Error {
    pub fn exit_code(&self) -> u8 {
        FAILED
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownOption(option) => write!(f, "unknown option {option}; try --help"),
            Error::Ambiguous { given, candidates } => {
                write!(f, "{given} may mean {}", candidates.join(" or "))
            }
            Error::MissingArgument(option) => write!(f, "{option} wants a value; try --help"),
            Error::UnwantedArgument(option) => write!(f, "{option} takes no value; try --help"),
            Error::NotText(argument) => write!(f, "\"{argument}\" is not UTF-8"),
            Error::Value(problem) | Error::Together(problem) => f.write_str(problem),
            Error::File {
                file,
                line,
                problem,
            } => write!(f, "{file}, line {line}: {problem}"),
            Error::Unreadable { file, reason } => write!(f, "unable to read {file}: {reason}"),
        }
    }
}
