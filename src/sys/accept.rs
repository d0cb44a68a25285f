//! Taking a client from a listening socket in one call: its address with it, non-blocking, close-on-exec.

use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// EAGAIN: nobody is waiting.
pub fn accept(listener: BorrowedFd<'_>) -> Result<(OwnedFd, SocketAddr), Errno> {
    let mut place = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes of an address to the place, which is plain numbers; a
    // descriptor that it gives is new and nobody else's.
    let (end, address) = unsafe {
        let end = libc::accept4(
            listener.as_raw_fd(),
            place.as_mut_ptr().cast(),
            &mut length,
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        );
        if end < 0 {
            return Err(Errno::last());
        }
        (OwnedFd::from_raw_fd(end), place.assume_init())
    };
    let address = address_of(&address).ok_or(Errno::EAFNOSUPPORT)?;
    Ok((end, address))
}

fn address_of(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let place = (&raw const *storage).cast::<u8>();
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the storage is large and aligned enough for every kind of address.
            let four = unsafe { &*place.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from_bits(u32::from_be(four.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(four.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let six = unsafe { &*place.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(six.sin6_addr.s6_addr);
            let port = u16::from_be(six.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, six.sin6_scope_id).into())
        }
        _ => None,
    }
}
