//! Starting the keeper, the terminators and the lookup process.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::crew::{Crew, Duty, Terminator};
use crate::privsep::backoff::Backoff;
use crate::privsep::message::{
    KeeperToListener, KeeperToTerminator, ListenerToKeeper, ListenerToLookup, ListenerToTerminator,
    LookupToListener, SignerToWorker, TerminatorToKeeper, TerminatorToListener, ToKeeper,
    WorkerToSigner,
};
use crate::privsep::{keeper, lookup, shared, terminator};
use crate::sys::process;
use crate::tls::material::{self, Files};

/// Time for a role to get ready. Reading a password takes as long as the keeper allows it, and a bit.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_PASSWORD: Duration = Duration::from_secs(150);
/// A folder may hold tens of thousands of keys, and the machine be a slow one.
const PATIENCE_WITH_FOLDER: Duration = Duration::from_secs(600);

pub struct Keeper {
    pub pid: Pid,
    pub channel: ListenerToKeeper,
    /// When it must have read the keys; `None`: it has.
    pub until: Option<Instant>,
}

pub struct Lookup {
    pub pid: Pid,
    pub channel: ListenerToLookup,
}

/// What the roles are started with, and those that are there.
pub struct Roles {
    pub keeper_orders: keeper::Orders,
    pub terminator_orders: terminator::Orders,
    /// The listener opens the files. Their paths are those inside the keeper's root.
    pub opened_by_listener: bool,
    /// `-3`: the password's descriptor, handed to the first keeper.
    pub password: Option<OwnedFd>,
    /// `-3` was given, so that no second keeper can have the keys.
    pub only_once: bool,
    pub keeper: Option<Keeper>,
    pub keeper_backoff: Backoff,
    /// When another keeper is started.
    pub keeper_due: Option<Instant>,
    /// `-j`: terminators share all connections.
    pub shared: bool,
    pub crew: Crew,
    /// `None`: nothing is looked up.
    pub lookup_orders: Option<lookup::Orders>,
    pub lookup: Option<Lookup>,
    /// When another lookup process is started.
    pub lookup_due: Option<Instant>,
    pub lookup_backoff: Backoff,
}

impl Roles {
    pub fn new(
        keeper_orders: keeper::Orders,
        terminator_orders: terminator::Orders,
        lookup_orders: Option<lookup::Orders>,
        opened_by_listener: bool,
        password: Option<OwnedFd>,
        shared: Option<usize>,
    ) -> Roles {
        Roles {
            keeper_orders,
            terminator_orders,
            opened_by_listener,
            only_once: password.is_some(),
            password,
            keeper: None,
            keeper_backoff: Backoff::default(),
            keeper_due: None,
            shared: shared.is_some(),
            crew: Crew::new(shared.unwrap_or(1)),
            lookup_orders,
            lookup: None,
            lookup_due: None,
            lookup_backoff: Backoff::default(),
        }
    }

    /// The keeper, if it can be asked for anything.
    pub fn ready_keeper(&self) -> Option<&Keeper> {
        self.keeper.as_ref().filter(|keeper| keeper.until.is_none())
    }

    /// The next moment at which a role is started, or given up for stuck.
    pub fn moment(&self) -> Option<Instant> {
        let keeper = self.keeper.as_ref().and_then(|keeper| keeper.until);
        let moments = [keeper, self.keeper_due, self.crew.moment(), self.lookup_due];
        moments.into_iter().flatten().min()
    }

    /// Forks a keeper. It says when it is ready, or why it cannot be.
    pub fn start_keeper(&mut self, now: Instant) -> Result<(), Errno> {
        let (channel, end) = ListenerToKeeper::pair()?;
        let mut keep = vec![end.into_end()];
        let password = self.password.take();
        let has_password = password.is_some();
        keep.extend(password);
        let orders = &self.keeper_orders;
        let (paths, files) = self.open_files(orders.files.paths().chain(&orders.ticket_keys));
        keep.extend(files);
        let body = |ends: Vec<OwnedFd>| {
            let mut ends = ends.into_iter();
            let Some(listener) = ends.next() else {
                return 111;
            };
            let password = if has_password { ends.next() } else { None };
            let opened = paths.into_iter().zip(ends.map(File::from)).collect();
            let given = keeper::Given {
                listener: KeeperToListener::from_end(listener),
                password,
                opened: Files { opened },
            };
            keeper::run(orders, given)
        };
        let pid = process::fork_role(keep, body).map_err(|(errno, _)| errno)?;
        let patience = match (self.only_once, &self.keeper_orders.files.folder) {
            (_, Some(_)) => PATIENCE_WITH_FOLDER,
            (true, None) => PATIENCE_WITH_PASSWORD,
            (false, None) => PATIENCE,
        };
        self.keeper = Some(Keeper {
            pid,
            channel,
            until: Some(now + patience),
        });
        self.keeper_backoff.started = Some(now);
        Ok(())
    }

    /// Forks a terminator and introduces it to the keeper.
    pub fn start_terminator(
        &mut self,
        token: u64,
        duty: Duty,
        now: Instant,
    ) -> Result<&Terminator, Errno> {
        let Some(keeper) = &self.keeper else {
            return Err(Errno::ESRCH);
        };
        let ordinal = self.crew.count;
        let (channel, end) = ListenerToTerminator::pair()?;
        let (to_keeper, of_keeper) = TerminatorToKeeper::pair()?;
        let mut keep = vec![end.into_end(), to_keeper.into_end()];
        let introduced = match self.shared {
            false => {
                let ends = [KeeperToTerminator::as_fd(&of_keeper)];
                keeper
                    .channel
                    .try_send(&ToKeeper::Terminator(ordinal), &ends)
            }
            true => {
                let (requests, answers) = WorkerToSigner::pair()?;
                keep.push(requests.into_end());
                let ends = [of_keeper.as_fd(), SignerToWorker::as_fd(&answers)];
                keeper.channel.try_send(&ToKeeper::Worker(ordinal), &ends)
            }
        };
        introduced.map_err(|_| Errno::EPIPE)?;
        let orders = &self.terminator_orders;
        let body = |ends: Vec<OwnedFd>| {
            let mut ends = ends.into_iter();
            let (Some(listener), Some(keeper)) = (ends.next(), ends.next()) else {
                return 111;
            };
            let listener = TerminatorToListener::from_end(listener);
            let keeper = TerminatorToKeeper::from_end(keeper);
            match ends.next() {
                None => terminator::run(orders, listener, keeper),
                Some(signer) => {
                    let signer = WorkerToSigner::from_end(signer);
                    let ends = shared::Ends {
                        listener,
                        keeper,
                        signer,
                    };
                    shared::run(orders, ends)
                }
            }
        };
        let pid = process::fork_role(keep, body).map_err(|(errno, _)| errno)?;
        self.crew.count += 1;
        self.crew.backoff.started = Some(now);
        self.crew.members.push(Terminator {
            token,
            ordinal,
            pid,
            channel,
            duty,
            until: Some(now + PATIENCE),
            parts: None,
            full: false,
            again: None,
            load: 0,
            silent: false,
            outgoing: Default::default(),
            sets: HashMap::new(),
        });
        self.crew
            .by_token(token)
            .map(|one| &*one)
            .ok_or(Errno::ESRCH)
    }

    /// Forks a lookup process, if one is wanted. Connections do without until it is there.
    pub fn start_lookup(&mut self) -> Result<(), Errno> {
        let Some(orders) = &self.lookup_orders else {
            return Ok(());
        };
        let (channel, end) = ListenerToLookup::pair()?;
        let body = |mut ends: Vec<OwnedFd>| match ends.pop() {
            Some(end) => lookup::run(orders, LookupToListener::from_end(end)),
            None => 111,
        };
        let pid = process::fork_role(vec![end.into_end()], body).map_err(|(errno, _)| errno)?;
        self.lookup = Some(Lookup { pid, channel });
        Ok(())
    }

    /// Where a file is for the listener, which has another root than the keeper.
    pub fn outside(&self, path: &Path) -> PathBuf {
        match &self.keeper_orders.confinement.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// Opens files if that is the listener's part. What cannot be opened the keeper will name.
    pub fn open_files<'a>(
        &self,
        paths: impl Iterator<Item = &'a PathBuf>,
    ) -> (Vec<PathBuf>, Vec<OwnedFd>) {
        if !self.opened_by_listener {
            return (Vec::new(), Vec::new());
        }
        let mut opened: HashMap<PathBuf, OwnedFd> = HashMap::new();
        for name in paths {
            if !opened.contains_key(name)
                && let Ok(file) = material::open(&self.outside(name))
            {
                opened.insert(name.clone(), file.into());
            }
        }
        opened.into_iter().unzip()
    }
}
