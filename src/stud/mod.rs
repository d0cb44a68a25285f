//! The TLS-unwrapping proxy: many connections per worker, decrypted bytes to a backend.
#![forbid(unsafe_code)]

mod children;
pub mod config;
pub(crate) mod failure;
mod generation;
mod identity;
mod lines;
mod log;
pub mod options;
mod parent;
pub mod pidfile;
mod plan;
mod refresh;
mod settings_file;
mod sockets;
mod store;
mod succession;
mod surroundings;
mod waiting;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use self::config::{Config, LogSettings};
use self::failure::Failure;
use self::log::Log;
use self::options::{Invocation, Task};
use self::parent::{Parent, Reread};
use self::pidfile::PidFile;
use self::surroundings::Surroundings;
use crate::sys::signal::{self, Signals};
use crate::sys::{daemon, descriptor, words};

/// Whoever starts us in the background waits no longer for it.
const STARTER_PATIENCE: Duration = Duration::from_secs(600);

pub fn main() -> ExitCode {
    let invocation = match Invocation::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(error) => return fail("stud", &error),
    };
    let program = invocation.program.clone();
    let outcome = match &invocation.task {
        Task::Print(text) => print(text),
        Task::Test(config) => test(&program, config),
        Task::Run(config) => {
            let config = (**config).clone();
            let again = move || {
                let config = invocation.reparse();
                config.map_err(|error| Failure(words::shorten(&error.to_string())))
            };
            serve("stud", config, Box::new(again))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&program, &failure),
    }
}

pub(crate) fn fail(program: &str, error: &dyn Display) -> ExitCode {
    // Where that cannot be said, the exit code says it.
    let line = words::on_one_line(&words::shorten(&error.to_string()));
    let _ = writeln!(std::io::stderr(), "{program}: {line}");
    ExitCode::FAILURE
}

fn print(text: &str) -> Result<(), Failure> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure(format!("unable to write: {error}")))
}

/// Everything short of serving.
fn test(program: &str, config: &Config) -> Result<(), Failure> {
    let settings = LogSettings {
        level: config.log.level,
        file: None,
        syslog: None,
    };
    let log = Log::open("stud", &settings).map_err(Failure)?;
    let kept = config.clone();
    let again = Box::new(move || Ok(kept.clone()));
    let mut parent = Parent::new("stud", log, signals()?, Surroundings::default(), again);
    parent.testing = true;
    parent.run(config.clone())?;
    print(&format!("{program}: the configuration will do\n"))
}

/// Serves until it is told to end. `name` is what syslog knows us by.
pub(crate) fn serve(name: &'static str, config: Config, again: Reread) -> Result<(), Failure> {
    descriptor::close_all_on_exec();
    let mut surroundings = Surroundings::default();
    if config.daemon {
        let detached = daemon::detach(name, STARTER_PATIENCE);
        let failed = |errno: nix::errno::Errno| {
            Failure(format!("unable to go to the background: {}", errno.desc()))
        };
        surroundings.starter = Some(detached.map_err(failed)?);
    }
    if let Some(path) = &config.pid_file {
        surroundings.pid_file = Some(PidFile::create(path).map_err(Failure)?);
    }
    // Every connection takes two; what the limit may be raised to is the administrator's word.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let log = Log::open(name, &config.log).map_err(Failure)?;
    Parent::new(name, log, signals()?, surroundings, again).run(config)
}

fn signals() -> Result<Signals, Failure> {
    signal::reset_dispositions();
    let wanted = [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
    ];
    Signals::catch(&wanted)
        .map_err(|errno| Failure(format!("unable to catch signals: {}", errno.desc())))
}
