//! Starting the keeper and the terminator, and starting them again when they die.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::privsep::backoff::Backoff;
use crate::privsep::message::{
    KeeperToListener, KeeperToTerminator, ListenerToKeeper, ListenerToLookup, ListenerToTerminator,
    LookupToListener, TerminatorToKeeper, TerminatorToListener, ToKeeper,
};
use crate::privsep::{keeper, lookup, terminator};
use crate::sys::process;
use crate::tls::material::{Files, SetFiles};

/// Time for a role to get ready. Reading a password takes as long as the keeper allows it, and a bit.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_PASSWORD: Duration = Duration::from_secs(150);
/// A folder may hold tens of thousands of keys, and the machine be a slow one.
const PATIENCE_WITH_FOLDER: Duration = Duration::from_secs(600);

pub struct Keeper {
    pub pid: Pid,
    pub channel: ListenerToKeeper,
    pub loaded: bool,
}

pub struct Terminator {
    pub pid: Pid,
    pub channel: ListenerToTerminator,
    pub ready: bool,
    /// Its channel had no room; it is watched for room.
    pub full: bool,
}

pub struct Lookup {
    pub pid: Pid,
    pub channel: ListenerToLookup,
}

/// What the roles are started with.
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
    pub terminator: Option<Terminator>,
    /// How many terminators the present keeper has been told of.
    pub terminators: u32,
    /// `None`: nothing is looked up.
    pub lookup_orders: Option<lookup::Orders>,
    pub lookup: Option<Lookup>,
    /// When another lookup process is started.
    pub lookup_due: Option<Instant>,
    backoff: Backoff,
    pub lookup_backoff: Backoff,
    /// When whatever is missing is started again, or given up for stuck.
    pub due: Option<Instant>,
}

impl Roles {
    pub fn new(
        keeper_orders: keeper::Orders,
        terminator_orders: terminator::Orders,
        lookup_orders: Option<lookup::Orders>,
        opened_by_listener: bool,
        password: Option<OwnedFd>,
    ) -> Roles {
        Roles {
            keeper_orders,
            terminator_orders,
            opened_by_listener,
            only_once: password.is_some(),
            password,
            keeper: None,
            terminator: None,
            terminators: 0,
            lookup_orders,
            lookup: None,
            lookup_due: None,
            backoff: Backoff::default(),
            lookup_backoff: Backoff::default(),
            due: None,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.terminator
            .as_ref()
            .is_some_and(|terminator| terminator.ready)
    }

    /// Says when the next start of keeper or terminator is due.
    pub fn schedule(&mut self, now: Instant) {
        self.due = Some(self.backoff.next(now));
    }

    /// The process that should have become ready by now.
    pub fn stuck(&self) -> Option<Pid> {
        match (&self.keeper, &self.terminator) {
            (Some(keeper), _) if !keeper.loaded => Some(keeper.pid),
            (_, Some(terminator)) if !terminator.ready => Some(terminator.pid),
            _ => None,
        }
    }

    /// Forks a keeper. It says when it is ready, or why it cannot be.
    pub fn start_keeper(&mut self, now: Instant) -> Result<(), Errno> {
        let (channel, end) = ListenerToKeeper::pair()?;
        let mut keep = vec![end.into_end()];
        let password = self.password.take();
        let has_password = password.is_some();
        keep.extend(password);
        let (paths, files) = self.open_files(&self.keeper_orders.files);
        keep.extend(files);
        let orders = &self.keeper_orders;
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
        self.keeper = Some(Keeper {
            pid,
            channel,
            loaded: false,
        });
        self.terminators = 0;
        self.backoff.started = Some(now);
        let patience = match (self.only_once, &self.keeper_orders.files.folder) {
            (_, Some(_)) => PATIENCE_WITH_FOLDER,
            (true, None) => PATIENCE_WITH_PASSWORD,
            (false, None) => PATIENCE,
        };
        self.due = Some(now + patience);
        Ok(())
    }

    /// Forks a terminator and introduces it to the keeper.
    pub fn start_terminator(&mut self, now: Instant) -> Result<(), Errno> {
        let Some(keeper) = &self.keeper else {
            return Err(Errno::ESRCH);
        };
        let (channel, end) = ListenerToTerminator::pair()?;
        let (to_keeper, of_keeper) = TerminatorToKeeper::pair()?;
        keeper
            .channel
            .try_send(
                &ToKeeper::Terminator,
                &[KeeperToTerminator::as_fd(&of_keeper)],
            )
            .map_err(|_| Errno::EPIPE)?;
        self.terminators += 1;
        let keep = vec![end.into_end(), to_keeper.into_end()];
        let orders = &self.terminator_orders;
        let body = |ends: Vec<OwnedFd>| {
            let Ok([listener, keeper]) = <[OwnedFd; 2]>::try_from(ends) else {
                return 111;
            };
            let listener = TerminatorToListener::from_end(listener);
            terminator::run(orders, listener, TerminatorToKeeper::from_end(keeper))
        };
        let pid = process::fork_role(keep, body).map_err(|(errno, _)| errno)?;
        self.terminator = Some(Terminator {
            pid,
            channel,
            ready: false,
            full: false,
        });
        self.backoff.started = Some(now);
        self.due = Some(now + PATIENCE);
        Ok(())
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

    /// Opens the files of a set if that is the listener's part. What cannot be opened the keeper will name.
    pub fn open_files(&self, files: &SetFiles) -> (Vec<PathBuf>, Vec<OwnedFd>) {
        if !self.opened_by_listener {
            return (Vec::new(), Vec::new());
        }
        let root = &self.keeper_orders.confinement.root;
        let outside = |path: &Path| match root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        };
        let mut opened: HashMap<PathBuf, OwnedFd> = HashMap::new();
        for name in files.paths() {
            if !opened.contains_key(name)
                && let Ok(file) = File::open(outside(name))
            {
                opened.insert(name.clone(), file.into());
            }
        }
        opened.into_iter().unzip()
    }
}
