//! Routing TLS by server name, undecrypted, with a directory as its configuration.
//!
//! One process and one thread: what it reads of strangers is the beginning of a ClientHello, it has no secret, and it
//! runs under a filter of system calls that leaves it little beyond accepting and connecting to Unix sockets.
#![forbid(unsafe_code)]

mod admission;
mod blake2s;
mod connection;
mod error;
mod held;
pub mod hostname;
mod hosts;
mod log;
pub mod naming;
mod options;
mod room;
mod router;
mod steps;

use std::io::{self, Write};
use std::process::ExitCode;

use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};

use self::error::Error;
use self::hosts::Hosts;
use self::naming::Naming;
use self::options::Options;
use self::room::Room;
use self::router::{Parts, Router};
use crate::net::inherited;
use crate::privsep::sandbox;
use crate::sys::signal::{self, Signals};
use crate::sys::{heap, words};

pub fn main() -> ExitCode {
    let options = Options::parse(std::env::args_os().skip(1));
    match options.and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is gone nobody is left to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Takes over the listening socket, looks where it is, gives up what it does not need, and serves.
fn run(options: Options) -> Result<(), Error> {
    heap::keep_large_apart();
    let number = inherited::passed()?.unwrap_or(0);
    let (socket, address) = inherited::listener(number)?;
    // Its connections inherit both, which spares calls for each. Where one is refused they are merely slower, or stay
    // when their clients have vanished.
    let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
    let _ = setsockopt(&socket, sockopt::KeepAlive, &true);
    let here = |why: &str| Error::fatal("current directory", why);
    let naming = match options.hashed {
        true => Naming::Hashed,
        false => Naming::of_current_directory().map_err(|error| here(&words::reason(&error)))?,
    };
    let hosts = Hosts::open(naming).map_err(|errno| here(errno.desc()))?;
    let room = Room::make(options.connections);
    signal::reset_dispositions();
    let signals = Signals::catch(&[Signal::SIGHUP, Signal::SIGTERM]);
    let signals = signals.map_err(|errno| Error::fatal("unable to catch signals", errno.desc()))?;
    let parts = Parts {
        options,
        socket,
        hosts,
        signals,
        room,
    };
    let router = Router::new(parts);
    let router = router.map_err(|errno| Error::fatal("unable to wait for events", errno.desc()))?;
    sandbox::confine_router().map_err(Error::Fatal)?;
    log::announce(format_args!("listening on {address}"));
    router.run()
}
