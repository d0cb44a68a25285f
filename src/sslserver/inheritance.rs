//! Descriptors that whoever starts the server has opened for it, beside the standard ones. They are taken over first of
//! all, before anything of ours can come to sit at their numbers.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::os::fd::{OwnedFd, RawFd};

use nix::sys::socket::{setsockopt, sockopt};

use super::config::Variables;
use super::error::Error;
use super::options::{self, Options};
use crate::net::inherited;
use crate::sys::descriptor;
use crate::ucspi::{PASSWORD, password};

pub struct Inheritance {
    /// `-3`
    pub password: Option<OwnedFd>,
    /// LISTEN_FDS: who listens already, in place of host and port.
    pub socket: Option<TcpListener>,
    /// NOTIFYFD: where a newline is to be written when everything is ready.
    pub newline: Option<OwnedFd>,
}

impl Inheritance {
    pub fn take(options: &Options, variables: &Variables) -> Result<Inheritance, Error> {
        let third = options.common.password.then_some(PASSWORD);
        let mut socket = inherited::passed().map_err(Error::fatal)?;
        let mut newline = variables.get("NOTIFYFD").map(notify_number).transpose()?;
        if options.check {
            // By hand, nobody is there who would have opened them.
            (socket, newline) = (None, None);
        }
        let wanted = [("-3", third), ("LISTEN_FDS", socket), ("NOTIFYFD", newline)];
        for (place, (one, number)) in wanted.iter().enumerate() {
            let mut before = wanted[..place].iter();
            if let Some(number) = number
                && let Some((other, _)) = before.find(|(_, taken)| *taken == Some(*number))
            {
                return Err(Error::fatal(format_args!(
                    "descriptor {number} cannot be for {other} and for {one}"
                )));
            }
        }
        Ok(Inheritance {
            password: options.common.password.then(password).transpose()?,
            socket: socket
                .map(|number| take_socket(number, options))
                .transpose()?,
            newline: newline.map(take_newline).transpose()?,
        })
    }
}

/// 0, 1 and 2 have other uses.
fn notify_number(value: &[u8]) -> Result<RawFd, Error> {
    options::number("NOTIFYFD", value, 3, RawFd::MAX as u64).map(|number| number as RawFd)
}

fn take_socket(number: RawFd, options: &Options) -> Result<TcpListener, Error> {
    let (socket, _) = inherited::listener(number).map_err(Error::fatal)?;
    // Where that is refused, small packets are merely slower.
    let _ = setsockopt(&socket, sockopt::TcpNoDelay, &!options.common.delay);
    Ok(TcpListener::from(socket))
}

fn take_newline(number: RawFd) -> Result<OwnedFd, Error> {
    descriptor::inherited(number)
        .map_err(|errno| Error::fatal(format_args!("NOTIFYFD={number}: {}", errno.desc())))
}
