//! Reading a command line: what is the same for all programs.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use lexopt::Arg;

use super::error::Error;
use crate::sys::service;

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
