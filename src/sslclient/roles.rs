//! Starting the roles, each with what it needs and nothing else.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, pipe2};

use super::config::Config;
use super::options::Options;
use crate::privsep::client::{self, Connection, Orders, Trust, keeper};
use crate::privsep::lookup;
use crate::privsep::message::{
    Answer, FromKeeper, FromLookup, KeeperToListener, KeeperToProver, ListenerToKeeper,
    ListenerToLookup, ListenerToSession, LookupToListener, ProverToKeeper, SessionToListener,
    ToLookup, Wanted,
};
use crate::privsep::role::Confinement;
use crate::sys::process;
use crate::tls::material::{Files, PairFiles};
use crate::ucspi::error::Error;
use crate::ucspi::log::Log;

/// Reading a password takes as long as the keeper allows it, and a bit.
const KEEPER_PATIENCE: Duration = Duration::from_secs(150);
/// The lookup process keeps the times; beyond this it is taken for dead.
const GRACE: Duration = Duration::from_secs(2);

fn system(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::fatal(format_args!("{what}: {}", errno.desc()))
}

/// Starts the keeper of our certificate and waits until it has read it. The session's way to it comes back.
pub fn start_keeper(
    config: &Config,
    pair: &PairFiles,
    password: Option<OwnedFd>,
    log: &Log,
) -> Result<ProverToKeeper, Error> {
    let failed = system("unable to start the keeper");
    let (channel, parent) = ListenerToKeeper::pair().map_err(&failed)?;
    let (ours, session) = ProverToKeeper::pair().map_err(&failed)?;
    let orders = keeper::Orders {
        identity: config.identity,
        pair: pair.clone(),
        oldest: config.tls.min,
    };
    let (paths, files): (Vec<_>, Vec<_>) = config
        .open([&pair.certificate, &pair.key])
        .opened
        .into_iter()
        .unzip();
    let has_password = password.is_some();
    let mut keep = vec![parent.into_end(), session.into_end()];
    keep.extend(password);
    keep.extend(files.into_iter().map(OwnedFd::from));
    let body = |ends: Vec<OwnedFd>| {
        let mut ends = ends.into_iter();
        let (Some(parent), Some(session)) = (ends.next(), ends.next()) else {
            return 111;
        };
        let password = if has_password { ends.next() } else { None };
        let opened = paths.into_iter().zip(ends.map(Into::into)).collect();
        let given = keeper::Given {
            parent: KeeperToListener::from_end(parent),
            session: KeeperToProver::from_end(session),
            password,
            opened: Files { opened },
        };
        keeper::run(&orders, given)
    };
    process::fork_role(keep, body).map_err(|(errno, _)| failed(errno))?;
    let deadline = Instant::now() + KEEPER_PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match channel.receive_within(left) {
            Ok((FromKeeper::Loaded { .. }, _)) => return Ok(ours),
            Ok((FromKeeper::Warning(text), _)) => log.warning(text),
            Ok((FromKeeper::Fatal(text), _)) => return Err(Error::Fatal(text)),
            // Of no meaning here.
            Ok(_) => {}
            Err(error) => return Err(Error::fatal(format_args!("keeper: {error}"))),
        }
    }
}

/// The application's ends, and the session's.
pub struct Kit {
    /// The application's input and output.
    pub input: OwnedFd,
    pub output: OwnedFd,
    /// Where the application says when TLS begins, if it is not at once.
    pub control: Option<OwnedFd>,
    pub reports: ListenerToSession,
}

/// Starts the session, which speaks TLS over this connection.
pub fn start_session(
    options: &Options,
    config: Config,
    (host, address): (String, SocketAddr),
    server: &TcpStream,
    keeper: Option<ProverToKeeper>,
) -> Result<Kit, Error> {
    let failed = system("unable to start the session");
    let (stdin, input) = pipe2(OFlag::O_CLOEXEC).map_err(&failed)?;
    let (output, stdout) = pipe2(OFlag::O_CLOEXEC).map_err(&failed)?;
    let (reports, report) = ListenerToSession::pair().map_err(&failed)?;
    let stream = || {
        let (family, kind) = (AddressFamily::Unix, SockType::Stream);
        socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC)
    };
    let (control, far) = options
        .delayed
        .then(stream)
        .transpose()
        .map_err(&failed)?
        .unzip();
    let named = match &config.trust {
        Trust::Anybody => Vec::new(),
        Trust::Authorities(files) => files.anchors.iter().chain(&files.revoked).collect(),
    };
    let (paths, files): (Vec<_>, Vec<_>) = config.open(named).opened.into_iter().unzip();
    let (first, second) = options.connect;
    let orders = Orders {
        identity: config.identity,
        tls: config.tls,
        trust: config.trust,
        depth: config.depth,
        host,
        naming: crate::tls::outward::Naming {
            tell: options.tell_name,
            check: options.verify && options.check_name,
        },
        address,
        handshake: first + second,
        idle: options.common.idle,
        environment: options.common.ssl_environment && !options.delayed,
    };
    let server = server
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| Error::fatal(format_args!("unable to start the session: {error}")))?;
    let mut keep = vec![server, input, output, report.into_end()];
    let (has_keeper, has_control) = (keeper.is_some(), far.is_some());
    keep.extend(keeper.map(ProverToKeeper::into_end));
    keep.extend(far);
    keep.extend(files.into_iter().map(OwnedFd::from));
    let parent = Pid::this();
    let body = |ends: Vec<OwnedFd>| {
        let mut ends = ends.into_iter();
        let mut next = |wanted: bool| if wanted { ends.next() } else { None };
        let (Some(server), Some(input), Some(output), Some(report)) =
            (next(true), next(true), next(true), next(true))
        else {
            return 111;
        };
        let connection = Connection {
            server: TcpStream::from(server),
            input,
            output,
            report: SessionToListener::from_end(report),
            keeper: next(has_keeper).map(ProverToKeeper::from_end),
            control: next(has_control),
        };
        let opened = paths.into_iter().zip(ends.map(Into::into)).collect();
        client::run(&orders, parent, Files { opened }, connection)
    };
    process::fork_role(keep, body).map_err(|(errno, _)| failed(errno))?;
    Ok(Kit {
        input: stdin,
        output: stdout,
        control,
        reports,
    })
}

/// A question that was asked, and when its answer is late.
pub struct Question {
    channel: ListenerToLookup,
    due: Instant,
}

/// Has the names of both ends, and the user at the other, looked up as far as they are wanted. Without a process for it
/// nothing is known.
pub fn ask(
    options: &Options,
    config: &Config,
    local: SocketAddr,
    remote: SocketAddr,
) -> Option<Question> {
    let wanted = Wanted {
        remote_name: options.common.lookup,
        remote_info: options.common.ident,
        local_name: options.common.lookup && options.common.local_name.is_none(),
        ..Wanted::default()
    };
    if wanted == Wanted::default() {
        return None;
    }
    let orders = lookup::Orders {
        confinement: Confinement {
            root: None,
            identity: config.identity,
        },
        servers: config.servers.clone(),
        patience: options.common.lookup_time,
        header_patience: Duration::ZERO,
        limit: 1,
        ident_port: lookup::IDENT_PORT,
    };
    let (channel, end) = ListenerToLookup::pair().ok()?;
    let body = |mut ends: Vec<OwnedFd>| match ends.pop() {
        Some(end) => lookup::run(&orders, LookupToListener::from_end(end)),
        None => 111,
    };
    process::fork_role(vec![end.into_end()], body).ok()?;
    let question = ToLookup {
        number: 0,
        wanted,
        local,
        remote,
    };
    channel.try_send(&question, &[]).ok()?;
    Some(Question {
        channel,
        due: Instant::now() + options.common.lookup_time + GRACE,
    })
}

impl Question {
    /// Waits for what could be found out in time.
    pub fn answer(self, log: &Log) -> Answer {
        loop {
            let left = self.due.saturating_duration_since(Instant::now());
            match self.channel.receive_within(left) {
                Ok((FromLookup::Answer { answer, .. }, _)) => return answer,
                Ok((FromLookup::Ready, _)) => {}
                Ok((FromLookup::Fatal(text), _)) => log.warning(text),
                Err(_) => return Answer::nothing(),
            }
        }
    }
}
