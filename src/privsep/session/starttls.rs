//! The channel on which an application says when TLS begins: ucspi-tls, `-n`. Until then the client and the
//! application talk past this process in plain text.
#![forbid(unsafe_code)]

use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, send};

use crate::sys::{descriptor, socket};

/// What the application said.
pub enum Command {
    /// `y`
    Start,
    /// `Y`: and it wants to know what was agreed on.
    StartAndReport,
    /// Anything else, or the end of the channel.
    None,
    /// Nothing, while the connection was idle for too long.
    Idle,
}

/// Waits for the command, as long as the plain connection moves now and then.
pub fn wait(control: &OwnedFd, client: &TcpStream, idle: Duration) -> Command {
    let mut end = Instant::now() + idle;
    loop {
        let now = Instant::now();
        let left = end.saturating_duration_since(now);
        if left.is_zero() {
            match rest(client, idle) {
                Some(rest) => end = now + rest,
                None => return Command::Idle,
            }
            continue;
        }
        let [ready] = match descriptor::wait([Some((control.as_fd(), PollFlags::POLLIN))], left) {
            Ok(ready) => ready,
            Err(_) => return Command::None,
        };
        if ready.readable
            && let Some(command) = hear(control)
        {
            return command;
        }
    }
}

/// What the application has said, if it has.
pub fn hear(control: &OwnedFd) -> Option<Command> {
    let mut command = [0];
    match nix::unistd::read(control, &mut command) {
        Err(Errno::EINTR | Errno::EAGAIN) => None,
        Ok(1) if command == *b"y" => Some(Command::Start),
        Ok(1) if command == *b"Y" => Some(Command::StartAndReport),
        _ => Some(Command::None),
    }
}

/// How long the plain connection may still be quiet, if it has not been for so long. What moves in plain text only the
/// kernel sees.
pub fn rest(client: impl AsFd, idle: Duration) -> Option<Duration> {
    let rest = idle.checked_sub(socket::quiet_for(client));
    rest.filter(|rest| !rest.is_zero())
}

/// Tells the application what was agreed on: the variables, each closed by NUL, and one more NUL. The channel holds
/// more than the longest; an application that does not want them any more gets nothing.
pub fn report(control: &OwnedFd, variables: &[u8]) {
    let mut block = variables.to_vec();
    block.push(0);
    if variables.is_empty() {
        block.push(0);
    }
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let _ = send(control.as_raw_fd(), &block, flags);
}
