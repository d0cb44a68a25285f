//! The client of UCSPI for TLS: it connects to a server, sees whether it is the right one, and runs a program with the
//! connection on descriptors 6 and 7. The program that is started stays outside of TLS: a session of its own speaks it,
//! and the key of a client's certificate is with a keeper.
#![forbid(unsafe_code)]

mod application;
mod config;
mod connection;
mod options;
mod roles;
mod waiting;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;

use self::application::Application;
use self::config::Config;
use self::options::Options;
use self::waiting::Waiting;
use crate::privsep::channel::ChannelError;
use crate::privsep::message::{Answer, ListenerToSession, SessionReport};
use crate::sys::{descriptor, signal};
use crate::ucspi::error::Error;
use crate::ucspi::log::{Ends, Level, Log, words};
use crate::ucspi::program_name;

/// A session keeps the time of its handshake itself, and says farewell to whom it refuses; beyond this it is stuck.
const GRACE: Duration = Duration::from_secs(10);

pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = program_name(arguments.next(), "sslclient");
    start(name, arguments)
}

/// Does what these arguments say; lines of the log begin with the name.
pub fn start(name: String, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            let log = Log::new(name, Level::Warning);
            log.line(Level::Warning, &error);
            if error.is_usage() {
                log.line(Level::Warning, options::usage());
            }
            return ExitCode::from(error.exit_code());
        }
    };
    let log = Log::new(name, options.common.level);
    let code = run(options, &log).unwrap_or_else(|error| {
        log.line(Level::Warning, &error);
        error.exit_code()
    });
    ExitCode::from(code)
}

/// Connects, runs the program, and answers with its exit code.
fn run(mut options: Options, log: &Log) -> Result<u8, Error> {
    let password = config::password(&options)?;
    // Whoever started us may not have wanted to know of its children; we do.
    signal::restore(Signal::SIGCHLD);
    let config = Config::read(&options)?;
    let keeper = match &config.pair {
        Some(pair) => Some(roles::start_keeper(&config, pair, password, log)?),
        // Nor shall the program have it.
        None => {
            drop(password);
            None
        }
    };
    let server = connection::find(&options, config.identity)?;
    let (stream, remote) = connection::connect(&options, &server, log)?;
    let refused =
        |error: std::io::Error| Error::fatal(format_args!("unable to set socket options: {error}"));
    stream.set_nodelay(!options.common.delay).map_err(refused)?;
    // An application that begins in plain text has it before TLS does.
    stream.set_nonblocking(false).map_err(refused)?;
    let local = stream.local_addr().map_err(refused)?;
    let question = roles::ask(&options, &config, local, remote);
    let called = (server.host, remote);
    let kit = roles::start_session(&options, config, called, &stream, keeper)?;
    let block = match options.delayed {
        true => Vec::new(),
        false => established(&kit.reports, &options, remote, log)?,
    };
    let names = question.map_or_else(Answer::nothing, |question| question.answer(log));
    let found = names.local_name.map(String::into_bytes);
    let local_name = options.common.local_name.take().or(found);
    let ends = Ends {
        local_name: local_name.as_deref(),
        local,
        remote_name: names.remote_name.as_deref(),
        remote_info: names.remote_info.as_deref(),
        remote,
    };
    let environment = application::environment(&options, &ends, &block)
        .ok_or_else(|| Error::fatal("the session broke the protocol"))?;
    if options.delayed {
        let (ip, port) = (remote.ip(), remote.port());
        log.line(
            Level::Status,
            format_args!("connected to: {ip} port: {port}"),
        );
    }
    let reports = kit.reports;
    let waiting = Waiting::begin(remote, reports, options.common.idle)?;
    let application = Application {
        input: kit.input,
        output: kit.output,
        plain: kit.control.map(|control| (control, stream)),
    };
    let pid = application.start(&options.program, &environment, waiting.inherited())?;
    // Whoever reads what the program writes waits for its end, not for ours.
    let _ = descriptor::null_on(&[0, 1]);
    Ok(waiting.wait_for(pid, log))
}

/// Waits for the handshake. The variables of TLS come back, if they are wanted.
fn established(
    reports: &ListenerToSession,
    options: &Options,
    remote: SocketAddr,
    log: &Log,
) -> Result<Vec<u8>, Error> {
    let (first, second) = options.connect;
    let outcome = match reports.receive_within(first + second + GRACE) {
        Ok((SessionReport::Established { environment, .. }, _)) => {
            told_connected(remote, log);
            return Ok(environment);
        }
        Ok((SessionReport::Failed { reason, .. }, _)) => Error::fatal(words(&reason)),
        Ok((SessionReport::Refused { reason }, _)) => Error::dropped(words(&reason)),
        Ok((SessionReport::Finished { .. }, _)) => Error::fatal("the session broke the protocol"),
        Err(ChannelError::Closed) => Error::fatal("the session ended without a word"),
        Err(error) => Error::fatal(format_args!("session: {error}")),
    };
    // It ends with us, but its farewell shall reach the server.
    let _ = reports.receive_within(GRACE);
    Err(outcome)
}

fn told_connected(remote: SocketAddr, log: &Log) {
    let (ip, port) = (remote.ip(), remote.port());
    log.line(
        Level::Status,
        format_args!("tls connected to: {ip} port: {port}"),
    );
}
