//! A listening socket that whoever starts the program has opened, as inetd does and systemd (sd_listen_fds(3)).
#![forbid(unsafe_code)]

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{SockType, SockaddrStorage, getsockname, getsockopt, sockopt};

use crate::sys::descriptor;

/// The first descriptor of those that are passed.
const FIRST_PASSED: RawFd = 3;

/// What there is instead of a socket to serve, and why it will not do.
#[derive(Debug)]
pub struct Unfit {
    what: String,
    why: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// The descriptor that was passed to this very process, if there is one.
pub fn passed() -> Result<Option<RawFd>, Unfit> {
    let variable = |name| std::env::var(name).ok();
    // What was meant for a process before us is not for us.
    if variable("LISTEN_PID") != Some(std::process::id().to_string()) {
        return Ok(None);
    }
    match variable("LISTEN_FDS").as_deref() {
        None | Some("0") => Ok(None),
        Some("1") => Ok(Some(FIRST_PASSED)),
        Some(count) => Err(Unfit {
            what: format!("LISTEN_FDS={count}"),
            why: "one socket is served, start a copy of the program for each".into(),
        }),
    }
}

/// Takes over a listening TCP socket by its number, non-blocking from now on, with the address that it listens at.
pub fn listener(number: RawFd) -> Result<(OwnedFd, SocketAddr), Unfit> {
    let bad = |why: &str| Unfit {
        what: format!("descriptor {number}"),
        why: why.into(),
    };
    let socket = descriptor::inherited(number).map_err(|errno| bad(errno.desc()))?;
    let name = getsockname::<SockaddrStorage>(socket.as_raw_fd());
    let name = name.map_err(|errno| match errno {
        Errno::ENOTSOCK => bad("no socket, a listening TCP socket is wanted"),
        other => bad(other.desc()),
    })?;
    let four = name
        .as_sockaddr_in()
        .map(|&name| SocketAddrV4::from(name).into());
    let six = || {
        name.as_sockaddr_in6()
            .map(|&name| SocketAddrV6::from(name).into())
    };
    let address = four.or_else(six).ok_or_else(|| bad("no TCP socket"))?;
    if getsockopt(&socket, sockopt::SockType) != Ok(SockType::Stream) {
        return Err(bad("no TCP socket"));
    }
    if getsockopt(&socket, sockopt::AcceptConn) != Ok(true) {
        return Err(bad("the socket does not listen"));
    }
    descriptor::set_nonblocking(&socket).map_err(|errno| bad(errno.desc()))?;
    Ok((socket, address))
}
