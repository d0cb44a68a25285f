//! The listening socket. It lives in the parent, so that no worker's end resets a client.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SetSockOpt, SockFlag, SockType, SockaddrStorage, bind, listen,
    setsockopt, socket, sockopt,
};

use super::address::BindAddress;
use crate::sys::socket::FastOpen;

/// The step that failed, in upstream's words.
#[derive(Debug)]
pub enum ListenError {
    Create(Errno),
    Bind(Errno),
    Listen(Errno),
}

/// Options of the socket that its connections inherit.
#[derive(Clone, Copy, Default)]
pub struct ListenOptions {
    pub backlog: i32,
    /// Leave the delay of small packets on (`-d`).
    pub delay: bool,
    /// Number of the interface that a link-local address belongs to; 0: none.
    pub scope: u32,
    /// Quiet time after which the kernel asks whether a client is still there; `None`: never.
    pub keepalive: Option<Duration>,
    /// How many clients may send their first bytes with their first packet (TCP fast open) before their addresses
    /// are proven.
    pub fast_open: Option<u32>,
    /// Bytes that the kernel keeps for a connection in each direction; `None`: its own choice.
    pub send_buffer: Option<usize>,
    pub receive_buffer: Option<usize>,
}

/// A non-blocking, close-on-exec listening socket.
pub fn open(
    address: BindAddress,
    port: u16,
    options: &ListenOptions,
) -> Result<TcpListener, ListenError> {
    let socket = bound(address, port, options)?;
    listen(&socket, backlog(options)).map_err(ListenError::Listen)?;
    Ok(TcpListener::from(socket))
}

fn bound(address: BindAddress, port: u16, options: &ListenOptions) -> Result<OwnedFd, ListenError> {
    let family = match address.ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None).map_err(ListenError::Create)?;
    if family == AddressFamily::Inet6 {
        setsockopt(&socket, sockopt::Ipv6V6Only, &!address.dual).map_err(ListenError::Create)?;
    }
    tune(&socket, options).map_err(ListenError::Create)?;
    let name = SockaddrStorage::from(match address.ip {
        IpAddr::V4(ip) => SocketAddr::from((ip, port)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, options.scope).into(),
    });
    bind(socket.as_raw_fd(), &name).map_err(ListenError::Bind)?;
    Ok(socket)
}

/// Gives a socket that [`open`] made other options.
pub fn adjust(socket: &TcpListener, options: &ListenOptions) -> Result<(), ListenError> {
    tune(socket, options).map_err(ListenError::Create)?;
    listen(socket, backlog(options)).map_err(ListenError::Listen)
}

/// The kernel takes more than its own limit and clips it; `Backlog` does not.
fn backlog(options: &ListenOptions) -> Backlog {
    Backlog::new(options.backlog).unwrap_or(Backlog::MAXCONN)
}

/// Whether [`open`] would do, without being in anybody's way: an address in use is somebody's who may go.
pub fn probe(address: BindAddress, port: u16, options: &ListenOptions) -> Result<(), ListenError> {
    match bound(address, port, options) {
        Err(ListenError::Bind(Errno::EADDRINUSE)) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// Every address of both families (`*`): a socket for each, so that IPv4 clients come as IPv4.
pub const ANY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

impl ListenError {
    /// IPv6 can be left out of a kernel, or be switched off in one that has it.
    pub fn is_of_a_missing_family(&self) -> bool {
        matches!(
            self,
            ListenError::Create(Errno::EAFNOSUPPORT) | ListenError::Bind(Errno::EADDRNOTAVAIL)
        )
    }
}

fn tune(socket: &impl AsFd, options: &ListenOptions) -> Result<(), Errno> {
    setsockopt(socket, sockopt::ReuseAddr, &true)?;
    setsockopt(socket, sockopt::TcpNoDelay, &!options.delay)?;
    if let Some(quiet) = options.keepalive {
        setsockopt(socket, sockopt::KeepAlive, &true)?;
        setsockopt(socket, sockopt::TcpKeepIdle, &seconds(quiet))?;
    }
    set_if(socket, FastOpen, options.fast_open)?;
    set_if(socket, sockopt::SndBuf, options.send_buffer)?;
    set_if(socket, sockopt::RcvBuf, options.receive_buffer)
}

fn set_if<O: SetSockOpt<Val: Sized>>(
    socket: &impl AsFd,
    option: O,
    value: Option<O::Val>,
) -> Result<(), Errno> {
    value.map_or(Ok(()), |value| setsockopt(socket, option, &value))
}

/// The kernel takes no more than 32767.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs())
        .unwrap_or(u32::MAX)
        .clamp(1, 32767)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::TcpStream;

    use nix::sys::socket::getsockopt;

    const LOOPBACK: BindAddress = BindAddress {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        dual: false,
    };

    /// A client and the connection that a blocking copy of the listener accepted for it.
    fn connect(listener: &TcpListener) -> (TcpStream, TcpStream) {
        listener.set_nonblocking(false).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn a_connection_inherits_what_its_listener_was_told() {
        let options = ListenOptions {
            keepalive: Some(Duration::from_secs(77)),
            send_buffer: Some(30_000),
            receive_buffer: Some(20_000),
            ..ListenOptions::default()
        };
        let listener = open(LOOPBACK, 0, &options).unwrap();
        let (_client, accepted) = connect(&listener);
        assert!(getsockopt(&accepted, sockopt::KeepAlive).unwrap());
        assert_eq!(getsockopt(&accepted, sockopt::TcpKeepIdle).unwrap(), 77);
        assert!(getsockopt(&accepted, sockopt::TcpNoDelay).unwrap());
        // The kernel doubles them for its own needs (socket(7)).
        assert_eq!(getsockopt(&accepted, sockopt::SndBuf).unwrap(), 60_000);
        assert_eq!(getsockopt(&accepted, sockopt::RcvBuf).unwrap(), 40_000);
    }

    #[test]
    fn nothing_is_set_that_was_not_asked_for() {
        let listener = open(LOOPBACK, 0, &ListenOptions::default()).unwrap();
        assert_eq!(getsockopt(&listener, FastOpen).unwrap(), 0);
        let (_client, accepted) = connect(&listener);
        assert!(!getsockopt(&accepted, sockopt::KeepAlive).unwrap());
    }

    #[test]
    fn the_kernel_takes_the_options_of_the_listener_itself() {
        let options = ListenOptions {
            fast_open: Some(100),
            keepalive: Some(Duration::from_secs(u64::MAX)),
            ..ListenOptions::default()
        };
        let listener = open(LOOPBACK, 0, &options).unwrap();
        assert_eq!(getsockopt(&listener, FastOpen).unwrap(), 100);
        assert_eq!(getsockopt(&listener, sockopt::TcpKeepIdle).unwrap(), 32767);
    }
}
