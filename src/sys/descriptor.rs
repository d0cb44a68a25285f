//! Descriptors by number: the standard ones, the password's, and those a careless parent left open.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::EpollFlags;

/// Takes over an inherited descriptor by its number, if it is open.
pub fn inherited(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: fcntl only asks about the number; a number that is not open is an error, not undefined.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the number is open, and the caller says that nobody else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Marks every descriptor from 3 on close-on-exec, so that what our own parent
/// leaked to us goes no further.
pub fn close_all_on_exec() {
    // SAFETY: the call changes flags only; a kernel without it answers ENOSYS and we walk the numbers instead.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done < 0 {
        for number in 3..1024 {
            // SAFETY: sets a flag on a number that is open or not; no memory is involved.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

/// Closes every descriptor from 3 on except those in `keep`.
///
/// # Safety
/// No other owner of a descriptor may be used or dropped afterwards in this process.
pub unsafe fn close_all_but(keep: &[OwnedFd]) {
    let mut numbers: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    numbers.sort_unstable();
    let mut first: RawFd = 3;
    for number in numbers {
        if number > first {
            // SAFETY: the caller vouches that no owner of these numbers is used again.
            unsafe { libc::syscall(libc::SYS_close_range, first, number - 1, 0) };
        }
        first = first.max(number + 1);
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
}

/// Puts `/dev/null` on the given standard descriptors (0, 1 or 2).
pub fn null_on(numbers: &[RawFd]) -> std::io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for &number in numbers {
        // SAFETY: 0, 1 and 2 are owned by nobody in Rust's sense; replacing them is what is asked for.
        if unsafe { libc::dup2(null.as_raw_fd(), number) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Switches a socket or pipe that was just made to non-blocking reads and writes.
pub fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    // Such a descriptor has no other flag that this could clear.
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

/// What poll(2) or epoll(7) said of one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    pub readable: bool,
    pub writable: bool,
    /// Error: on a pipe's write end the reader is gone.
    pub broken: bool,
    /// Both directions are over, or on a pipe's read end the writer is gone.
    pub hung_up: bool,
    /// The other side has said its end, after what is there to be read (epoll alone tells).
    pub ended: bool,
}

impl Ready {
    pub fn is_any(self) -> bool {
        self != Ready::default()
    }
}

impl From<EpollFlags> for Ready {
    fn from(events: EpollFlags) -> Ready {
        let hung_up = events.contains(EpollFlags::EPOLLHUP);
        let broken = events.contains(EpollFlags::EPOLLERR);
        Ready {
            readable: events.contains(EpollFlags::EPOLLIN) || hung_up || broken,
            writable: events.contains(EpollFlags::EPOLLOUT),
            broken,
            hung_up,
            ended: events.contains(EpollFlags::EPOLLRDHUP),
        }
    }
}

/// True if reading, or accepting, would not have to wait now. What went wrong shows there as well.
pub fn is_readable(fd: impl AsFd) -> bool {
    let mut list = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    nix::poll::poll(&mut list, PollTimeout::ZERO) != Ok(0)
}

/// Waits for the wanted descriptors, at most so long; what is `None` is passed over and not ready. A signal ends the
/// wait early with nothing ready.
pub fn wait<const N: usize>(
    wanted: [Option<(BorrowedFd<'_>, PollFlags)>; N],
    time: Duration,
) -> Result<[Ready; N], Errno> {
    let mut list: Vec<PollFd> = wanted
        .iter()
        .flatten()
        .map(|&(fd, flags)| PollFd::new(fd, flags))
        .collect();
    // Rounded up: waking a moment early would mean to spin until the moment comes.
    let milliseconds = time.as_millis().saturating_add(1);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    match nix::poll::poll(&mut list, timeout) {
        Ok(0) | Err(Errno::EINTR) => return Ok([Ready::default(); N]),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    let mut answers = list.iter();
    Ok(wanted.map(|entry| {
        let got = entry
            .and_then(|_| answers.next())
            .and_then(PollFd::revents)
            .unwrap_or(PollFlags::empty());
        Ready {
            readable: got.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR),
            writable: got.contains(PollFlags::POLLOUT),
            broken: got.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL),
            hung_up: got.contains(PollFlags::POLLHUP),
            ended: false,
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_is_readable_as_long_as_somebody_waits_to_be_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_readable(&listener));
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(is_readable(&listener));
        listener.accept().unwrap();
        assert!(!is_readable(&listener));
        drop(client);
    }
}
