//! The session: one process, one client. It speaks TLS with it, has no key, and sees nothing but its own five
//! descriptors. Whoever takes it over has one connection and at most one signature.
#![forbid(unsafe_code)]

use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use openssl::ssl::{SslContext, SslContextRef};
use openssl::x509::X509;

use super::message::{Ending, SessionReport, SessionToKeeper, SessionToListener, SignRequest};
use crate::relay::buffer::Scratch;
use crate::relay::pump::Pump;
use crate::sys::socket::is_temporary;
use crate::sys::{descriptor, heap, process, words};
use crate::tls::environment::{self, Variables};
use crate::tls::provider;
use crate::tls::stream::{Tls, TlsError};

/// How long a client may hang on after the application is done and has been heard.
const LINGER: Duration = Duration::from_secs(5);
/// How long a client that failed the handshake may take to read why.
const FAREWELL: Duration = Duration::from_millis(500);
/// After so much quiet the memory of the last batch is given back.
const QUIET: Duration = Duration::from_millis(250);
/// A keeper that does not sign in this time is dead.
const KEEPER_PATIENCE: Duration = Duration::from_secs(10);

/// What is the same for all sessions of a terminator.
pub struct Service {
    pub context: SslContext,
    /// The server's certificates with their `SSL_SERVER_*` variables; empty if nobody wants them.
    pub certificates: Vec<(X509, Variables)>,
    pub settings: SessionSettings,
}

/// What the listener's options say about sessions.
#[derive(Clone)]
pub struct SessionSettings {
    /// Idle time while relaying, `-w`.
    pub idle: Duration,
    /// The application wants `SSL_*`.
    pub environment: bool,
}

/// The descriptors of one connection.
pub struct Connection {
    pub client: TcpStream,
    /// Write end of the application's input.
    pub input: OwnedFd,
    /// Read end of the application's output.
    pub output: OwnedFd,
    pub report: SessionToListener,
    pub keeper: SessionToKeeper,
}

/// Serves one client from its first byte to its last.
pub fn run(service: &Service, connection: Connection, deadline: Instant) -> ! {
    let Connection {
        client,
        input,
        output,
        report,
        keeper,
    } = connection;
    for end in [client.as_fd(), input.as_fd(), output.as_fd()] {
        // A descriptor that is open takes flags.
        let _ = descriptor::set_nonblocking(end);
    }
    sign_with(keeper);
    let mut scratch = Scratch::new();
    let tls = match handshake(&service.context, &client, deadline, &mut scratch) {
        Ok(tls) => tls,
        Err(TlsError(reason)) => {
            let pid = std::process::id();
            // If the listener is gone nobody wants to know.
            let _ = report.send(&SessionReport::Failed { pid, reason }, &[]);
            farewell(&client);
            process::leave(111);
        }
    };
    let established = SessionReport::Established {
        summary: summary(&tls),
        environment: match service.settings.environment {
            true => variables(&tls, &service.certificates),
            false => Vec::new(),
        },
    };
    if report.send(&established, &[]).is_err() {
        process::leave(111);
    }
    let mut pump = Pump::new(tls, client, input, output);
    let ending = relay(&mut pump, service.settings.idle, &mut scratch);
    let (received, sent) = pump.counts();
    let finished = SessionReport::Finished {
        received,
        sent,
        ending,
    };
    let _ = report.send(&finished, &[]);
    process::leave(0)
}

/// From now on the handshake of this process is signed by the keeper at the other end.
pub fn sign_with(keeper: SessionToKeeper) {
    provider::set_signer(Box::new(move |key, scheme, message| {
        ask(&keeper, key, scheme, message)
    }));
}

/// Has one message signed by the keeper.
fn ask(keeper: &SessionToKeeper, key: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>> {
    let request = SignRequest {
        key,
        scheme,
        message: message.to_vec(),
    };
    keeper.send(&request, &[]).ok()?;
    let (reply, _) = keeper.receive_within(KEEPER_PATIENCE).ok()?;
    Some(reply.signature)
}

fn handshake(
    context: &SslContextRef,
    client: &TcpStream,
    deadline: Instant,
    scratch: &mut Scratch,
) -> Result<Tls, TlsError> {
    let mut tls = Tls::new(context).map_err(|stack| TlsError(stack.to_string()))?;
    loop {
        let step = tls.handshake();
        // Answers and alerts alike must leave before the verdict counts.
        send(&mut tls, client, deadline)?;
        if step? {
            return Ok(tls);
        }
        wait(client, PollFlags::POLLIN, deadline)?;
        match std::io::Read::read(&mut &*client, &mut scratch.wire) {
            Ok(0) => tls.wire().ended = true,
            Ok(count) => tls.wire().input.append(&scratch.wire[..count]),
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(TlsError(words::reason(&error))),
        }
    }
}

fn send(tls: &mut Tls, client: &TcpStream, deadline: Instant) -> Result<(), TlsError> {
    while !tls.wire().output.is_empty() {
        match std::io::Write::write(&mut &*client, tls.wire().output.as_slice()) {
            Ok(count) => tls.wire().output.consume(count),
            Err(error) if is_temporary(&error) => wait(client, PollFlags::POLLOUT, deadline)?,
            Err(error) => return Err(TlsError(words::reason(&error))),
        }
    }
    Ok(())
}

fn wait(client: &TcpStream, events: PollFlags, deadline: Instant) -> Result<(), TlsError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(TlsError("timed out".into()));
    }
    descriptor::wait([Some((client.as_fd(), events))], left)
        .map_err(|errno| TlsError(errno.desc().into()))?;
    Ok(())
}

/// Lets the client read the alert: closing with bytes unread would take it back.
fn farewell(client: &TcpStream) {
    if client.shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let deadline = Instant::now() + FAREWELL;
    let mut waste = [0; 4096];
    while wait(client, PollFlags::POLLIN, deadline).is_ok() {
        match std::io::Read::read(&mut &*client, &mut waste) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if is_temporary(&error) => {}
            Err(_) => return,
        }
    }
}

fn relay(pump: &mut Pump, idle: Duration, scratch: &mut Scratch) -> Ending {
    let mut verdict = pump.start(scratch);
    let mut lingering: Option<Instant> = None;
    let mut quiet_since = Instant::now();
    let mut released = false;
    loop {
        if let Err(TlsError(reason)) = verdict {
            return Ending::Broken(reason);
        }
        if pump.is_complete() {
            return match pump.client_gone() {
                Some(reason) => Ending::ClientGone(reason.to_owned()),
                None => Ending::Complete,
            };
        }
        let now = Instant::now();
        if pump.is_lingering() && lingering.is_none() {
            lingering = Some(now + LINGER);
        }
        let end = lingering.map_or(quiet_since + idle, |end| end.min(quiet_since + idle));
        let left = end.saturating_duration_since(now);
        if left.is_zero() {
            match (lingering, pump.has_input()) {
                // The application was heard to the end; a client that never closes is its own affair.
                (Some(_), _) => return Ending::Complete,
                // First the application is told that nothing more comes; it may have something to say to that.
                (None, true) => pump.end_input(),
                (None, false) => return Ending::Idle,
            }
            quiet_since = now;
            continue;
        }
        let pause = if released { left } else { left.min(QUIET) };
        let ready = match descriptor::wait(pump.interest(), pause) {
            Ok(ready) => ready,
            Err(errno) => return Ending::Broken(errno.desc().into()),
        };
        if ready
            .iter()
            .any(|one| one.readable || one.writable || one.broken)
        {
            if released {
                *scratch = Scratch::new();
                released = false;
            }
            quiet_since = Instant::now();
            verdict = pump.turn(ready, scratch);
        } else if !released {
            released = true;
            pump.release();
            *scratch = Scratch {
                wire: Vec::new(),
                plain: Vec::new(),
            };
            heap::trim();
        }
    }
}

fn summary(tls: &Tls) -> String {
    let cipher = tls
        .ssl()
        .current_cipher()
        .map_or("", |cipher| cipher.name());
    format!("{}:{cipher}", tls.ssl().version_str())
}

fn variables(tls: &Tls, certificates: &[(X509, Variables)]) -> Vec<u8> {
    let mut variables = Variables::default();
    environment::session(&mut variables, tls.ssl());
    // The one that the client's algorithms chose.
    let chosen = tls.ssl().certificate().and_then(|chosen| {
        let mut all = certificates.iter();
        all.find(|(certificate, _)| **certificate == *chosen)
    });
    if let Some((_, server)) = chosen {
        variables.bytes.extend(&server.bytes);
    }
    variables.bytes
}
