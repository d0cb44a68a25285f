//! The rules programs: `tcprules` compiles access rules into a cdb,
//! `tcprulescheck` says what a cdb holds for a client.

#![forbid(unsafe_code)]

pub mod check;
pub mod compile;
mod output;

use std::fmt::{self, Display, Write as _};
use std::io::Write;
use std::process::ExitCode;

/// Wrong use of the program.
const USAGE: u8 = 100;
/// A line of the rules is no rule.
const SYNTAX: u8 = 101;
/// The system would not let it be done.
const FATAL: u8 = 111;

/// Writes one message line; where stderr is gone nobody is left to tell.
fn say(program: &str, text: &impl Display) {
    let _ = writeln!(std::io::stderr(), "{program}: {text}");
}

fn finish<E: Display>(program: &str, result: Result<(), E>, code: fn(&E) -> u8) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(program, &error);
            ExitCode::from(code(&error))
        }
    }
}

/// Text from elsewhere in a message: whatever is in it, a terminal gets
/// printable bytes, and not too many.
#[derive(Debug)]
pub struct Shown<T>(T);

impl<T: AsRef<[u8]>> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        let text = self.0.as_ref();
        for byte in text.iter().take(LONGEST) {
            let printable = matches!(byte, b' '..=b'~');
            f.write_char(if printable { char::from(*byte) } else { '?' })?;
        }
        f.write_str(if text.len() > LONGEST { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_no_control_bytes_and_no_endless_lines() {
        assert_eq!(Shown(b"a\x1b[2J\xc3\xa4 b\t").to_string(), "a?[2J?? b?");
        assert_eq!(Shown(b"x".repeat(201)).to_string().len(), 203);
    }
}
