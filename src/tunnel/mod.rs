//! The small terminator that takes its settings from `tunnel.ini`: stud's engine with another file in front.
#![forbid(unsafe_code)]

mod error;
mod ini;
mod settings;

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::Arg;

pub use self::error::Error;
use crate::stud;
use crate::stud::config::Config;
use crate::stud::failure::Failure;
use crate::sys::words;

/// Where the original looks, in the current directory.
const USUAL: &str = "tunnel.ini";
/// The original's file has forty lines.
const MOST_BYTES: u64 = 1 << 20;

pub fn main() -> ExitCode {
    let invocation = match Invocation::parse(env::args_os()) {
        Ok(invocation) => invocation,
        Err(error) => return stud::fail("tunnel", &error),
    };
    let program = invocation.program.clone();
    let config = invocation.config.clone();
    let again = move || {
        invocation
            .reparse()
            .map_err(|error| Failure(error.to_string()))
    };
    match stud::serve("tunnel", config, Box::new(again)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => stud::fail(&program, &failure),
    }
}

/// What the program was asked for, and what it takes to read it again.
#[derive(Debug)]
pub struct Invocation {
    /// The name that the program was called by, without directories.
    pub program: String,
    pub config: Config,
    file: PathBuf,
}

impl Invocation {
    /// Reads all arguments, the program's name first: at most one, the file.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
        let directory = env::current_dir().map_err(|error| Error::Unreadable {
            file: "the current directory".into(),
            reason: words::reason(&error),
        })?;
        let mut arguments = arguments.into_iter();
        let name = arguments.next().unwrap_or_default();
        let name = Path::new(&name).file_name().unwrap_or("tunnel".as_ref());
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut file = None;
        while let Some(argument) = parser.next().map_err(|_| Error::Usage)? {
            match argument {
                Arg::Value(path) if file.is_none() => file = Some(path),
                _ => return Err(Error::Usage),
            }
        }
        let file = directory.join(file.unwrap_or(USUAL.into()));
        Ok(Invocation {
            program: name.to_string_lossy().into_owned(),
            config: read(&file)?,
            file,
        })
    }

    /// The configuration that the same file gives now.
    pub fn reparse(&self) -> Result<Config, Error> {
        read(&self.file)
    }
}

fn read(path: &Path) -> Result<Config, Error> {
    let file = path.display().to_string();
    let unreadable = |reason: String| Error::Unreadable {
        file: file.clone(),
        reason,
    };
    let failed = |error: std::io::Error| unreadable(words::reason(&error));
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(failed)?;
    opened
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unreadable(format!("more than {MOST_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| unreadable("not UTF-8".into()))?;
    let entries = ini::parse(&text).map_err(|line| Error::Line {
        file: file.clone(),
        line,
    })?;
    // The original's file lies where its relative paths begin.
    let directory = path.parent().unwrap_or(Path::new("/"));
    settings::config(&entries, directory).map_err(|problem| Error::Setting { file, problem })
}

#[cfg(test)]
mod tests;
