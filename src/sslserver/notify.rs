//! Telling whoever supervises the server where it stands: systemd over NOTIFY_SOCKET, s6 by a newline on NOTIFYFD. The
//! service is there whether they hear it or not, so that a failure is a line in the log and nothing more.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::log::Log;
use crate::sys::notify::Manager;
use crate::sys::{descriptor, words};

pub struct Notify {
    manager: Option<Manager>,
    /// Closed after the newline.
    newline: Option<OwnedFd>,
}

impl Notify {
    /// `name`: the value of NOTIFY_SOCKET.
    pub fn new(name: Option<&[u8]>, newline: Option<OwnedFd>, log: &Log) -> Notify {
        let manager = name.and_then(|name| {
            let manager = Manager::named(name);
            let whom = format!("NOTIFY_SOCKET={}", words::field(name));
            manager.map_err(|error| failed(log, &whom, &error)).ok()
        });
        Notify { manager, newline }
    }

    /// Connections are accepted, for the first time or again after [`Notify::reloading`].
    pub fn ready(&mut self, log: &Log) {
        self.tell(log, |manager| manager.ready("accepting connections"));
        if let Some(end) = self.newline.take()
            && let Err(errno) = write_newline(&end)
        {
            failed(log, "NOTIFYFD", &errno.into());
        }
    }

    /// Keys are read again; [`Notify::ready`] says when that is over, whatever came of it.
    pub fn reloading(&self, log: &Log) {
        self.tell(log, |manager| manager.reloading("reading keys again"));
    }

    /// No more connections are accepted; so many are left. That is the last word.
    pub fn stopping(&mut self, log: &Log, left: usize) {
        let status = format!("ending, {left} connections left");
        self.tell(log, |manager| manager.stopping(&status));
        self.manager = None;
    }

    fn tell(&self, log: &Log, what: impl FnOnce(&Manager) -> io::Result<()>) {
        if let Some(Err(error)) = self.manager.as_ref().map(what) {
            failed(log, "NOTIFY_SOCKET", &error);
        }
    }
}

fn failed(log: &Log, whom: &str, error: &io::Error) {
    let reason = words::reason(error);
    log.warning(format_args!("unable to tell {whom}: {reason}"));
}

/// The other end is a pipe in most cases, and may be anything: it is not waited for.
fn write_newline(end: &OwnedFd) -> Result<(), Errno> {
    let wanted = Some((end.as_fd(), PollFlags::POLLOUT));
    let [ready] = descriptor::wait([wanted], Duration::ZERO)?;
    match ready.is_any() {
        true => nix::unistd::write(end, b"\n").map(drop),
        false => Err(Errno::EAGAIN),
    }
}
