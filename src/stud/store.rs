//! The process that keeps sessions for all workers (`shared-cache`, `session-store`). It outlives reloads that do not
//! change it.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::unistd::Pid;

use super::config::Sessions;
use super::failure::Failure;
use crate::privsep::message::{
    NewWorker, ParentToStore, StoreReport, StoreToParent, StoreToWorker,
};
use crate::privsep::role::Confinement;
use crate::privsep::store::{self, Backend, Orders};
use crate::sys::process;

pub struct Store {
    pub pid: Pid,
    channel: ParentToStore,
    /// What it was started for.
    sessions: Sessions,
    /// It is gone, or has said something that no store says.
    lost: Cell<bool>,
    ready: Cell<bool>,
}

impl Store {
    /// `None`: tickets are enough.
    pub fn start(sessions: &Sessions, confinement: &Confinement) -> Result<Option<Store>, Failure> {
        let backend = match sessions {
            Sessions::Tickets => return Ok(None),
            Sessions::Memory(entries) => Backend::Memory(*entries),
            Sessions::Store(address) => Backend::from_address(address)
                .map_err(|bad| Failure(format!("session-store: {bad}")))?,
        };
        let orders = Orders {
            confinement: confinement.clone(),
            backend,
        };
        let failed = |errno: nix::errno::Errno| {
            Failure(format!("unable to start the store: {}", errno.desc()))
        };
        let (channel, end) = ParentToStore::pair().map_err(failed)?;
        let body = |mut ends: Vec<OwnedFd>| match ends.pop() {
            Some(end) => store::run(&orders, StoreToParent::from_end(end)),
            None => 111,
        };
        let started = process::fork_role(vec![end.into_end()], body);
        Ok(Some(Store {
            pid: started.map_err(|(errno, _)| failed(errno))?,
            channel,
            sessions: sessions.clone(),
            lost: Cell::new(false),
            ready: Cell::new(false),
        }))
    }

    /// Whether it serves for this as well.
    pub fn is_for(&self, sessions: &Sessions) -> bool {
        self.sessions == *sessions && !self.lost.get()
    }

    /// Tells it of a worker. One that it is not told of does without.
    pub fn introduce(&self, worker: &StoreToWorker) {
        let _ = self.channel.try_send(&NewWorker, &[worker.as_fd()]);
    }

    /// What it has to say.
    pub fn receive(&self) -> Option<StoreReport> {
        match self.channel.try_receive() {
            Ok(Some((report, _))) => {
                self.ready
                    .set(self.ready.get() || report == StoreReport::Ready);
                Some(report)
            }
            Ok(None) => None,
            Err(_) => {
                self.lose();
                None
            }
        }
    }

    pub fn lose(&self) {
        self.lost.set(true);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.get()
    }

    /// Whether it may have something to say.
    pub fn is_there(&self) -> bool {
        !self.lost.get()
    }
}

impl AsFd for Store {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
