//! The channel to the listener as a task waits for it.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net;

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::privsep::channel::ChannelError;
use crate::privsep::message::{FromLookup, LookupToListener, ToLookup};
use crate::sys::descriptor;

pub struct Line {
    channel: LookupToListener,
    /// The same socket once more. The runtime knows no SOCK_SEQPACKET, but to wait for one it need not.
    watch: UnixDatagram,
}

impl Line {
    /// To be called where the runtime runs.
    pub fn new(channel: LookupToListener) -> io::Result<Line> {
        let copy = channel.as_fd().try_clone_to_owned()?;
        descriptor::set_nonblocking(copy.as_fd())?;
        let watch = UnixDatagram::from_std(net::UnixDatagram::from(copy))?;
        Ok(Line { channel, watch })
    }

    /// The next question; `None` when the listener is gone or broke its word.
    pub async fn receive(&self) -> Option<(ToLookup, Vec<OwnedFd>)> {
        loop {
            self.watch.readable().await.ok()?;
            let received =
                self.watch
                    .try_io(Interest::READABLE, || match self.channel.try_receive() {
                        Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
                        Ok(Some(message)) => Ok(Some(message)),
                        Err(_) => Ok(None),
                    });
            match received {
                Ok(message) => return message,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }

    /// Sends as soon as there is room. A listener that is gone is noticed where its questions come from.
    pub async fn send(&self, message: &FromLookup) {
        while self.watch.writable().await.is_ok() {
            let sent = self.watch.try_io(Interest::WRITABLE, || {
                match self.channel.try_send(message, &[]) {
                    Err(ChannelError::System(Errno::EAGAIN)) => {
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                    _ => Ok(()),
                }
            });
            if !sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return;
            }
        }
    }
}
