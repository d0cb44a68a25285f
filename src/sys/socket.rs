//! What `nix` and the standard library have no name for.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::os::fd::AsRawFd;

/// Drops the IP options (source routes) that came with a connection, so that no answer follows them.
/// The kernel knows none on most sockets; an error means there is nothing to drop.
pub fn clear_ip_options(stream: &TcpStream, peer: IpAddr) {
    let (level, option) = match peer {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_OPTIONS),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RTHDR),
    };
    // SAFETY: a null value of length 0 is how both options are cleared; nothing is read from it.
    unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, std::ptr::null(), 0) };
}

/// True if the same call may succeed a moment later.
pub fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
