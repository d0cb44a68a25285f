//! `mconnect-io`: a program of `sslclient`, or of any client of UCSPI, that puts a person or a script at the connection.
//! Lines of standard input go to the server in the form that Internet protocols want, and what the server says is printed.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::RawFd;
use std::process::ExitCode;
use std::sync::Arc;

use nix::sys::signal::{Signal, raise};

use crate::sys::words::reason;
use crate::sys::{descriptor, signal};
use crate::ucspi::error::Error;
use crate::ucspi::log::{Level, Log};
use crate::ucspi::program_name;

const FROM_SERVER: RawFd = 6;
const TO_SERVER: RawFd = 7;
const CHUNK: usize = 16 * 1024;

pub fn main() -> ExitCode {
    let name = program_name(std::env::args_os().next(), "mconnect-io");
    let log = Log::new(name, Level::Warning);
    run().map_or_else(
        |error| {
            log.line(Level::Warning, &error);
            ExitCode::from(error.exit_code())
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Ends with what the server says.
fn run() -> Result<(), Error> {
    let mut from_server = connection(FROM_SERVER)?;
    // It stays open when the input has ended: many servers take an end for a farewell and say no more.
    let to_server = Arc::new(connection(TO_SERVER)?);
    let sender = Arc::clone(&to_server);
    // Whoever waits for input that does not come does not keep us from ending.
    std::thread::spawn(move || {
        // A server that hears no more may still say why.
        let _ = pass_on(&mut io::stdin(), &mut &*sender, with_returns);
    });
    let printed = pass_on(&mut from_server, &mut io::stdout(), <[u8]>::to_vec);
    let is_left = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    if printed.as_ref().is_err_and(is_left) {
        // As of any program whose reader has seen enough.
        signal::restore(Signal::SIGPIPE);
        let _ = raise(Signal::SIGPIPE);
    }
    printed.map_err(|error| Error::fatal(format_args!("unable to write: {}", reason(&error))))
}

fn connection(number: RawFd) -> Result<File, Error> {
    let end = descriptor::inherited(number).map_err(|errno| {
        let reason = errno.desc();
        Error::fatal(format_args!(
            "descriptor {number} is no connection: {reason}; have it run: sslclient host port mconnect-io"
        ))
    })?;
    Ok(File::from(end))
}

/// Passes on all that comes, each piece at once.
fn pass_on(
    from: &mut impl Read,
    to: &mut impl Write,
    change: impl Fn(&[u8]) -> Vec<u8>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                to.write_all(&change(&chunk[..length]))?;
                to.flush()?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A carriage return before each end of a line.
fn with_returns(text: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines.join(&b"\r\n"[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_line_gets_a_return_and_nothing_else_does() {
        for (given, sent) in [
            ("", ""),
            ("a", "a"),
            ("a\n", "a\r\n"),
            ("\n\nb\r\nc", "\r\n\r\nb\r\r\nc"),
        ] {
            assert_eq!(with_returns(given.as_bytes()), sent.as_bytes());
        }
    }
}
