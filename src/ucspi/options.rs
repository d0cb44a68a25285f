//! Reading a command line: what is the same for all programs.
#![forbid(unsafe_code)]

use super::error::Error;
use crate::sys::service;

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
pub fn illegal(error: lexopt::Error) -> Error {
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
