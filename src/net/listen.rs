//! The listening socket. It lives in the parent, so that no worker's end resets a client.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpListener};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};

use super::address::BindAddress;

/// The step that failed, in upstream's words.
#[derive(Debug)]
pub enum ListenError {
    Create(Errno),
    Bind(Errno),
    Listen(Errno),
}

/// Options of the socket that its connections inherit.
pub struct ListenOptions {
    pub backlog: i32,
    /// Leave the delay of small packets on (`-d`).
    pub delay: bool,
    /// Number of the interface that a link-local address belongs to; 0: none.
    pub scope: u32,
}

/// A non-blocking, close-on-exec listening socket.
pub fn open(
    address: BindAddress,
    port: u16,
    options: &ListenOptions,
) -> Result<TcpListener, ListenError> {
    let family = match address.ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None).map_err(ListenError::Create)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true).map_err(ListenError::Create)?;
    if family == AddressFamily::Inet6 {
        setsockopt(&socket, sockopt::Ipv6V6Only, &!address.dual).map_err(ListenError::Create)?;
    }
    setsockopt(&socket, sockopt::TcpNoDelay, &!options.delay).map_err(ListenError::Create)?;
    let name = SockaddrStorage::from(match address.ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, port)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, options.scope).into(),
    });
    bind(socket.as_raw_fd(), &name).map_err(ListenError::Bind)?;
    // The kernel takes more than its own limit and clips it; `Backlog` does not.
    let backlog = Backlog::new(options.backlog).unwrap_or(Backlog::MAXCONN);
    listen(&socket, backlog).map_err(ListenError::Listen)?;
    Ok(TcpListener::from(socket))
}
