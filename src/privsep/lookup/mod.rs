//! The lookup process: finds out what a connection wants to be known, unprivileged and confined. It meets the bytes of
//! every reverse zone, IDENT server and PROXY header, and has nothing but its questions.
//!
//! Many questions are under way at once, each a task; all share the name servers and the cache. Nothing that a peer
//! says, or does not say, ends the process or holds up another question.
#![forbid(unsafe_code)]

mod cache;
pub mod dns;
mod header;
mod hosts;
pub mod ident;
pub mod names;
pub mod servers;

use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, timeout, timeout_at};

use self::dns::Dns;
use super::line::Line;
use super::message::lookup::{Answer, Wanted};
use super::message::{FromLookup, LookupToListener, ToLookup};
use super::role::{self, Confinement};
use super::sandbox;
use crate::net::proxy_header::Announced;

/// The port of IDENT.
pub const IDENT_PORT: u16 = 113;

/// A question has the client's socket, one for IDENT, and some towards the name servers, which may be asked again.
const DESCRIPTORS_EACH: usize = 10;
/// Those of the process itself, its channel and what it waits with.
const OWN_DESCRIPTORS: usize = 16;

/// What the lookup process needs to know from the listener.
#[derive(Clone)]
pub struct Orders {
    pub confinement: Confinement,
    /// DNSCACHEIP ([`servers::parse`]); none: those of /etc/resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// For the names and the user of one connection, `-t`.
    pub patience: Duration,
    /// For a PROXY header, before that.
    pub header_patience: Duration,
    /// Questions under way; one more is answered at once with nothing.
    pub limit: usize,
    /// Where IDENT servers listen: [`IDENT_PORT`].
    pub ident_port: u16,
}

/// Runs the lookup process to its end, which is the listener's.
pub fn run(orders: &Orders, listener: LookupToListener) -> u8 {
    role::take_up(c"ssl-lookup");
    let (runtime, service) = match prepare(orders) {
        Ok(prepared) => prepared,
        Err(text) => {
            let _ = listener.send(&FromLookup::Fatal(text), &[]);
            return 111;
        }
    };
    if listener.send(&FromLookup::Ready, &[]).is_err() {
        return 0;
    }
    LocalSet::new().block_on(&runtime, serve(Rc::new(service), listener));
    0
}

/// Everything that takes a file or a new kind of descriptor happens here, before the root changes.
fn prepare(orders: &Orders) -> Result<(Runtime, Service), String> {
    let failed = |reason: String| format!("fatal: (111) unable to prepare look-ups: {reason}");
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let limit = limit(orders.limit).map_err(|errno| failed(errno.desc().into()))?;
    let dns = Dns::new(&orders.servers, limit).map_err(failed)?;
    role::confine(&orders.confinement).map_err(|error| format!("fatal: (111) {error}"))?;
    let servers = orders.servers.iter().map(SocketAddr::port);
    let servers: Vec<u16> = match orders.servers.is_empty() {
        true => vec![servers::PORT],
        false => servers.collect(),
    };
    let ports = [&servers[..], &[orders.ident_port]].concat();
    sandbox::confine_lookup(&ports, (limit * DESCRIPTORS_EACH + OWN_DESCRIPTORS) as u64)?;
    let service = Service {
        dns,
        limit,
        patience: orders.patience,
        header_patience: orders.header_patience,
        ident_port: orders.ident_port,
    };
    Ok((runtime, service))
}

/// A message whose descriptor found no place would break the channel, so there must always be one.
fn limit(wanted: usize) -> Result<usize, Errno> {
    let (open_files, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let open_files = usize::try_from(open_files).unwrap_or(usize::MAX);
    Ok(wanted.min(open_files / DESCRIPTORS_EACH).max(1))
}

struct Service {
    dns: Dns,
    limit: usize,
    patience: Duration,
    header_patience: Duration,
    ident_port: u16,
}

/// Takes questions until the listener is gone or breaks its word.
async fn serve(service: Rc<Service>, listener: LookupToListener) {
    let Ok(line) = Line::new(listener).map(Rc::new) else {
        return;
    };
    // Every question under way holds one.
    let place = Rc::new(());
    while let Some((question, mut ends)) = line.receive().await {
        let number = question.number;
        if Rc::strong_count(&place) > service.limit {
            let answer = unanswered(question.wanted);
            line.send(&FromLookup::Answer { number, answer }).await;
            continue;
        }
        let (service, line, place) = (service.clone(), line.clone(), place.clone());
        spawn_local(async move {
            let answer = answer(&service, &question, ends.pop()).await;
            line.send(&FromLookup::Answer { number, answer }).await;
            drop(place);
        });
    }
}

/// There are too many questions: a connection goes on without names, but not without its header.
fn unanswered(wanted: Wanted) -> Answer {
    match wanted.proxy_header {
        true => Answer::refusal("too many connections wait for their PROXY headers".into()),
        false => Answer::nothing(),
    }
}

async fn answer(service: &Rc<Service>, question: &ToLookup, client: Option<OwnedFd>) -> Answer {
    let announced = match (question.wanted.proxy_header, client) {
        (false, _) => Announced::Nothing,
        (true, None) => return Answer::refusal("no socket came with the question".into()),
        (true, Some(client)) => {
            match timeout(service.header_patience, header::read(client)).await {
                Ok(Ok(announced)) => announced,
                Ok(Err(reason)) => return Answer::refusal(reason),
                Err(_) => return Answer::refusal("timed out waiting for PROXY header".into()),
            }
        }
    };
    let (remote, local) = match announced {
        Announced::Nothing => (question.remote, question.local),
        Announced::Ends { remote, local } => (remote, local),
    };
    let deadline = Instant::now() + service.patience;
    let wanted = question.wanted;
    let name_of = |address: SocketAddr, paranoid: bool| {
        let service = service.clone();
        let ip = address.ip();
        spawn_local(async move { service.dns.name_of(ip, paranoid, deadline).await })
    };
    let remote_name = wanted.remote_name.then(|| name_of(remote, wanted.paranoid));
    let local_name = wanted.local_name.then(|| name_of(local, false));
    let port = service.ident_port;
    let remote_info = wanted
        .remote_info
        .then(|| spawn_local(in_time(deadline, ident::ask(local, remote, port))));
    Answer {
        announced: Ok(announced),
        remote_name: outcome(remote_name).await,
        remote_info: outcome(remote_info).await,
        local_name: outcome(local_name).await,
    }
}

async fn in_time<T>(deadline: Instant, work: impl Future<Output = Option<T>>) -> Option<T> {
    timeout_at(deadline, work).await.ok().flatten()
}

/// A panic in the work, the library's or ours, is no answer either.
async fn outcome<T>(work: Option<JoinHandle<Option<T>>>) -> Option<T> {
    work?.await.ok().flatten()
}
