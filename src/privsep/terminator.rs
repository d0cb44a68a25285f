//! The terminator: holds the TLS context without a key, unprivileged and confined, and forks a session for each
//! connection that the listener hands it. It never reads from a client itself.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use openssl::x509::{X509, X509Crl};

use super::channel::ChannelError;
use super::message::{
    ConnectionOrder, FromTerminator, NewSession, PublicPart, SessionReport, SessionToKeeper,
    SessionToListener, TerminatorToKeeper, TerminatorToListener, ToTerminator,
};
use super::role::{self, Confinement};
use super::sandbox;
use super::session::keeper::RemoteKeeper;
use super::session::{self, Connection, Service, SessionSettings};
use crate::sys::{code, heap, process, signal};
use crate::tls::client::Demand;
use crate::tls::context::{self, PublicParts, Purpose, Refused};
use crate::tls::environment::{self, Variables};
use crate::tls::settings::Settings;
use crate::tls::{provider, rehearsal};

/// The keeper has everything in memory; a pause this long means that it is dead.
const KEEPER_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between tries to make a process when there are none to be had.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);
/// Pause while the keeper takes up what it was sent.
const CROWDED_PAUSE: Duration = Duration::from_millis(2);

/// What the terminator needs to know from the listener's options.
#[derive(Clone)]
pub struct Orders {
    pub confinement: Confinement,
    pub tls: Settings,
    pub session: SessionSettings,
    pub demand: Demand,
    /// Somebody may ask for `SSL_*`.
    pub wants_variables: bool,
}

/// Runs the terminator to its end, which is the listener's.
pub fn run(orders: &Orders, listener: TerminatorToListener, keeper: TerminatorToKeeper) -> u8 {
    role::take_up(c"ssl-terminator");
    heap::keep_large_apart();
    // Sessions report to the listener; nobody waits for their exit codes.
    signal::ignore(&[nix::sys::signal::Signal::SIGCHLD]);
    let mut keeper = Tutor::new(keeper);
    let service = match prepare(orders, &mut keeper) {
        Ok(service) => service,
        Err(text) => {
            let _ = listener.send(&FromTerminator::Fatal(text), &[]);
            return 111;
        }
    };
    heap::settle();
    if listener.send(&FromTerminator::Ready, &[]).is_err() {
        return 0;
    }
    let mut services = HashMap::from([(0, Ok(service))]);
    // Ends when the listener does, or breaks its word.
    while let Ok((order, ends)) = listener.receive() {
        match order {
            ToTerminator::Set {
                number,
                settings,
                demand,
                scope,
            } => {
                let service = serve(orders, &mut keeper, number, &settings, demand, &scope);
                services.insert(number, service);
            }
            // Sessions finish by themselves.
            ToTerminator::Drain => return 0,
            ToTerminator::Connection(order) => {
                let Some(ends) = Ends::sort(ends) else {
                    continue;
                };
                match services.get(&order.set) {
                    Some(Ok(service)) => start(service, &listener, &keeper.channel, order, ends),
                    Some(Err(reason)) => give_up(ends.report, reason),
                    None => give_up(ends.report, "no such set of keys"),
                }
            }
        }
    }
    0
}

fn prepare(orders: &Orders, keeper: &mut Tutor) -> Result<Service, String> {
    // The library reads its configuration file, so before the root changes.
    openssl::init();
    // Most of what a session runs is the library's.
    code::into_huge_pages();
    role::confine(&orders.confinement).map_err(|error| format!("fatal: (111) {error}"))?;
    let service = serve(orders, keeper, 0, &orders.tls, orders.demand, "")
        .map_err(|text| format!("error: (111) {text}"))?;
    rehearsal::rehearse(&service.context, || {
        let keeper = introduce(&keeper.channel).ok().map(RemoteKeeper::new);
        provider::set_keeper(keeper.map(|keeper| Box::new(keeper) as Box<dyn provider::Keeper>));
    });
    // The last channel of the rehearsal must not be there to be dropped in a session.
    provider::set_keeper(None);
    sandbox::confine_terminator()?;
    Ok(service)
}

/// Learns a set of keys and makes what its sessions need.
pub(super) fn serve(
    orders: &Orders,
    keeper: &mut Tutor,
    set: u32,
    settings: &Settings,
    demand: Demand,
    scope: &str,
) -> Result<Service, String> {
    let refused = |refused: Refused| refused.to_string();
    let parts = keeper.learn(set)?;
    // One set may ask more of clients than another, and whom it trusted it may trust no more.
    let trust = parts.trust().map_err(|stack| stack.to_string())?;
    let scope = format!("sslserver{scope} {trust}");
    let frontend = parts.finish(demand).map_err(refused)?;
    let mut certificates = Vec::new();
    if orders.wants_variables {
        for &place in &frontend.default {
            let identity = frontend.index.catalogue().identity(place);
            let identity = identity.map_err(|stack| stack.to_string())?;
            let mut variables = Variables::default();
            environment::certificate(&mut variables, "SSL_SERVER", identity.leaf());
            certificates.push((identity.leaf().to_owned(), variables));
        }
    }
    let purpose = Purpose {
        scope: &scope,
        settings,
        // Another process would be needed for each further connection, so that few clients make any.
        tickets: 1,
        sessions: None,
    };
    Ok(Service {
        context: context::server(frontend, purpose).map_err(refused)?,
        certificates,
        settings: orders.session.clone(),
        demand,
    })
}

/// The keeper as the teacher of what everybody may know.
pub struct Tutor {
    pub channel: TerminatorToKeeper,
    /// How many keys there were so far: each has a number of its own, though they are counted anew in each set.
    keys: u16,
}

impl Tutor {
    pub fn new(channel: TerminatorToKeeper) -> Tutor {
        Tutor { channel, keys: 0 }
    }

    /// Receives the public parts of a set.
    pub fn learn(&mut self, wanted: u32) -> Result<PublicParts, String> {
        let bad = |stack| format!("unable to load certificate: {stack}");
        let mut parts = PublicParts::default();
        let first = self.keys;
        loop {
            let (part, _) = self
                .channel
                .receive_within(KEEPER_PATIENCE)
                .map_err(|error| format!("terminator hears nothing from keeper: {error}"))?;
            match part {
                PublicPart::Chain(mut chain) => {
                    self.keys = self
                        .keys
                        .checked_add(1)
                        .ok_or("more keys than have numbers")?;
                    chain.key = chain.key.saturating_add(first);
                    let place = parts.chains.add(&chain.entry());
                    match chain.named {
                        true => parts.named.extend(place),
                        false => parts.default.extend(place),
                    }
                }
                PublicPart::DhParameters(pem) => parts.dh = Some(pem),
                PublicPart::Anchor { certificate, .. } => {
                    let certificate = X509::from_der(&certificate).map_err(bad)?;
                    parts.anchors.push(certificate);
                }
                PublicPart::Name(der) => parts.names.push(X509::from_der(&der).map_err(bad)?),
                PublicPart::Revoked(der) => {
                    parts.revoked.push(X509Crl::from_der(&der).map_err(bad)?);
                }
                PublicPart::End(set) if set == wanted => return Ok(parts),
                // The keeper and the listener agree on the order.
                PublicPart::End(_) => return Err("terminator was told of another set".into()),
            }
        }
    }
}

/// Where the report channel lies among what a session keeps.
const REPORT: usize = 4;

/// The descriptors that come with a connection, in the order of the message.
struct Ends {
    client: OwnedFd,
    input: OwnedFd,
    output: OwnedFd,
    report: OwnedFd,
    control: Option<OwnedFd>,
}

impl Ends {
    fn sort(ends: Vec<OwnedFd>) -> Option<Ends> {
        let mut ends = ends.into_iter();
        Some(Ends {
            client: ends.next()?,
            input: ends.next()?,
            output: ends.next()?,
            report: ends.next()?,
            control: ends.next(),
        })
    }
}

/// Tells the keeper of somebody who may ask for one signature.
fn introduce(keeper: &TerminatorToKeeper) -> Result<SessionToKeeper, ChannelError> {
    let (session_end, keeper_end) = SessionToKeeper::pair().map_err(ChannelError::System)?;
    keeper.send(&NewSession, &[keeper_end.as_fd()])?;
    Ok(session_end)
}

/// The same, and waits while more descriptors are on their way to the keeper than the kernel lets a user have.
fn introduce_in_time(
    keeper: &TerminatorToKeeper,
    deadline: Instant,
) -> Result<SessionToKeeper, ChannelError> {
    loop {
        match introduce(keeper) {
            Err(ChannelError::System(Errno::ETOOMANYREFS | Errno::ENOBUFS | Errno::ENOMEM))
                if Instant::now() < deadline =>
            {
                std::thread::sleep(CROWDED_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Forks the session. While no process can be had the connection waits here, and behind it all others: that is how
/// the listener comes to accept more slowly.
fn start(
    service: &Service,
    listener: &TerminatorToListener,
    keeper: &TerminatorToKeeper,
    order: ConnectionOrder,
    ends: Ends,
) {
    let deadline = Instant::now() + Duration::from_millis(order.patience.into());
    let signer = match introduce_in_time(keeper, deadline) {
        Ok(signer) => signer,
        Err(error) => {
            let reason = format!("the keeper cannot be asked: {error}");
            return give_up(ends.report, &reason);
        }
    };
    let mut keep = vec![
        signer.into_end(),
        ends.client,
        ends.input,
        ends.output,
        ends.report,
    ];
    keep.extend(ends.control);
    let mut short = false;
    loop {
        let errno =
            match process::fork_role(keep, |ends| be_session(service, &order, ends, deadline)) {
                Ok(_) => break,
                Err((errno, ends)) => {
                    keep = ends;
                    errno
                }
            };
        if !short {
            short = true;
            let reason = errno.desc().to_owned();
            let _ = listener.try_send(&FromTerminator::Short(reason), &[]);
        }
        if Instant::now() >= deadline {
            let report = keep.swap_remove(REPORT);
            return give_up(report, &format!("no process for it: {}", errno.desc()));
        }
        std::thread::sleep(SHORTAGE_PAUSE);
    }
    if short {
        let _ = listener.try_send(&FromTerminator::Recovered, &[]);
    }
}

fn be_session(
    service: &Service,
    order: &ConnectionOrder,
    ends: Vec<OwnedFd>,
    deadline: Instant,
) -> u8 {
    role::take_up_session();
    sandbox::confine_child();
    heap::make_ready();
    let mut ends = ends.into_iter();
    let Some(keeper) = ends.next() else {
        return 111;
    };
    let Some(ends) = Ends::sort(ends.collect()) else {
        return 111;
    };
    let connection = Connection {
        client: TcpStream::from(ends.client),
        input: ends.input,
        output: ends.output,
        report: SessionToListener::from_end(ends.report),
        keeper: SessionToKeeper::from_end(keeper),
        control: ends.control,
        ip: order.client,
        host: order.host.clone(),
    };
    session::run(service, connection, deadline)
}

/// Tells the listener that a connection will not be served.
fn give_up(report: OwnedFd, reason: &str) {
    let failed = SessionReport::Failed {
        pid: std::process::id(),
        reason: reason.into(),
    };
    let _ = SessionToListener::from_end(report).send(&failed, &[]);
}
