//! Sessions that share a process (`-j`): one of N terminators that serve their connections themselves instead of
//! forking a session for each. Whoever takes it over has its connections and no key.
#![forbid(unsafe_code)]

mod arrival;
mod connection;
mod event_loop;
mod plain_start;
mod relaying;
mod reporter;
mod shaking;
mod steps;
#[cfg(test)]
mod tests;

use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::resource::{Resource, getrlimit};

use self::event_loop::{Given, Shared};
use super::message::{FromTerminator, TerminatorToKeeper, TerminatorToListener, WorkerToSigner};
use super::role;
use super::sandbox;
use super::session::Service;
use super::signer_channel::Signer;
use super::terminator::{self, Orders, Tutor};
use crate::tls::provider;

/// The descriptors of such a process.
pub struct Ends {
    pub listener: TerminatorToListener,
    /// Where the public parts of the keys come from.
    pub keeper: TerminatorToKeeper,
    /// Whom signatures and tickets are asked of.
    pub signer: WorkerToSigner,
}

/// Runs it to its end: the last connection's after the listener told it to drain, or is gone.
pub fn run(orders: &Orders, ends: Ends) -> u8 {
    role::take_up(c"ssl-shared");
    // That the signer is gone is found out by whoever asks it, and by the listener. Its channel takes no more settings
    // behind the filter.
    let (signer, _) = Signer::new(ends.signer);
    let mut keeper = Tutor::new(ends.keeper);
    let (epoll, service) = match prepare(orders, &mut keeper) {
        Ok(prepared) => prepared,
        Err(text) => {
            let _ = ends.listener.send(&FromTerminator::Fatal(text), &[]);
            return 111;
        }
    };
    provider::set_keeper(Some(Box::new(signer)));
    if ends.listener.send(&FromTerminator::Ready, &[]).is_err() {
        return 0;
    }
    let open_files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let given = Given {
        orders,
        listener: ends.listener,
        keeper,
        epoll,
        service,
        open_files: usize::try_from(open_files).unwrap_or(usize::MAX),
    };
    match Shared::new(given) {
        Ok(mut shared) => shared.run(),
        Err(_) => 111,
    }
}

fn prepare(orders: &Orders, keeper: &mut Tutor) -> Result<(Epoll, Service), String> {
    // The library reads its configuration file, so before the root changes.
    openssl::init();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
    let epoll = epoll.map_err(|errno| format!("fatal: (111) {}", errno.desc()))?;
    role::confine(&orders.confinement).map_err(|error| format!("fatal: (111) {error}"))?;
    let service = terminator::serve(orders, keeper, 0, &orders.tls, orders.demand, "")
        .map_err(|text| format!("error: (111) {text}"))?;
    sandbox::confine_shared()?;
    Ok((epoll, service))
}
