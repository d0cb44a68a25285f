//! The program that serves a connection: prepared once, started for each.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, RawFd};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::{AccessFlags, Pid, access};

use super::config::{Config, Variables};
use super::connection::{Pipes, Plain};
use super::environment::{self, Environment};
use super::options::Options;
use crate::sys::spawn::{self, Application, SpawnError, Spawner};

/// Where the application finds the channels of ucspi-tls.
pub const CONTROL: RawFd = 3;
pub const READ: RawFd = 4;
pub const WRITE: RawFd = 5;

pub struct Launcher {
    application: Application,
    spawner: Spawner,
    /// Written to the client before anything else.
    banner: Vec<u8>,
    /// What applications inherit of our environment.
    pub inherited: Environment,
}

impl Launcher {
    /// Raises our own limit of open files as far as it goes; applications get the one we were started with.
    pub fn new(
        options: &Options,
        config: &Config,
        variables: Variables,
        signals: SigSet,
    ) -> Result<Launcher, Errno> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        let program = &options.program;
        Ok(Launcher {
            application: Application {
                candidates: spawn::candidates(&program[0], variables.get("PATH")),
                arguments: program.clone(),
                uid: config.uid,
                gid: config.gid,
                open_files: (soft, hard),
                signals,
            },
            spawner: Spawner::default(),
            banner: options.banner.clone(),
            inherited: environment::inherited(variables.all()),
        })
    }

    /// Starts the application at its ends of the pipes.
    pub fn start(
        &mut self,
        environment: &Environment,
        pipes: &Pipes,
        plain: Option<&Plain>,
    ) -> Result<Pid, SpawnError> {
        let strings = environment.strings();
        let (stdin, stdout) = (pipes.stdin.as_fd(), pipes.stdout.as_fd());
        let descriptors = match plain {
            None => vec![(stdin, 0), (stdout, 1)],
            Some(plain) => vec![
                (plain.handover.stream.as_fd(), 0),
                (plain.handover.stream.as_fd(), 1),
                (plain.control.as_fd(), CONTROL),
                (stdin, READ),
                (stdout, WRITE),
            ],
        };
        self.spawner
            .spawn(&self.application, &strings, &descriptors)
    }

    /// Puts the banner ahead of everything that the application says. The pipe or socket is empty and holds it.
    pub fn greet(&self, pipes: &Pipes, plain: Option<&Plain>) {
        let to = plain.map_or(pipes.stdout.as_fd(), |plain| plain.handover.stream.as_fd());
        if !self.banner.is_empty() {
            // Whoever is gone already needs no banner.
            let _ = nix::unistd::write(to, &self.banner);
        }
    }

    /// Looks whether there is anything to execute.
    pub fn find(&self) -> Result<(), Errno> {
        let candidates = self.application.candidates.iter();
        let mut reason = Errno::ENOENT;
        for path in candidates {
            match access(path.as_c_str(), AccessFlags::X_OK) {
                Ok(()) => return Ok(()),
                Err(Errno::EACCES) => reason = Errno::EACCES,
                Err(_) => {}
            }
        }
        Err(reason)
    }

    pub fn name(&self) -> String {
        let name = self.application.arguments[0].to_bytes();
        String::from_utf8_lossy(name).into_owned()
    }
}
