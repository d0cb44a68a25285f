//! The session: one process, one client. It speaks TLS with it, has no key, and sees nothing but its own five
//! descriptors. Whoever takes it over has one connection and at most one signature.
#![forbid(unsafe_code)]

pub(super) mod handshake;
pub mod keeper;
pub(super) mod relay;
pub mod starttls;

use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use openssl::ssl::SslContext;
use openssl::x509::X509;

pub(super) use self::handshake::FAREWELL;
use self::handshake::{farewell, handshake};
use self::keeper::RemoteKeeper;
pub(super) use self::relay::LINGER;
use self::relay::relay;
use self::starttls::Command;
use super::message::{Ending, Facts, SessionReport, SessionToKeeper, SessionToListener};
use crate::relay::buffer::Scratch;
use crate::relay::plain::Pipes;
use crate::relay::pump::Pump;
use crate::sys::stream::Stream;
use crate::sys::{descriptor, process};
use crate::tls::client::{self, Demand, Mismatch};
use crate::tls::environment::{self, Variables};
use crate::tls::stream::{Tls, TlsError};
use crate::tls::{choice, provider};

/// What is the same for all sessions of a terminator.
pub struct Service {
    pub context: SslContext,
    /// The server's certificates with their `SSL_SERVER_*` variables; empty if nobody wants them.
    pub certificates: Vec<(X509, Variables)>,
    pub settings: SessionSettings,
    /// What clients have to show.
    pub demand: Demand,
}

/// What the listener's options say about sessions.
#[derive(Clone)]
pub struct SessionSettings {
    /// Idle time while relaying, `-w`.
    pub idle: Duration,
    /// The application wants `SSL_*`.
    pub environment: bool,
    /// Time for a handshake that an application asks for, `-T`.
    pub handshake: Duration,
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
    /// Where the application says when TLS begins, if it is not at once.
    pub control: Option<OwnedFd>,
    /// What is known of the client.
    pub ip: IpAddr,
    pub host: Option<String>,
}

/// Serves one client from its first byte to its last.
pub fn run(service: &Service, connection: Connection, deadline: Instant) -> ! {
    let Connection {
        client,
        input,
        output,
        report,
        keeper,
        control,
        ip,
        host,
    } = connection;
    let settings = &service.settings;
    let mut deadline = deadline;
    // The channel stays open to the end: to the application its end is the sign of failure.
    let mut asked_for_report = false;
    if let Some(control) = &control {
        match starttls::wait(control, &client, settings.idle) {
            Command::Start => {}
            Command::StartAndReport => asked_for_report = true,
            Command::None => finish(&report, (0, 0), Ending::Plain),
            Command::Idle => finish(&report, (0, 0), Ending::Idle),
        }
        deadline = Instant::now() + settings.handshake;
    }
    for end in [client.as_fd(), input.as_fd(), output.as_fd()] {
        // A descriptor that is open takes flags.
        let _ = descriptor::set_nonblocking(end);
    }
    provider::set_keeper(Some(Box::new(RemoteKeeper::new(keeper))));
    let mut scratch = Scratch::new();
    let tls = Tls::new(&service.context).map_err(|stack| TlsError(stack.to_string()));
    let tls = tls.and_then(|mut tls| {
        handshake(&mut tls, &client, deadline, &mut scratch)?;
        Ok(tls)
    });
    let tls = match tls {
        Ok(tls) => tls,
        Err(TlsError(reason)) => {
            let pid = std::process::id();
            // If the listener is gone nobody wants to know.
            let _ = report.send(&SessionReport::Failed { pid, reason }, &[]);
            farewell(&client);
            process::leave(111);
        }
    };
    if service.demand == Demand::Named
        && let Err(reason) = check_name(&tls, host.as_deref(), ip)
    {
        let _ = report.send(&SessionReport::Refused { reason }, &[]);
        farewell(&client);
        process::leave(110);
    }
    // The keeper need not keep a place for us any longer.
    provider::set_keeper(None);
    if let Some(control) = control.as_ref().filter(|_| asked_for_report) {
        starttls::report(control, &variables(&tls, &service.certificates));
    }
    let established = SessionReport::Established {
        facts: facts(&tls),
        environment: match settings.environment {
            true => variables(&tls, &service.certificates),
            false => Vec::new(),
        },
    };
    if report.send(&established, &[]).is_err() {
        process::leave(111);
    }
    let client = Stream::from(OwnedFd::from(client));
    let mut pump = Pump::new(tls, client, Pipes::new(input, output), &[]);
    pump.hold();
    let ending = relay(&mut pump, settings.idle, &mut scratch);
    finish(&report, pump.counts(), ending)
}

/// Says how it ended, and leaves.
pub(super) fn finish(
    report: &SessionToListener,
    (received, sent): (u64, u64),
    ending: Ending,
) -> ! {
    let finished = SessionReport::Finished {
        received,
        sent,
        ending,
    };
    let _ = report.send(&finished, &[]);
    process::leave(0)
}

/// With `-z`: the certificate is the client's own. Also after a resumption, which checks no certificate again.
pub(super) fn check_name(tls: &Tls, host: Option<&str>, ip: IpAddr) -> Result<(), String> {
    let pid = std::process::id();
    let Some(certificate) = tls.ssl().peer_certificate() else {
        return Err(format!("no client certificate from: {ip} for pid: {pid}"));
    };
    client::check_names(&certificate, host, ip).map_err(|mismatch| match mismatch {
        Mismatch::NoHost => format!(
            "no host name known to compare the client certificate with from: {ip} for pid: {pid}"
        ),
        Mismatch::Other(name) => {
            let host = host.unwrap_or_default();
            format!("client hostname does not match certificate for pid: {pid} {host} <=> {name}")
        }
    })
}

/// What TLS agreed on.
pub fn facts(tls: &Tls) -> Facts {
    let ssl = tls.ssl();
    let (cipher, name) = (ssl.current_cipher(), choice::asked(ssl));
    Facts {
        protocol: ssl.version_str().into(),
        cipher: cipher.map_or("", |cipher| cipher.name()).into(),
        group: provider::group(ssl).unwrap_or_default().into(),
        name: name.map(String::from_utf8_lossy).unwrap_or_default().into(),
        resumed: ssl.session_reused(),
    }
}

/// What the application learns of TLS: `SSL_*`, each closed by NUL.
pub(super) fn variables(tls: &Tls, certificates: &[(X509, Variables)]) -> Vec<u8> {
    let mut variables = Variables::default();
    environment::session(&mut variables, tls.ssl());
    // The one that the client's algorithms chose.
    let chosen = tls.ssl().certificate().and_then(|chosen| {
        let mut all = certificates.iter();
        all.find(|(certificate, _)| **certificate == *chosen)
    });
    match (chosen, tls.ssl().certificate()) {
        (Some((_, server)), _) => variables.bytes.extend(&server.bytes),
        // One that was chosen by name.
        (None, Some(named)) => environment::certificate(&mut variables, "SSL_SERVER", named),
        (None, None) => {}
    }
    environment::client(&mut variables, tls.ssl());
    variables.bytes
}
