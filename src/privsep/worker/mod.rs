//! The worker: one process with thousands of connections. It accepts on the listening sockets that its parent keeps,
//! speaks TLS without having a key, and relays to a backend. Whoever takes it over has its connections and no key.
#![forbid(unsafe_code)]

mod accept;
mod announce;
mod connection;
mod contexts;
mod counters;
mod dial;
mod event_loop;
pub mod orders;
mod relaying;
mod report;
mod shaking;
mod steps;

use std::os::fd::OwnedFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags};

use self::contexts::Contexts;
pub use self::counters::{Count, Counts, TABLE};
use self::event_loop::{Given, Worker};
use super::message::{
    FromWorker, Target, TerminatorToKeeper, WorkerToParent, WorkerToSigner, WorkerToStore,
};
use super::role;
use super::sandbox;
use super::signer_channel::Signer;
use crate::tls::provider;
use orders::Orders;

/// A worker's descriptors.
pub struct Ends {
    pub parent: WorkerToParent,
    /// Where the public parts of the keys come from.
    pub keeper: TerminatorToKeeper,
    pub signer: WorkerToSigner,
    pub store: Option<WorkerToStore>,
    /// Each with the number of its frontend.
    pub listeners: Vec<(OwnedFd, u16)>,
}

/// Runs a worker to its end: the last connection's after its parent told it to drain, or is gone.
pub fn run(orders: &Orders, ends: Ends, counts: &Counts) -> u8 {
    role::take_up(c"ssl-worker");
    let prepared = prepare(orders, &ends.keeper);
    let parent = ends.parent;
    let (epoll, contexts) = match prepared {
        Ok(prepared) => prepared,
        Err(text) => {
            let _ = parent.send(&FromWorker::Fatal(text), &[]);
            return 111;
        }
    };
    let watched = epoll.add(&ends.signer, event_loop::signers_end());
    if let Err(errno) = watched {
        let _ = parent.send(&FromWorker::Fatal(errno.desc().into()), &[]);
        return 111;
    }
    let (signer, lost) = Signer::new(ends.signer);
    provider::set_keeper(Some(Box::new(signer)));
    let given = Given {
        orders,
        counts,
        parent,
        epoll,
        contexts,
        store: ends.store,
        listeners: ends.listeners,
        lost,
    };
    match Worker::new(given) {
        Ok(mut worker) => worker.run(),
        Err(_) => 111,
    }
}

fn prepare(orders: &Orders, keeper: &TerminatorToKeeper) -> Result<(Epoll, Contexts), String> {
    // The library reads its configuration file, so before the root changes.
    openssl::init();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
    let epoll = epoll.map_err(|errno| errno.desc().to_owned())?;
    role::confine(&orders.confinement).map_err(|error| error.to_string())?;
    let contexts = contexts::build(orders, keeper)?;
    let targets = || orders.backends.iter().flat_map(|backend| &backend.targets);
    let ports: Vec<u16> = targets().filter_map(Target::port).collect();
    sandbox::confine_worker(&ports, targets().any(Target::is_abstract))?;
    Ok((epoll, contexts))
}
