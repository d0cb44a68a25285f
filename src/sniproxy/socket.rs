//! The listening socket, which whoever starts the program has opened: descriptor 0, or the one that systemd passes.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{SockType, SockaddrStorage, getsockname, getsockopt, setsockopt, sockopt};

use super::error::Error;
use crate::sys::descriptor;

/// The first descriptor of those that are passed (sd_listen_fds(3)).
const FIRST_PASSED: RawFd = 3;

/// The socket and the address it listens at.
pub fn inherited() -> Result<(OwnedFd, SocketAddr), Error> {
    let number = number()?;
    let bad = |why: &str| Error::fatal(format_args!("descriptor {number}"), why);
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
    // Its connections inherit both, which spares calls for each. Where one is refused they are merely slower, or stay
    // when their clients have vanished.
    let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
    let _ = setsockopt(&socket, sockopt::KeepAlive, &true);
    Ok((socket, address))
}

/// Which descriptor it is.
fn number() -> Result<RawFd, Error> {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
    };
    // What was meant for a process before us is not for us.
    if variable("LISTEN_PID") != Some(std::process::id()) {
        return Ok(0);
    }
    match variable("LISTEN_FDS") {
        Some(1) => Ok(FIRST_PASSED),
        Some(0) | None => Ok(0),
        Some(count) => Err(Error::fatal(
            format_args!("LISTEN_FDS={count}"),
            "one socket is served, start a copy of the program for each",
        )),
    }
}
