//! The command line: all that cannot have a fixed answer. Without options everything is as it always was.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::time::Duration;

use lexopt::Arg;

use super::error::Error;

/// Options with a number, their argument in the usage line.
const NUMBERS: [(char, &str); 5] = [
    ('c', "limit"),
    ('p', "limit"),
    ('T', "seconds"),
    ('w', "seconds"),
    ('D', "seconds"),
];

/// A year: what is longer is no limit.
const MOST_SECONDS: u64 = 365 * 24 * 3600;
const MOST_CONNECTIONS: u64 = 10_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `-v`: a line for each connection.
    pub log: bool,
    /// `--hashed`
    pub hashed: bool,
    /// `-c`: connections at once; `None`: as many as there are descriptors for.
    pub connections: Option<usize>,
    /// `-p`: connections at once from one address (IPv6: from one /64).
    pub per_client: Option<usize>,
    /// `-T`: from accept until the name is known.
    pub hello: Duration,
    /// `-w`: how long nothing may move.
    pub idle: Option<Duration>,
    /// `-D`: how long connections may go on after SIGHUP or SIGTERM.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            log: false,
            hashed: false,
            connections: None,
            per_client: None,
            hello: Duration::from_secs(10),
            idle: None,
            drain: Duration::from_secs(10),
        }
    }
}

pub fn usage() -> String {
    let numbers = NUMBERS.map(|(letter, argument)| format!(" [ -{letter} {argument} ]"));
    format!("usage: sniproxy [ -v ]{} [ --hashed ]", numbers.concat())
}

impl Options {
    /// Reads what follows the program's name. Later options override earlier ones.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(wrong)? {
            match argument {
                Arg::Short('v') => options.log = true,
                Arg::Long("hashed") => options.hashed = true,
                Arg::Short(letter) if NUMBERS.iter().any(|&(known, _)| known == letter) => {
                    let value = parser.value().map_err(wrong)?;
                    options.take_number(letter, &value.to_string_lossy())?;
                }
                other => return Err(wrong(other.unexpected())),
            }
        }
        Ok(options)
    }

    fn take_number(&mut self, letter: char, text: &str) -> Result<(), Error> {
        let most = match letter {
            'c' | 'p' => MOST_CONNECTIONS,
            _ => MOST_SECONDS,
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let value: Option<u64> = text.parse().ok().filter(|_| digits);
        let value = value.filter(|value| (1..=most).contains(value));
        let value = value
            .ok_or_else(|| Error::Usage(format!("-{letter} takes a number from 1 to {most}")))?;
        let seconds = Duration::from_secs(value);
        match letter {
            'c' => self.connections = Some(value as usize),
            'p' => self.per_client = Some(value as usize),
            'T' => self.hello = seconds,
            'w' => self.idle = Some(seconds),
            _ => self.drain = seconds,
        }
        Ok(())
    }
}

fn wrong(error: lexopt::Error) -> Error {
    Error::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(words.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_options_everything_is_as_it_always_was() {
        let options = parse(&[]).unwrap();
        assert_eq!(options, Options::default());
        assert_eq!(options.hello.as_secs(), 10);
        assert_eq!(options.drain.as_secs(), 10);
        assert_eq!(options.idle, None);
    }

    #[test]
    fn each_option_has_its_meaning_and_the_last_one_counts() {
        let words = "-v -c 1000 -p20 -T 3 -w 600 -D 1 -D 60 --hashed";
        let words: Vec<&str> = words.split(' ').collect();
        let expected = Options {
            log: true,
            hashed: true,
            connections: Some(1000),
            per_client: Some(20),
            hello: Duration::from_secs(3),
            idle: Some(Duration::from_secs(600)),
            drain: Duration::from_secs(60),
        };
        assert_eq!(parse(&words), Ok(expected));
    }

    #[test]
    fn what_is_no_option_or_no_number_is_refused() {
        for (words, text) in [
            (&["-x"][..], "invalid option '-x'"),
            (&["name"], "unexpected argument \"name\""),
            (&["--help"], "invalid option '--help'"),
            (&["-c"], "missing argument for option '-c'"),
            (&["-c", "0"], "-c takes a number from 1 to 10000000"),
            (&["-c", "+1"], "-c takes a number from 1 to 10000000"),
            (&["-T", "1.5"], "-T takes a number from 1 to 31536000"),
            (&["-w", ""], "-w takes a number from 1 to 31536000"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(text), "{words:?}: {error}");
        }
    }
}
