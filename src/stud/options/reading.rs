//! The arguments from left to right, and the files among them.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;

use lexopt::Arg;

use super::names::{self, Command, Meaning};
use super::table::{self, Kind, Row};
use super::{Error, Invocation, Task, all, help};
use crate::stud::config::draft::Draft;
use crate::stud::config::values::At;
use crate::stud::settings_file::apply::Source;
use crate::stud::settings_file::{self, write};
use crate::sys::words;

/// The number of the command line among the sources of settings; files have the following ones.
const COMMAND_LINE: usize = 0;

/// The arguments on their way to a task.
pub struct Reading<'a> {
    invocation: &'a Invocation,
    draft: Draft,
    pems: Vec<String>,
    files: usize,
    test: bool,
}

impl<'a> Reading<'a> {
    pub fn new(invocation: &'a Invocation) -> Reading<'a> {
        Reading {
            invocation,
            draft: Draft::default(),
            pems: Vec::new(),
            files: 0,
            test: false,
        }
    }

    pub fn read(mut self) -> Result<Task, Error> {
        let mut parser = lexopt::Parser::from_args(&self.invocation.arguments);
        parser.set_short_equals(false);
        while let Some(argument) = parser.next().map_err(illegal)? {
            let (shown, meaning) = match argument {
                Arg::Value(pem) => {
                    self.pems.push(text(pem)?);
                    continue;
                }
                Arg::Short(letter) => (format!("-{letter}"), names::by_letter(letter)?),
                Arg::Long(name) => (format!("--{name}"), names::by_name(name)?),
            };
            let is_long = shown.starts_with("--");
            match meaning {
                Meaning::Setting(row, name) => {
                    let value = match row.kind {
                        Kind::Boolean if !is_long => None,
                        Kind::Boolean => parser.optional_value(),
                        _ => {
                            let missing = |_| Error::MissingArgument(shown.clone());
                            Some(parser.value().map_err(missing)?)
                        }
                    };
                    let value = value.map_or(Ok("on".into()), text)?;
                    self.set(&shown, row, name, &value)?;
                }
                Meaning::Command(Command::Config) => {
                    let missing = |_| Error::MissingArgument(shown.clone());
                    let file = text(parser.value().map_err(missing)?)?;
                    self.file(&file)?;
                }
                Meaning::Command(command) => {
                    if parser.optional_value().is_some() {
                        return Err(Error::UnwantedArgument(shown));
                    }
                    if let Some(text) = self.print(command)? {
                        return Ok(Task::Print(text));
                    }
                }
            }
        }
        self.operands()?;
        let config = Box::new(self.draft.finish().map_err(Error::Together)?);
        Ok(match self.test {
            true => Task::Test(config),
            false => Task::Run(config),
        })
    }

    fn set(
        &mut self,
        shown: &str,
        row: &Row,
        name: &'static str,
        value: &str,
    ) -> Result<(), Error> {
        let at = At {
            directory: &self.invocation.directory,
            source: COMMAND_LINE,
            name,
        };
        table::set(row.place(&mut self.draft), row.kind, value, &at)
            .map_err(|problem| Error::Value(format!("{shown} {problem}")))
    }

    /// What such a command prints; nothing for `--test`, which comes after everything else.
    fn print(&mut self, command: Command) -> Result<Option<String>, Error> {
        let program = &self.invocation.program;
        Ok(match command {
            Command::Help => Some(help::help(program, &self.draft)),
            Command::Version => Some(format!("{program} {}\n", env!("CARGO_PKG_VERSION"))),
            Command::DefaultConfig => {
                self.operands()?;
                Some(write::write(&self.draft))
            }
            Command::Test | Command::Config => {
                self.test = true;
                None
            }
        })
    }

    fn operands(&mut self) -> Result<(), Error> {
        let Some(row) = table::key("pem-file") else {
            return Ok(());
        };
        for pem in std::mem::take(&mut self.pems) {
            self.set("PEM file", row, row.name, &pem)?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str) -> Result<(), Error> {
        let invocation = self.invocation;
        let is_standard_input = name.is_empty() || name == "-";
        let path = invocation.directory.join(name);
        let (shown, bytes) = match is_standard_input {
            true => ("standard input".to_owned(), invocation.standard_input()),
            false => (path.display().to_string(), File::open(&path).and_then(all)),
        };
        let bytes = bytes.map_err(|error| Error::Unreadable {
            file: shown.clone(),
            reason: words::reason(&error),
        })?;
        let entries = settings_file::parse(&bytes).map_err(|unreadable| Error::File {
            file: shown.clone(),
            line: unreadable.line,
            problem: unreadable.problem,
        })?;
        self.files += 1;
        let source = Source {
            file: &shown,
            number: COMMAND_LINE + self.files,
            directory: &invocation.directory,
        };
        source.apply(&entries, &mut self.draft)
    }
}

fn text(argument: OsString) -> Result<String, Error> {
    argument
        .into_string()
        .map_err(|argument| Error::NotText(argument.to_string_lossy().into_owned()))
}

/// Only a value where none is wanted gets here.
fn illegal(error: lexopt::Error) -> Error {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => Error::UnwantedArgument(option),
        other => Error::UnknownOption(other.to_string()),
    }
}
