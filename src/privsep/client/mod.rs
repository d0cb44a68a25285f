//! The roles of a program that calls a server: the session, which speaks TLS with it and sees what it sends, and the
//! keeper of a certificate, if there is one to show.
#![forbid(unsafe_code)]

pub mod keeper;
mod server;

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use self::server::OtherName;
use super::message::{Ending, Facts, ProverToKeeper, SessionReport, SessionToListener};
use super::role::{self, Confinement};
use super::sandbox;
use super::session::handshake::{farewell, handshake};
use super::session::relay::relay;
use super::session::starttls::{self, Command};
use super::session::{facts, finish};
use crate::relay::buffer::Scratch;
use crate::relay::plain::Pipes;
use crate::relay::pump::Pump;
use crate::sys::identity::Identity;
use crate::sys::stream::Stream;
use crate::sys::{descriptor, process};
use crate::tls::client::TrustFiles;
use crate::tls::environment::{self, Variables};
use crate::tls::material::Files;
use crate::tls::outward::Naming;
use crate::tls::provider;
use crate::tls::settings::Settings;
use crate::tls::stream::Tls;

/// Whose certificates are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Everybody's.
    Anybody,
    /// Those that lead to an authority in these files and folders; without any, to one that this system trusts.
    Authorities(TrustFiles),
}

/// What a session needs to know from the command line and the environment.
pub struct Orders {
    pub identity: Identity,
    pub tls: Settings,
    pub trust: Trust,
    /// How many certificates may stand between the server's and one that is trusted; `None`: as the library has it.
    pub depth: Option<u32>,
    /// The server as it was called by, a name or an address.
    pub host: String,
    pub naming: Naming,
    pub address: SocketAddr,
    /// Time for the handshake.
    pub handshake: Duration,
    /// Idle time while relaying.
    pub idle: Duration,
    /// The application wants `SSL_*`.
    pub environment: bool,
}

/// The descriptors of the connection.
pub struct Connection {
    pub server: TcpStream,
    /// Write end of the application's input.
    pub input: OwnedFd,
    /// Read end of the application's output.
    pub output: OwnedFd,
    pub report: SessionToListener,
    pub keeper: Option<ProverToKeeper>,
    /// Where the application says when TLS begins, if it is not at once.
    pub control: Option<OwnedFd>,
}

/// Why there is no TLS with the server.
enum Refusal {
    /// The system, a file, or a peer that does not speak TLS as we do.
    Failed(String),
    /// It is not whom it must be.
    Stranger(String),
}

/// Runs the session to its end, or that of its parent.
pub fn run(orders: &Orders, parent: Pid, opened: Files, connection: Connection) -> u8 {
    role::take_up(c"ssl-session");
    let Connection {
        server,
        input,
        output,
        report,
        keeper,
        control,
    } = connection;
    let pid = std::process::id();
    let tls = prepare(orders, parent, opened, keeper);
    let (mut tls, other_name) = match tls {
        Ok(prepared) => prepared,
        Err(reason) => {
            let _ = report.send(&SessionReport::Failed { pid, reason }, &[]);
            return 111;
        }
    };
    let mut asked_for_report = false;
    if let Some(control) = &control {
        match starttls::wait(control, &server, orders.idle) {
            Command::Start => {}
            Command::StartAndReport => asked_for_report = true,
            Command::None => finish(&report, (0, 0), Ending::Plain),
            Command::Idle => finish(&report, (0, 0), Ending::Idle),
        }
    }
    for end in [server.as_fd(), input.as_fd(), output.as_fd()] {
        // A descriptor that is open takes flags.
        let _ = descriptor::set_nonblocking(end);
    }
    let mut scratch = Scratch::new();
    let deadline = Instant::now() + orders.handshake;
    let shaken = handshake(&mut tls, &server, deadline, &mut scratch);
    if let Err(refusal) = server::judge(orders, &tls, &other_name, shaken) {
        let (message, code) = match refusal {
            Refusal::Failed(reason) => (SessionReport::Failed { pid, reason }, 111),
            Refusal::Stranger(reason) => (SessionReport::Refused { reason }, 110),
        };
        let _ = report.send(&message, &[]);
        farewell(&server);
        // An application that began in plain text shall not go on so.
        let _ = server.shutdown(std::net::Shutdown::Both);
        return code;
    }
    // The key has done its work, or is not wanted.
    provider::set_keeper(None);
    if let Some(control) = control.as_ref().filter(|_| asked_for_report) {
        starttls::report(control, &variables(&tls));
    }
    let environment = match orders.environment {
        true => variables(&tls),
        false => Vec::new(),
    };
    let established = SessionReport::Established {
        facts: Facts {
            name: orders.host.clone(),
            ..facts(&tls)
        },
        environment,
    };
    if report.send(&established, &[]).is_err() {
        let reason = "its certificates are too long to be told".into();
        let _ = report.send(&SessionReport::Failed { pid, reason }, &[]);
        process::leave(111);
    }
    let server = Stream::from(OwnedFd::from(server));
    let mut pump = Pump::new(tls, server, Pipes::new(input, output), &[]);
    pump.be_doubtful();
    let ending = match relay(&mut pump, orders.idle, &mut scratch) {
        Ending::Complete if pump.heard_cut() => Ending::Cut,
        other => other,
    };
    finish(&report, pump.counts(), ending)
}

/// Reads whom to trust, gives up everything that is not needed any more, and makes the connection's TLS.
fn prepare(
    orders: &Orders,
    parent: Pid,
    opened: Files,
    keeper: Option<ProverToKeeper>,
) -> Result<(Tls, OtherName), String> {
    openssl::init();
    let confinement = Confinement {
        root: None,
        identity: orders.identity,
    };
    role::confine(&confinement).map_err(|error| error.to_string())?;
    role::end_with(parent)?;
    let prepared = server::connection(orders, &opened, keeper)?;
    sandbox::confine_client()
        .map_err(|text| text.trim_start_matches("fatal: (111) ").to_owned())?;
    Ok(prepared)
}

fn variables(tls: &Tls) -> Vec<u8> {
    let mut variables = Variables::default();
    environment::session(&mut variables, tls.ssl());
    environment::server(&mut variables, tls.ssl());
    variables.bytes
}
