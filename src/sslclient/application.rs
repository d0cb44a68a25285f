//! The program that is run for the connection.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use super::config;
use super::options::Options;
use crate::sys::spawn::{self, Spawner};
use crate::ucspi::environment::Environment;
use crate::ucspi::error::Error;
use crate::ucspi::log::Ends;

/// Where a client of UCSPI finds the connection.
const FROM_SERVER: RawFd = 6;
const TO_SERVER: RawFd = 7;
/// Where one that begins in plain text finds the channels of ucspi-tls; a shell knows numbers of one digit.
const CONTROL: RawFd = 3;
const READ: RawFd = 4;
const WRITE: RawFd = 5;

/// What the program gets.
pub struct Application {
    /// Its ends of the pipes.
    pub input: OwnedFd,
    pub output: OwnedFd,
    /// It begins in plain text: where it asks for TLS, and the connection.
    pub plain: Option<(OwnedFd, TcpStream)>,
}

/// `None`: the session said more than it may.
pub fn environment(options: &Options, ends: &Ends<'_>, block: &[u8]) -> Option<Environment> {
    let own = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let is_setting = |name: &[u8]| config::NAMES.iter().any(|known| known.as_bytes() == name);
    let mut environment = Environment::inherited(own, is_setting);
    environment.connection(ends, options.common.tcp_environment);
    if options.delayed {
        environment.starttls([CONTROL, READ, WRITE]);
    }
    environment.tls(block).then_some(environment)
}

impl Application {
    /// Runs it. Descriptors that we were given and do not use ourselves are its own.
    pub fn start(
        self,
        program: &[CString],
        environment: &Environment,
        signals: SigSet,
    ) -> Result<Pid, Error> {
        let path = std::env::var_os("PATH").map(OsStringExt::into_vec);
        let candidates = spawn::candidates(&program[0], path.as_deref());
        let limits = getrlimit(Resource::RLIMIT_NOFILE);
        let application = spawn::Application {
            candidates,
            arguments: program.to_vec(),
            gid: None,
            uid: None,
            open_files: limits.map_err(|errno| failed(program, &errno.desc()))?,
            signals,
        };
        let (input, output) = (self.input.as_fd(), self.output.as_fd());
        let descriptors = match &self.plain {
            None => vec![(input, FROM_SERVER), (output, TO_SERVER)],
            Some((control, stream)) => vec![
                (stream.as_fd(), FROM_SERVER),
                (stream.as_fd(), TO_SERVER),
                (control.as_fd(), CONTROL),
                (input, READ),
                (output, WRITE),
            ],
        };
        Spawner::default()
            .spawn(&application, &environment.strings(), &descriptors)
            .map_err(|error| failed(program, &error))
    }
}

fn failed(program: &[CString], reason: &dyn std::fmt::Display) -> Error {
    let name = OsStr::from_bytes(program[0].to_bytes()).display();
    Error::fatal(format_args!("unable to run: {name}: {reason}"))
}
