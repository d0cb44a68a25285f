//! A connected stream socket of any family, non-blocking.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    MsgFlags, Shutdown, SockaddrStorage, getsockname, getsockopt, recv, send, setsockopt, shutdown,
    sockopt,
};

pub struct Stream(OwnedFd);

impl Stream {
    /// EAGAIN: nothing is there. 0: the other side has said its end.
    pub fn read(&self, into: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match recv(self.0.as_raw_fd(), into, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }

    /// The same, and what is there stays there.
    pub fn peek(&self, into: &mut [u8]) -> Result<usize, Errno> {
        recv(self.0.as_raw_fd(), into, MsgFlags::MSG_PEEK)
    }

    /// EAGAIN: there is no room.
    pub fn write(&self, from: &[u8]) -> Result<usize, Errno> {
        self.send(from, MsgFlags::empty())
    }

    /// The same for bytes that our end follows at once: both go in one packet if they fit.
    pub fn write_last(&self, from: &[u8]) -> Result<usize, Errno> {
        self.send(from, MsgFlags::from_bits_retain(libc::MSG_MORE))
    }

    fn send(&self, from: &[u8], flags: MsgFlags) -> Result<usize, Errno> {
        loop {
            match send(self.0.as_raw_fd(), from, MsgFlags::MSG_NOSIGNAL | flags) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }

    /// Says our end. Fails only where the connection is gone already.
    pub fn shut_write(&self) {
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Write);
    }

    /// Has closing break the connection off, so that the other side does not take it for an end.
    pub fn break_off(&self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // Fails only where there is nothing to break.
        let _ = setsockopt(&self.0, sockopt::Linger, &linger);
    }

    /// The address of our end, if it is one of the internet's.
    pub fn local(&self) -> Option<SocketAddr> {
        let name = getsockname::<SockaddrStorage>(self.0.as_raw_fd()).ok()?;
        let four = name
            .as_sockaddr_in()
            .map(|&name| SocketAddrV4::from(name).into());
        four.or_else(|| {
            name.as_sockaddr_in6()
                .map(|&name| SocketAddrV6::from(name).into())
        })
    }

    /// Why the connection is gone, if the kernel knows; asking takes the reason away.
    pub fn error(&self) -> Option<Errno> {
        let number = getsockopt(&self.0, sockopt::SocketError).ok()?;
        (number != 0).then(|| Errno::from_raw(number))
    }
}

impl From<OwnedFd> for Stream {
    fn from(end: OwnedFd) -> Stream {
        Stream(end)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
