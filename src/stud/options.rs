//! The command line, as users of stud and of hitch type it, and all that it leads to: the files it names, and the
//! configuration that comes out. Options count from left to right, `--config` at its place, so that what stands behind
//! it overrides the file; PEM files follow those of the files.
#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::env;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

mod error;
mod help;
mod names;
mod reading;
pub(crate) mod table;

pub use self::error::Error;
use self::reading::Reading;
use super::config::Config;
use crate::sys::words;

/// No configuration is longer, and what is (a device, say) shall not fill the memory.
const MOST_BYTES: u64 = 16 << 20;

/// What the program was asked for, and what it takes to read it again.
#[derive(Debug)]
pub struct Invocation {
    /// The name that the program was called by, without directories.
    pub program: String,
    pub task: Task,
    arguments: Vec<OsString>,
    directory: PathBuf,
    /// Standard input can be read only once.
    standard_input: OnceCell<Vec<u8>>,
}

#[derive(Debug)]
pub enum Task {
    /// Print this to the standard output and end well: help, version, the configuration in force.
    Print(String),
    /// Check this and say whether it will do.
    Test(Box<Config>),
    Run(Box<Config>),
}

impl Invocation {
    /// Reads all arguments, the program's name first, and the files that they name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
        let directory = env::current_dir().map_err(|error| Error::Unreadable {
            file: "the current directory".into(),
            reason: words::reason(&error),
        })?;
        Self::parse_in(directory, arguments)
    }

    pub(super) fn parse_in(
        directory: PathBuf,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Invocation, Error> {
        let mut arguments = arguments.into_iter();
        let name = arguments.next().unwrap_or_default();
        let name = Path::new(&name).file_name().unwrap_or("stud".as_ref());
        let mut invocation = Invocation {
            program: name.to_string_lossy().into_owned(),
            task: Task::Print(String::new()),
            arguments: arguments.collect(),
            directory,
            standard_input: OnceCell::new(),
        };
        invocation.task = Reading::new(&invocation).read()?;
        Ok(invocation)
    }

    /// The configuration that the same arguments give now, from the directory of the start.
    pub fn reparse(&self) -> Result<Config, Error> {
        match Reading::new(self).read()? {
            Task::Run(config) | Task::Test(config) => Ok(*config),
            Task::Print(_) => Err(Error::Together("there is nothing to run".into())),
        }
    }
}

impl Invocation {
    fn standard_input(&self) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.standard_input.get() {
            return Ok(bytes.clone());
        }
        let bytes = all(io::stdin().lock())?;
        Ok(self.standard_input.get_or_init(|| bytes).clone())
    }
}

fn all(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(io::Error::other(format!("more than {MOST_BYTES} bytes"))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
