//! The handshake of a session, from the first byte, within its time.
#![forbid(unsafe_code)]

use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use openssl::ssl::SslVersion;

use crate::relay::buffer::Scratch;
use crate::sys::socket::is_temporary;
use crate::sys::{descriptor, words};
use crate::tls::stream::{Shake, Tls, TlsError};

/// How long a peer that failed the handshake may take to read why.
pub const FAREWELL: Duration = Duration::from_millis(500);

/// Shakes hands over this connection, which must be non-blocking. A server's ticket of TLS 1.3 is left to go with the
/// first data.
pub fn handshake(
    tls: &mut Tls,
    peer: &TcpStream,
    deadline: Instant,
    scratch: &mut Scratch,
) -> Result<(), TlsError> {
    loop {
        let step = tls.handshake();
        // Answers and alerts alike must leave before the verdict counts. A server's ticket of TLS 1.3 may wait.
        let ssl = tls.ssl();
        let is_ticket = ssl.is_server() && ssl.version2() == Some(SslVersion::TLS1_3);
        if !(is_ticket && step == Ok(Shake::Done)) {
            send(tls, peer, deadline)?;
        }
        match step {
            Ok(Shake::Done) => return Ok(()),
            // A session keeps no others' sessions, so it is never suspended.
            Ok(Shake::More | Shake::Suspended) => {}
            Err(error) => return Err(tls.explain(error)),
        }
        wait(peer, PollFlags::POLLIN, deadline)?;
        match std::io::Read::read(&mut &*peer, &mut scratch.wire) {
            Ok(0) => tls.wire().ended = true,
            Ok(count) => tls.wire().input.append(&scratch.wire[..count]),
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(TlsError(words::reason(&error))),
        }
    }
}

fn send(tls: &mut Tls, peer: &TcpStream, deadline: Instant) -> Result<(), TlsError> {
    while !tls.wire().output.is_empty() {
        match std::io::Write::write(&mut &*peer, tls.wire().output.as_slice()) {
            Ok(count) => tls.wire().output.consume(count),
            Err(error) if is_temporary(&error) => wait(peer, PollFlags::POLLOUT, deadline)?,
            Err(error) => return Err(TlsError(words::reason(&error))),
        }
    }
    Ok(())
}

fn wait(peer: &TcpStream, events: PollFlags, deadline: Instant) -> Result<(), TlsError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(TlsError("timed out".into()));
    }
    descriptor::wait([Some((peer.as_fd(), events))], left)
        .map_err(|errno| TlsError(errno.desc().into()))?;
    Ok(())
}

/// Lets the peer read the alert: closing with bytes unread would take it back.
pub fn farewell(peer: &TcpStream) {
    if peer.shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let deadline = Instant::now() + FAREWELL;
    let mut waste = [0; 4096];
    while wait(peer, PollFlags::POLLIN, deadline).is_ok() {
        match std::io::Read::read(&mut &*peer, &mut waste) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if is_temporary(&error) => {}
            Err(_) => return,
        }
    }
}
