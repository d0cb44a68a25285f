//! What `nix` and the standard library have no name for.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

// The first of these macros is made of the other two.
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

sockopt_impl!(
    /// Length of a listener's queue of TCP fast open, RFC 7413.
    FastOpen, Both, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, u32
);

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

/// How long nothing has come or gone on a connection; an unknown time counts as long.
pub fn quiet_for(stream: impl AsFd) -> Duration {
    // SAFETY: `tcp_info` is plain numbers; the kernel fills at most `length` bytes and says how many.
    let info = unsafe {
        let mut info: libc::tcp_info = std::mem::zeroed();
        let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
        let done = libc::getsockopt(
            stream.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &mut length,
        );
        (done == 0).then_some(info)
    };
    let milliseconds = info.map(|info| info.tcpi_last_data_sent.min(info.tcpi_last_data_recv));
    milliseconds.map_or(Duration::MAX, |quiet| Duration::from_millis(quiet.into()))
}
