//! `tcprules`: reads rules from standard input and puts the compiled file in
//! place at once, or leaves everything as it was.

#![forbid(unsafe_code)]

use super::output::Output;
use super::{FATAL, SYNTAX, Shown, USAGE, finish, say};
use crate::rules::language::{self, MAX_LINE, Mistake};
use crate::sys::words::reason;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const NAME: &str = "tcprules";

pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    finish(NAME, run(&arguments), Error::exit_code)
}

fn run(arguments: &[OsString]) -> Result<(), Error> {
    let [destination, temporary] = arguments else {
        return Err(Error::Usage);
    };
    let destination = Path::new(destination);
    let mut output = Output::create(Path::new(temporary), destination)?;
    compile(
        &mut io::stdin().lock(),
        |key, data| output.add(key, data),
        |warning| say(NAME, &warning),
    )?;
    output.publish(destination)
}

/// Reads rules up to the first mistake. Hands the records over in their order, and a warning for each rule that can
/// never match.
pub fn compile(
    input: &mut impl BufRead,
    mut add: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    mut warn: impl FnMut(String),
) -> Result<(), Error> {
    let mut seen = Seen::default();
    let mut line = Vec::new();
    for number in 1.. {
        if !read_line(input, &mut line, number)? {
            break;
        }
        let rule = match language::parse(&line) {
            Ok(Some(rule)) => rule,
            Ok(None) => continue,
            Err(mistake) => return Err(Error::Syntax(number, mistake, Shown(line))),
        };
        let earlier = seen.all(&rule.keys, number);
        if let Some(why) = rule.pointless {
            warn(never_matches(number, &line, &why));
        } else if let Some(earlier) = earlier {
            let why = format_args!("line {earlier} has the same address");
            warn(never_matches(number, &line, &why));
        }
        for key in &rule.keys {
            add(key, &rule.data)?;
        }
    }
    Ok(())
}

/// Reads the next line without its newline; false at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, number: u64) -> Result<bool, Error> {
    line.clear();
    let mut limited = input.take(MAX_LINE as u64 + 1);
    let read = limited
        .read_until(b'\n', line)
        .map_err(|error| Error::read(&error))?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > MAX_LINE {
        return Err(Error::LongLine(number));
    }
    Ok(read > 0)
}

fn never_matches(number: u64, line: &[u8], why: &impl fmt::Display) -> String {
    let line = Shown(line);
    format!("warning: line {number}: this rule can never match: {line} ({why})")
}

/// The first line of each key, the key itself only as a hash: a list of a
/// million addresses would fill the memory for the sake of a warning.
#[derive(Default)]
struct Seen {
    lines: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Seen {
    /// Notes the keys of a line. The line of the first of them if all of them
    /// were there already: the file's first record of a key is the one found.
    fn all(&mut self, keys: &[Vec<u8>], number: u64) -> Option<u64> {
        let mut earlier = None;
        let mut complete = true;
        for key in keys {
            let line = *self
                .lines
                .entry(self.hasher.hash_one(key))
                .or_insert(number);
            complete &= line != number;
            earlier = earlier.or(Some(line));
        }
        earlier.filter(|_| complete)
    }
}

#[derive(Debug)]
pub enum Error {
    Usage,
    SameFile(PathBuf),
    InTheWay(PathBuf),
    Replaced(PathBuf),
    TooLarge(PathBuf),
    LongLine(u64),
    Syntax(u64, Mistake, Shown<Vec<u8>>),
    Create(PathBuf, String),
    Read(String),
    Write(PathBuf, String),
    Rename(PathBuf, PathBuf, String),
}

impl Error {
    pub fn create(path: &Path, error: &io::Error) -> Error {
        Error::Create(path.to_owned(), reason(error))
    }

    pub fn write(path: &Path, error: &io::Error) -> Error {
        Error::Write(path.to_owned(), reason(error))
    }

    pub fn rename(from: &Path, to: &Path, error: &io::Error) -> Error {
        Error::Rename(from.to_owned(), to.to_owned(), reason(error))
    }

    fn read(error: &io::Error) -> Error {
        Error::Read(reason(error))
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Usage | Error::SameFile(_) => USAGE,
            Error::Syntax(..) | Error::LongLine(_) => SYNTAX,
            _ => FATAL,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage => write!(f, "usage: tcprules rules.cdb rules.tmp"),
            Error::SameFile(path) => write!(
                f,
                "usage: {} is the rules file itself: give the temporary file a name of its own",
                path.display()
            ),
            Error::InTheWay(path) => write!(
                f,
                "fatal: (111) unable to create: {}: there is something that is no regular file: \
                 remove it or choose another name",
                path.display()
            ),
            Error::Replaced(path) => write!(
                f,
                "fatal: (111) unable to write to: {}: another program took it away meanwhile: \
                 give each run a temporary file of its own",
                path.display()
            ),
            Error::TooLarge(path) => write!(
                f,
                "fatal: (111) unable to write to: {}: the rules file would be larger than {} MB",
                path.display(),
                crate::rules::MAX_FILE >> 20
            ),
            Error::LongLine(line) => {
                write!(f, "syntax: line {line}: longer than {MAX_LINE} bytes")
            }
            Error::Syntax(line, mistake, text) => {
                write!(f, "syntax: line {line}: {mistake}: {text}")
            }
            Error::Create(path, why) => {
                write!(
                    f,
                    "fatal: (111) unable to create: {}: {why}",
                    path.display()
                )
            }
            Error::Read(why) => write!(f, "fatal: (111) unable to read input: {why}"),
            Error::Write(path, why) => {
                write!(
                    f,
                    "fatal: (111) unable to write to: {}: {why}",
                    path.display()
                )
            }
            Error::Rename(from, to, why) => write!(
                f,
                "fatal: (111) unable to move {} to: {}: {why}",
                from.display(),
                to.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_up_to_the_bound_and_not_beyond() {
        let longest = [&b"x".repeat(MAX_LINE)[..], b"\nnext"].concat();
        let mut input = &longest[..];
        let mut line = Vec::new();
        assert!(read_line(&mut input, &mut line, 1).unwrap());
        assert_eq!(line.len(), MAX_LINE);
        assert!(read_line(&mut input, &mut line, 2).unwrap());
        assert_eq!(line, b"next");
        assert!(!read_line(&mut input, &mut line, 3).unwrap());

        let too_long = b"x".repeat(MAX_LINE + 1);
        let read = read_line(&mut &too_long[..], &mut line, 7);
        assert!(matches!(read, Err(Error::LongLine(7))));
    }

    #[test]
    fn a_range_is_a_repetition_only_if_all_of_it_was_there() {
        let mut seen = Seen::default();
        let key = |text: &str| text.as_bytes().to_vec();
        assert_eq!(seen.all(&[key("a"), key("b")], 1), None);
        assert_eq!(seen.all(&[key("b"), key("c")], 2), None);
        assert_eq!(seen.all(&[key("c")], 3), Some(2));
        assert_eq!(seen.all(&[], 4), None);
    }
}
