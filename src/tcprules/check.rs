//! `tcprulescheck`: what a compiled rules file says of one client.

#![forbid(unsafe_code)]

use super::{FATAL, Shown, USAGE, finish, say};
use crate::rules::{Client, RulesError, RulesFile, Verdict, key};
use crate::sys::words::reason;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

const NAME: &str = "tcprulescheck";

pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    finish(NAME, run(&arguments), Error::exit_code)
}

fn run(arguments: &[OsString]) -> Result<(), Error> {
    let (file, values) = match arguments {
        [file, values @ ..] if values.len() <= 3 => (file, values),
        _ => return Err(Error::Usage),
    };
    let ip = value(values.first(), "TCPREMOTEIP").unwrap_or_else(|| b"0".to_vec());
    let host = value(values.get(1), "TCPREMOTEHOST");
    let info = value(values.get(2), "TCPREMOTEINFO");
    let client = Client {
        ip: parse_ip(&ip)?,
        host: host.as_deref(),
        info: info.as_deref(),
    };
    say(NAME, &Asked(&ip, &client));

    let mut rules = RulesFile::new(PathBuf::from(file));
    let verdict = rules
        .lookup(&client)
        .map_err(|error| Error::Rules(rules.path().to_owned(), error))?;
    let answer = describe(&verdict);
    io::stdout().write_all(&answer).map_err(Error::Output)
}

/// An argument, else the environment. An empty argument stands for a value
/// that is not known, so that a later one can be given.
fn value(argument: Option<&OsString>, variable: &str) -> Option<Vec<u8>> {
    match argument {
        Some(given) => Some(given.as_bytes().to_vec()).filter(|given| !given.is_empty()),
        None => std::env::var_os(variable).map(OsString::into_vec),
    }
}

fn parse_ip(text: &[u8]) -> Result<IpAddr, Error> {
    if text == b"0" {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    }
    let parsed = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Error::NotAnAddress(text.to_vec()))
}

fn describe(verdict: &Verdict) -> Vec<u8> {
    let mut answer = match verdict.matched.as_deref() {
        None | Some(b"") => b"default:\n".to_vec(),
        Some(key) => [b"rule ", &key::describe(key)[..], b":\n"].concat(),
    };
    if verdict.deny {
        answer.extend_from_slice(b"deny connection\n");
        return answer;
    }
    for (name, value) in &verdict.variables {
        let line = [b"set environment variable ", &name[..], b"=", value, b"\n"];
        answer.extend_from_slice(&line.concat());
    }
    answer.extend_from_slice(b"allow connection\n");
    answer
}

/// The question, as it was understood.
struct Asked<'a>(&'a [u8], &'a Client<'a>);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked(ip, client) = self;
        write!(
            f,
            "info: TCPREMOTEIP: {} TCPREMOTEHOST: {} TCPREMOTEINFO: {}",
            Shown(ip),
            Shown(client.host.unwrap_or_default()),
            Shown(client.info.unwrap_or_default())
        )
    }
}

#[derive(Debug)]
enum Error {
    Usage,
    NotAnAddress(Vec<u8>),
    Rules(PathBuf, RulesError),
    Output(io::Error),
}

impl Error {
    fn exit_code(&self) -> u8 {
        match self {
            Error::Usage | Error::NotAnAddress(_) => USAGE,
            Error::Rules(..) | Error::Output(_) => FATAL,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage => write!(f, "usage: tcprulescheck rules.cdb [ip [host [info]]]"),
            Error::NotAnAddress(text) => {
                write!(f, "usage: not an IP address: {}", Shown(text))
            }
            Error::Rules(path, why) => {
                write!(f, "fatal: (111) unable to read: {}: {why}", path.display())
            }
            Error::Output(error) => {
                write!(
                    f,
                    "fatal: (111) unable to write the answer: {}",
                    reason(error)
                )
            }
        }
    }
}
