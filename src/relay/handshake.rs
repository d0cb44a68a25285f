//! A handshake step by step, for those who have many under way and never wait for one.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use super::buffer::Scratch;
use super::pump::Readiness;
use crate::sys::stream::Stream;
use crate::tls::stream::{Shake, Tls, TlsError};

/// Goes on as far as what the peer has sent reaches. What is made of it is to be sent whatever comes of it: answers and
/// alerts alike must leave before the verdict counts.
pub fn advance(
    tls: &mut Tls,
    peer: &Stream,
    ready: &mut Readiness,
    scratch: &mut Scratch,
) -> Result<Shake, TlsError> {
    if ready.readable && !tls.wire().ended {
        match peer.read(&mut scratch.wire) {
            Ok(0) => {
                ready.readable = false;
                tls.wire().ended = true;
            }
            Ok(count) => {
                ready.drained(count < scratch.wire.len());
                scratch.hand_wire(&mut tls.wire().input, count);
            }
            Err(Errno::EAGAIN) => ready.readable = false,
            Err(errno) => return Err(TlsError(errno.desc().into())),
        }
    }
    let step = tls.handshake();
    scratch.take_wire_back(&mut tls.wire().input);
    step.map_err(|error| tls.explain(error))
}

/// Sends what is made, as far as there is room. A flight is a few kilobytes, for which there nearly always is.
pub fn send(tls: &mut Tls, peer: &Stream, ready: &mut Readiness) -> Result<(), Errno> {
    while !tls.wire().output.is_empty() {
        match peer.write(tls.wire().output.as_slice()) {
            Ok(count) => tls.wire().output.consume(count),
            Err(Errno::EAGAIN) => {
                ready.writable = false;
                return Ok(());
            }
            Err(errno) => return Err(errno),
        }
    }
    tls.wire().output.release();
    Ok(())
}

/// The peer's socket, if it has no room for what is to be sent.
pub fn blocked<'a>(tls: &mut Tls, peer: &'a Stream) -> Option<BorrowedFd<'a>> {
    (!tls.wire().output.is_empty()).then(|| peer.as_fd())
}
