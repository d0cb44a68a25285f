//! A channel as a task waits for it, for roles that have many things under way at once.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net;

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::channel::{Channel, ChannelError, Message};
use crate::sys::descriptor;

pub struct Line<Out, In> {
    channel: Channel<Out, In>,
    /// The same socket once more. The runtime knows no SOCK_SEQPACKET, but to wait for one it need not.
    watch: UnixDatagram,
}

impl<Out: Message, In: Message> Line<Out, In> {
    /// To be called where the runtime runs.
    pub fn new(channel: Channel<Out, In>) -> io::Result<Line<Out, In>> {
        let copy = channel.as_fd().try_clone_to_owned()?;
        descriptor::set_nonblocking(copy.as_fd())?;
        let watch = UnixDatagram::from_std(net::UnixDatagram::from(copy))?;
        Ok(Line { channel, watch })
    }

    /// The next message; `None` when the other end is gone or broke its word.
    pub async fn receive(&self) -> Option<(In, Vec<OwnedFd>)> {
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

    /// Sends as soon as there is room. An end that is gone is noticed where its messages come from.
    pub async fn send(&self, message: &Out) {
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
