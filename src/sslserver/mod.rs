//! The super-server: accepts, filters, speaks TLS through its other roles, and runs an application per connection.
#![forbid(unsafe_code)]

mod admission;
mod application;
mod check;
mod config;
mod connection;
mod counters;
mod crew;
mod dispatch;
mod ending;
pub mod environment;
mod failure;
mod identities;
mod inheritance;
mod inquiry;
mod inside;
mod keysets;
mod limits;
mod listener;
mod notify;
mod options;
mod progress;
mod refusal;
mod renewal;
mod roles;
mod supervision;
mod telling;

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;

use self::application::Launcher;
use self::check::Check;
use self::config::{Config, KeyConfig, Shown, Variables};
use self::error::Error;
use self::inheritance::Inheritance;
use self::keysets::KeySets;
use self::listener::{Listener, Parts};
use self::log::{Level, Log};
use self::notify::Notify;
use self::options::Options;
use self::roles::Roles;
use crate::net::address::{BindAddress, HostError};
use crate::net::listen::{self, ListenError, ListenOptions};
use crate::net::metrics::Metrics;
use crate::privsep::session::SessionSettings;
use crate::privsep::{keeper, lookup, terminator};
use crate::sys::signal::Signals;
use crate::sys::{descriptor, signal};
use crate::ucspi::options::port;
use crate::ucspi::{error, log, program_name};

/// A proxy writes its header at once.
const PROXY_PATIENCE: Duration = Duration::from_secs(3);

pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = program_name(arguments.next(), "sslserver");
    if let Some(role) = inside::asked(std::env::args_os().skip(1)) {
        return inside::main(&role, name);
    }
    let (level, check, result) = match Options::parse(arguments) {
        Ok(options) => {
            let (level, check) = (options.common.level, options.check);
            (level, check, run(options, name.clone()))
        }
        Err(error) => (Level::Warning, false, Err(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let log = Log::new(name, level);
            log.line(Level::Warning, &error);
            if error.is_usage() {
                log.line(Level::Warning, options::usage());
            }
            ExitCode::from(match check {
                true => error::TEMPORARY,
                false => error.exit_code(),
            })
        }
    }
}

/// Binds, prepares the roles and serves until it is told to end. Or checks that it could.
fn run(options: Options, name: String) -> Result<(), Error> {
    let variables = Variables::current();
    let inheritance = Inheritance::take(&options, &variables)?;
    descriptor::close_all_on_exec();
    let log = Log::new(name, options.common.level);
    let config = Config::read(&options, &variables)?;
    for note in &config.notes {
        log.line(Level::Status, format_args!("info: {note}"));
    }
    let socket = match inheritance.socket {
        Some(socket) => Some(socket),
        None if options.check => None,
        None => {
            let (place, how) = place(&options)?;
            let socket = listen::open(place.0, place.1, &how);
            Some(socket.map_err(|error| not_listening(error, place))?)
        }
    };
    let notify = Notify::new(variables.get("NOTIFY_SOCKET"), inheritance.newline, &log);
    signal::reset_dispositions();
    let wanted = [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
    ];
    let system = |what: &'static str| {
        move |errno: nix::errno::Errno| Error::fatal(format_args!("{what}: {}", errno.desc()))
    };
    let signals = Signals::catch(&wanted).map_err(system("unable to catch signals"))?;
    let roles = roles(&options, &config, inheritance.password);
    let settings = Shown::read(&variables);
    let inherited = *signals.inherited();
    let sets = KeySets::new(
        variables.clone(),
        KeyConfig {
            root: config.confinement.root.clone(),
            opened_by_listener: config.keys.opened_by_listener,
        },
    );
    let launcher = Launcher::new(&options, &config, variables, inherited)
        .map_err(system("unable to set the limit of open files"))?;
    let Some(socket) = socket else {
        let check = Check {
            options: &options,
            log: &log,
            launcher: &launcher,
            metrics: config.metrics.as_deref(),
            sets,
            roles,
            faults: 0,
        };
        // Nobody reads them from their descriptor.
        signal::unblock_all();
        return check.run();
    };
    let metrics = config.metrics.as_deref().map(Metrics::open).transpose();
    let metrics = metrics.map_err(Error::fatal)?;
    let parts = Parts {
        limits: config.limits,
        drain: config.drain,
        demand: config.keys.demand,
        proxies: config.proxies,
        watches: config.watches,
        options,
        log,
        socket,
        notify,
        signals,
        launcher,
        roles,
        sets,
        metrics,
        settings,
    };
    let listener = Listener::new(parts).map_err(system("unable to wait for events"))?;
    listener.run()
}

/// Where it listens, and how.
fn place(options: &Options) -> Result<((BindAddress, u16), ListenOptions), Error> {
    let port = port(&options.port)?;
    let host = &options.host;
    let address = BindAddress::parse(host, options.common.family).map_err(|error| match error {
        HostError::Unresolved(reason) => Error::fatal(format_args!(
            "temporarily unable to figure out IP address for: {host}: {reason}"
        )),
        HostError::NoAddress => Error::fatal(format_args!("no IP address for: {host}")),
    })?;
    let scope = match &options.common.interface {
        None => 0,
        Some(name) => if_nametoindex(name.as_str()).map_err(|errno| {
            Error::fatal(format_args!("unknown interface: {name}: {}", errno.desc()))
        })?,
    };
    let how = ListenOptions {
        backlog: options.backlog,
        delay: options.common.delay,
        scope,
        ..ListenOptions::default()
    };
    Ok(((address, port), how))
}

fn not_listening(error: ListenError, (address, port): (BindAddress, u16)) -> Error {
    match error {
        ListenError::Create(errno) => {
            Error::fatal(format_args!("unable to create socket: {}", errno.desc()))
        }
        ListenError::Bind(errno) => Error::fatal(format_args!(
            "unable to bind to: {} port: {port}: {}",
            address.ip,
            errno.desc()
        )),
        ListenError::Listen(errno) => {
            Error::fatal(format_args!("unable to listen: {}", errno.desc()))
        }
    }
}

fn roles(options: &Options, config: &Config, password: Option<OwnedFd>) -> Roles {
    let keeper_orders = keeper::Orders {
        confinement: config.confinement.clone(),
        files: config.keys.files.clone(),
        ticket_keys: config.keys.ticket_keys.clone(),
    };
    let terminator_orders = terminator::Orders {
        confinement: config.confinement.clone(),
        tls: config.tls.clone(),
        session: SessionSettings {
            idle: options.common.idle,
            environment: options.common.ssl_environment && !options.delayed,
            handshake: options.handshake,
        },
        demand: config.keys.demand,
        wants_variables: options.common.ssl_environment || options.delayed,
    };
    let needed = options.common.lookup || options.common.ident || !config.proxies.is_empty();
    let lookup_orders = needed.then(|| lookup::Orders {
        confinement: config.confinement.clone(),
        servers: config.servers.clone(),
        patience: options.common.lookup_time,
        header_patience: PROXY_PATIENCE,
        limit: config.limits.unfinished,
        ident_port: lookup::IDENT_PORT,
    });
    let opened = config.keys.opened_by_listener;
    Roles::new(
        keeper_orders,
        terminator_orders,
        lookup_orders,
        opened,
        password,
        options.shared,
    )
}
