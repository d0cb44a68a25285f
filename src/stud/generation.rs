//! A generation: one configuration with the keeper and the workers that carry it out. It is prepared completely before
//! it takes over, and ends with its last connection after another one has taken over from it.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::config::Config;
use super::sockets::Bound;
use super::store::Store;
use crate::privsep::backoff::Backoff;
use crate::privsep::channel::ChannelError;
use crate::privsep::message::{
    FromWorker, HeirToKeeper, KeeperToHeir, KeeperToListener, KeeperToTerminator, ListenerToKeeper,
    ParentToWorker, SignerToWorker, TerminatorToKeeper, ToKeeper, ToWorker, WorkerToParent,
    WorkerToSigner, WorkerToStore,
};
use crate::privsep::pem_keeper;
use crate::privsep::worker::orders::Orders;
use crate::privsep::worker::{self, Counts, Ends};
use crate::sys::process;

/// Time to get ready: tens of thousands of PEMs on a slow machine.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Generation {
    pub config: Rc<Config>,
    pub orders: Orders,
    pub sockets: Vec<Bound>,
    pub state: State,
    pub keeper: Option<Keeper>,
    pub store: Option<Rc<Store>>,
    pub slots: Vec<Slot>,
    /// Workers whose place another has, and who end with their connections.
    leaving: Vec<Worker>,
    /// When it must have got ready.
    pub deadline: Instant,
}

/// What a generation is made of beside its processes.
pub struct Parts {
    pub config: Rc<Config>,
    pub orders: Orders,
    pub sockets: Vec<Bound>,
    pub store: Option<Rc<Store>>,
    /// For each worker.
    pub counts: Vec<Arc<Counts>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The keeper reads the PEMs.
    Loading,
    /// The workers make ready.
    Starting,
    Serving,
    /// Ends with its connections.
    Draining,
}

pub struct Keeper {
    pub pid: Pid,
    /// `None`: it has said something that no keeper says.
    pub channel: Option<ListenerToKeeper>,
}

/// A place for a worker.
pub struct Slot {
    pub worker: Option<Worker>,
    pub backoff: Backoff,
    /// When another one is started.
    pub due: Option<Instant>,
    pub counts: Arc<Counts>,
}

pub struct Worker {
    pub pid: Pid,
    /// `None`: it has said something that no worker says.
    pub channel: Option<ParentToWorker>,
    pub ready: bool,
    /// It accepts no more.
    pub stopped: bool,
}

impl Generation {
    /// Starts the keeper. The one before it, if there is one, gives it the secrets of tickets.
    pub fn start(
        parts: Parts,
        keeper_orders: &pem_keeper::Orders,
        before: Option<&Generation>,
        now: Instant,
    ) -> Result<Generation, Errno> {
        let (channel, end) = ListenerToKeeper::pair()?;
        let mut keep = vec![end.into_end()];
        let before = before.and_then(|before| before.keeper.as_ref());
        if let Some(before) = before.and_then(|before| before.channel.as_ref()) {
            let (heir, end) = HeirToKeeper::pair()?;
            // A keeper that is dead leaves nothing.
            let _ = before.try_send(&ToKeeper::Heir, &[KeeperToHeir::as_fd(&end)]);
            keep.push(heir.into_end());
        }
        let body = |ends: Vec<OwnedFd>| {
            let mut ends = ends.into_iter();
            let Some(parent) = ends.next() else {
                return 111;
            };
            let parent = KeeperToListener::from_end(parent);
            pem_keeper::run(
                keeper_orders,
                parent,
                ends.next().map(HeirToKeeper::from_end),
            )
        };
        let pid = process::fork_role(keep, body).map_err(|(errno, _)| errno)?;
        let slot = |counts: &Arc<Counts>| Slot {
            worker: None,
            backoff: Backoff::default(),
            due: None,
            counts: counts.clone(),
        };
        Ok(Generation {
            config: parts.config,
            orders: parts.orders,
            sockets: parts.sockets,
            state: State::Loading,
            keeper: Some(Keeper {
                pid,
                channel: Some(channel),
            }),
            store: parts.store,
            slots: parts.counts.iter().map(slot).collect(),
            leaving: Vec::new(),
            deadline: now + PATIENCE,
        })
    }

    /// Starts the worker of a place.
    pub fn start_worker(&mut self, place: usize, now: Instant) -> Result<(), Errno> {
        let keeper = self
            .keeper
            .as_ref()
            .and_then(|keeper| keeper.channel.as_ref());
        let keeper = keeper.ok_or(Errno::ESRCH)?;
        let (channel, end) = ParentToWorker::pair()?;
        let (parts, publish) = TerminatorToKeeper::pair()?;
        let (signer, requests) = WorkerToSigner::pair()?;
        let ends = [
            KeeperToTerminator::as_fd(&publish),
            SignerToWorker::as_fd(&requests),
        ];
        let sent = keeper.try_send(&ToKeeper::Worker(0), &ends);
        sent.map_err(|_| Errno::EPIPE)?;
        let mut keep = vec![end.into_end(), parts.into_end(), signer.into_end()];
        let with_store = self.store.is_some();
        if let Some(store) = &self.store {
            let (worker_end, store_end) = WorkerToStore::pair()?;
            keep.push(worker_end.into_end());
            store.introduce(&store_end);
        }
        let mut frontends = Vec::new();
        for socket in &self.sockets {
            let listener = socket.listener.as_fd().try_clone_to_owned();
            keep.push(listener.map_err(|_| Errno::EMFILE)?);
            frontends.push(socket.frontend);
        }
        let orders = &self.orders;
        let slot = &mut self.slots[place];
        let counts = &slot.counts;
        let body = |ends: Vec<OwnedFd>| match sort(ends, with_store, &frontends) {
            Some(ends) => worker::run(orders, ends, counts),
            None => 111,
        };
        let pid = process::fork_role(keep, body).map_err(|(errno, _)| errno)?;
        slot.worker = Some(Worker {
            pid,
            channel: Some(channel),
            ready: false,
            stopped: false,
        });
        slot.backoff.started = Some(now);
        slot.due = None;
        Ok(())
    }

    pub fn is_ready(&self) -> bool {
        let ready = |slot: &Slot| slot.worker.as_ref().is_some_and(|worker| worker.ready);
        let store = self.store.as_ref().is_none_or(|store| store.is_ready());
        store && self.slots.iter().all(ready)
    }

    /// Nobody of it accepts any more.
    pub fn has_stopped(&self) -> bool {
        let mut workers = self.slots.iter().filter_map(|slot| slot.worker.as_ref());
        workers.all(|worker| worker.stopped || worker.channel.is_none())
    }

    /// The place of a worker.
    pub fn slot_of(&self, pid: Pid) -> Option<usize> {
        let is_its = |slot: &Slot| slot.worker.as_ref().is_some_and(|one| one.pid == pid);
        self.slots.iter().position(is_its)
    }

    /// Says this to every worker.
    pub fn order(&self, order: &ToWorker) {
        for worker in self.slots.iter().filter_map(|slot| slot.worker.as_ref()) {
            if let Some(channel) = &worker.channel {
                // One that is gone is found by its end.
                let _ = channel.try_send(order, &[]);
            }
        }
    }

    /// Has the workers end with their connections, or when the time is over.
    pub fn drain(&mut self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.order(&ToWorker::Drain { patience });
        self.state = State::Draining;
        self.sockets.clear();
        for slot in &mut self.slots {
            slot.due = None;
        }
    }

    /// Ends everything at once.
    pub fn kill(&mut self) {
        let workers = self.slots.iter().filter_map(|slot| slot.worker.as_ref());
        let workers = workers.chain(&self.leaving).map(|worker| worker.pid);
        let keeper = self.keeper.as_ref().map(|keeper| keeper.pid);
        for pid in workers.chain(keeper) {
            // It is our child and not reaped, so that the number is its own.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    /// It will not come to serve.
    pub fn give_up(&mut self) {
        self.kill();
        self.state = State::Draining;
    }

    /// Nobody is left of it.
    pub fn is_over(&self) -> bool {
        self.keeper.is_none() && !self.has_workers()
    }

    fn has_workers(&self) -> bool {
        !self.leaving.is_empty() || self.slots.iter().any(|slot| slot.worker.is_some())
    }

    /// A keeper without workers has nothing left to do, and ends with its channel.
    pub fn dismiss_keeper(&mut self) {
        if self.state == State::Draining && !self.has_workers() {
            self.end_keeper();
        }
    }

    pub fn end_keeper(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.channel = None;
        }
    }

    /// What the worker of a place says. One that breaks its word loses it.
    pub fn receive(&mut self, place: usize, now: Instant) -> Option<(Pid, FromWorker)> {
        let worker = self.slots[place].worker.as_mut()?;
        match worker.channel.as_ref()?.try_receive() {
            Ok(Some((FromWorker::Ready, _))) => {
                worker.ready = true;
                Some((worker.pid, FromWorker::Ready))
            }
            Ok(Some((FromWorker::Stopped, _))) => {
                worker.stopped = true;
                Some((worker.pid, FromWorker::Stopped))
            }
            Ok(Some((message, _))) => Some((worker.pid, message)),
            Ok(None) => None,
            // One that has ended is reaped in a moment.
            Err(ChannelError::Closed) => {
                worker.channel = None;
                None
            }
            Err(_) => {
                self.dismiss_worker(place, now);
                None
            }
        }
    }

    /// Has a worker take clients in.
    pub fn accept(&self, place: usize) {
        let worker = self.slots[place].worker.as_ref();
        if let Some(channel) = worker.and_then(|worker| worker.channel.as_ref()) {
            let _ = channel.try_send(&ToWorker::Accept, &[]);
        }
    }

    /// Gives a worker's place to another. Without its channel it ends with its connections.
    pub fn dismiss_worker(&mut self, place: usize, now: Instant) {
        let slot = &mut self.slots[place];
        if let Some(mut worker) = slot.worker.take() {
            worker.channel = None;
            self.leaving.push(worker);
            slot.due = Some(slot.backoff.next(now));
        }
    }

    /// Takes a dead child out, and says what it was.
    pub fn bury(&mut self, pid: Pid, now: Instant) -> Option<&'static str> {
        if self.keeper.as_ref().is_some_and(|keeper| keeper.pid == pid) {
            self.keeper = None;
            return Some("keeper");
        }
        if let Some(place) = self.leaving.iter().position(|worker| worker.pid == pid) {
            self.leaving.remove(place);
            return Some("worker");
        }
        for slot in &mut self.slots {
            if slot.worker.as_ref().is_some_and(|worker| worker.pid == pid) {
                slot.worker = None;
                slot.due = Some(slot.backoff.next(now));
                return Some("worker");
            }
        }
        None
    }
}

/// Gives a worker's descriptors their names.
fn sort(ends: Vec<OwnedFd>, with_store: bool, frontends: &[u16]) -> Option<Ends> {
    let mut ends = ends.into_iter();
    Some(Ends {
        parent: WorkerToParent::from_end(ends.next()?),
        keeper: TerminatorToKeeper::from_end(ends.next()?),
        signer: WorkerToSigner::from_end(ends.next()?),
        store: match with_store {
            true => Some(WorkerToStore::from_end(ends.next()?)),
            false => None,
        },
        listeners: ends.zip(frontends.iter().copied()).collect(),
    })
}
