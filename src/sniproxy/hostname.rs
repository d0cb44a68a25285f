//! `sniproxy-hostname`: what the directory of a host name is called.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use lexopt::Arg;

use super::naming::{BadName, Naming, spell};
use crate::sys::words::reason;

const USAGE: &str = "usage: sniproxy-hostname [ --hashed ] name";

pub fn main() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is gone nobody is left to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    let (hashed, name) = parse(arguments).ok_or(Error::Usage)?;
    let spelled = spell(name.as_bytes()).map_err(|why| Error::BadName(name, why))?;
    let naming = match hashed {
        true => Naming::Hashed,
        false => Naming::of_current_directory().map_err(Error::Directory)?,
    };
    let directory = naming.directory(&spelled);
    writeln!(io::stdout(), "{directory}").map_err(Error::Output)
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<(bool, OsString)> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut hashed, mut name) = (false, None);
    while let Some(argument) = parser.next().ok()? {
        match argument {
            Arg::Long("hashed") => hashed = true,
            Arg::Value(value) if name.is_none() => name = Some(value),
            _ => return None,
        }
    }
    Some((hashed, name?))
}

#[derive(Debug)]
enum Error {
    Usage,
    BadName(OsString, BadName),
    Directory(io::Error),
    Output(io::Error),
}

impl Error {
    fn exit_code(&self) -> u8 {
        match self {
            Error::BadName(..) => 1,
            Error::Usage => 100,
            Error::Directory(_) | Error::Output(_) => 111,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage => f.write_str(USAGE),
            Error::BadName(name, why) => {
                write!(f, "sniproxy-hostname: {}: {why}", shown(name))
            }
            Error::Directory(error) => write!(
                f,
                "sniproxy-hostname: unable to look for .hashed in the current directory: {}",
                reason(error)
            ),
            Error::Output(error) => {
                write!(
                    f,
                    "sniproxy-hostname: unable to write the answer: {}",
                    reason(error)
                )
            }
        }
    }
}

/// The name as a terminal may get it, and not endlessly much of it.
fn shown(name: &OsStr) -> String {
    const MOST: usize = 300;
    let text = name.to_string_lossy();
    let harmless = |letter: char| match letter.is_control() {
        true => '?',
        false => letter,
    };
    text.chars().take(MOST).map(harmless).collect()
}
