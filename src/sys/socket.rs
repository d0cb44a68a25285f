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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::sys::stream::Stream;

    /// How many packets have come on a connection, as TCP_INFO has it in newer kernels than the library knows.
    fn packets(stream: &TcpStream) -> u32 {
        const SEGMENTS_IN: usize = 140;
        let mut info = [0; 256];
        let mut length = info.len() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes to the array.
        let done = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &mut length,
            )
        };
        assert!(done == 0 && length as usize >= SEGMENTS_IN + 4);
        u32::from_ne_bytes(*info[SEGMENTS_IN..].first_chunk::<4>().unwrap())
    }

    #[test]
    fn the_last_bytes_and_the_end_come_in_one_packet() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_nodelay(true).unwrap();
        let far = Stream::from(OwnedFd::from(far));
        let before = packets(&near);
        assert_eq!(far.write_last(b"goodbye"), Ok(7));
        far.shut_write();
        let mut words = String::new();
        near.read_to_string(&mut words).unwrap();
        assert_eq!((words.as_str(), packets(&near) - before), ("goodbye", 1));
    }
}
