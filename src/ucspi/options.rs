//! Reading a command line: what is the same for all programs.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use lexopt::Arg;

use super::error::Error;
use super::log::Level;
use crate::net::address::Family;
use crate::sys::service;

/// A month: whoever wants more has made a slip of the pen.
pub const MAX_SECONDS: u64 = 30 * 24 * 3600;

/// The options that servers and clients have alike.
#[derive(Debug)]
pub struct Common {
    /// `-3`: the key's password comes on descriptor 3.
    pub password: bool,
    /// `-4`, `-6`
    pub family: Option<Family>,
    /// `-d`
    pub delay: bool,
    /// `-q`, `-Q`, `-v`
    pub level: Level,
    /// `-h`, `-H`: the other end's name is looked up, and ours unless `-l` says it.
    pub lookup: bool,
    /// `-r`, `-R`: the other end's user is asked for.
    pub ident: bool,
    /// `-t`: for all of that.
    pub lookup_time: Duration,
    /// `-e`, `-E`: the application gets `TCP*`.
    pub tcp_environment: bool,
    /// `-s`, `-S` and an explicit `-e`: it gets `SSL_*`.
    pub ssl_environment: bool,
    /// `-l`
    pub local_name: Option<Vec<u8>>,
    /// `-I`: the interface of a link-local address.
    pub interface: Option<String>,
    /// `-w`
    pub idle: Duration,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            password: false,
            family: None,
            delay: false,
            level: Level::Warning,
            lookup: true,
            ident: false,
            lookup_time: Duration::from_secs(26),
            tcp_environment: true,
            ssl_environment: false,
            local_name: None,
            interface: None,
            idle: Duration::from_secs(3600),
        }
    }
}

impl Common {
    /// An option without an argument, if it is one of these.
    pub fn take_flag(&mut self, letter: char) -> Result<(), Error> {
        match letter {
            '3' => self.password = true,
            '4' => self.family = Some(Family::V4),
            '6' => self.family = Some(Family::V6),
            'd' => self.delay = true,
            'D' => self.delay = false,
            'q' => self.level = Level::Silent,
            'Q' => self.level = Level::Warning,
            'v' => self.level = Level::Status,
            'h' => self.lookup = true,
            'H' => self.lookup = false,
            'r' => self.ident = true,
            'R' => self.ident = false,
            'e' => (self.tcp_environment, self.ssl_environment) = (true, true),
            'E' => self.tcp_environment = false,
            's' => self.ssl_environment = true,
            'S' => self.ssl_environment = false,
            other => return Err(Error::IllegalOption(other.to_string())),
        }
        Ok(())
    }

    /// An option with an argument, if it is one of these.
    pub fn take_argument(&mut self, letter: char, value: OsString) -> Result<(), Error> {
        match letter {
            't' => self.lookup_time = seconds(letter, &value)?,
            'l' => self.local_name = Some(value.into_vec()),
            'I' => self.interface = Some(value.to_string_lossy().into_owned()),
            'w' => self.idle = seconds(letter, &value)?,
            other => return Err(Error::IllegalOption(other.to_string())),
        }
        Ok(())
    }
}

/// What stands behind the options.
pub struct Words {
    pub host: String,
    pub port: String,
    /// The program and its arguments, any bytes.
    pub program: Vec<CString>,
}

/// Reads what follows the program's name: each option with its argument if it is among those that have one, until the
/// first word that is no option, which is the host.
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    with_argument: &[(char, &str)],
    mut take: impl FnMut(char, Option<OsString>) -> Result<(), Error>,
) -> Result<Words, Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut words = Vec::new();
    while let Some(argument) = parser.next().map_err(illegal)? {
        match argument {
            Arg::Short(letter) if with_argument.iter().any(|&(known, _)| known == letter) => {
                let value = parser.value().map_err(|_| Error::MissingArgument(letter))?;
                take(letter, Some(value))?;
            }
            Arg::Short(letter) => take(letter, None)?,
            Arg::Long(name) => return Err(Error::IllegalOption(format!("-{name}"))),
            Arg::Value(host) => {
                words.push(host);
                words.extend(parser.raw_args().map_err(illegal)?);
            }
        }
    }
    let mut words = words.into_iter();
    let mut text = || {
        let word = words.next().and_then(|word| word.into_string().ok());
        word.filter(|text| !text.is_empty())
            .ok_or(Error::Incomplete)
    };
    let (host, port) = (text()?, text()?);
    // The system hands over no argument with a NUL inside.
    let program = words.filter_map(|word| CString::new(word.into_vec()).ok());
    let program: Vec<CString> = program.collect();
    match program.is_empty() {
        true => Err(Error::Incomplete),
        false => Ok(Words {
            host,
            port,
            program,
        }),
    }
}

/// `usage: NAME [ -FLAGS ] [ -c limit ] … host port program`
pub fn usage(name: &str, flags: &str, with_argument: &[(char, &str)]) -> String {
    let mut line = format!("usage: {name} [ -{flags} ]");
    for (letter, argument) in with_argument {
        line.push_str(&format!(" [ -{letter} {argument} ]"));
    }
    line.push_str(" host port program");
    line
}

/// Reads a number that is wholly decimal and in range.
pub fn number(what: &str, value: &[u8], least: u64, most: u64) -> Result<u64, Error> {
    let text = String::from_utf8_lossy(value);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = text.parse().ok().filter(|_| digits);
    parsed
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| Error::BadNumber {
            what: what.into(),
            value: text.into_owned(),
            least,
            most,
        })
}

/// The argument of an option that is a time.
pub fn seconds(letter: char, value: &OsStr) -> Result<Duration, Error> {
    number(&format!("-{letter}"), value.as_bytes(), 1, MAX_SECONDS).map(Duration::from_secs)
}

/// Only a value where none is wanted gets here.
fn illegal(error: lexopt::Error) -> Error {
    Error::IllegalOption(match error {
        lexopt::Error::UnexpectedValue { option, .. } => option.trim_start_matches('-').into(),
        other => other.to_string(),
    })
}

/// A port by its number or its name in services(5).
pub fn port(text: &str) -> Result<u16, Error> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number("port", text.as_bytes(), 0, 65535).map(|port| port as u16);
    }
    service::port(text)
        .ok_or_else(|| Error::fatal(format_args!("unable to figure out port number for: {text}")))
}
