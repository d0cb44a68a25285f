//! One datagram with descriptors over a SOCK_SEQPACKET pair.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

/// The most descriptors that one message carries.
pub const MAX_DESCRIPTORS: usize = 16;

/// A connected pair that keeps message boundaries; both ends are close-on-exec.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
}

/// Sends one message whole. With `wait` unset a full channel answers EAGAIN.
pub fn send(
    channel: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    wait: bool,
) -> Result<(), Errno> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control: &[ControlMessage] = if numbers.is_empty() { &[] } else { &rights };
    let mut flags = MsgFlags::MSG_NOSIGNAL;
    if !wait {
        flags |= MsgFlags::MSG_DONTWAIT;
    }
    loop {
        match sendmsg::<()>(
            channel.as_raw_fd(),
            &[IoSlice::new(bytes)],
            control,
            flags,
            None,
        ) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop),
        }
    }
}

/// What [`receive`] got: nothing at all means that the other end is closed.
pub struct Received {
    pub length: usize,
    pub descriptors: Vec<OwnedFd>,
    /// Bytes or descriptors did not fit and are lost.
    pub truncated: bool,
}

/// Receives one message into `buffer`. With `wait` unset an empty channel answers EAGAIN.
pub fn receive(channel: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> Result<Received, Errno> {
    let mut flags = MsgFlags::MSG_CMSG_CLOEXEC;
    if !wait {
        flags |= MsgFlags::MSG_DONTWAIT;
    }
    let mut control = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut places = [IoSliceMut::new(buffer)];
    loop {
        let message =
            match recvmsg::<()>(channel.as_raw_fd(), &mut places, Some(&mut control), flags) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
        let mut descriptors = Vec::new();
        if let Ok(controls) = message.cmsgs() {
            for control in controls {
                if let ControlMessageOwned::ScmRights(numbers) = control {
                    // SAFETY: the kernel has just made these descriptors for us; nobody else owns them.
                    descriptors.extend(
                        numbers
                            .into_iter()
                            .map(|number| unsafe { OwnedFd::from_raw_fd(number) }),
                    );
                }
            }
        }
        return Ok(Received {
            length: message.bytes,
            descriptors,
            truncated: message
                .flags
                .intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC),
        });
    }
}
