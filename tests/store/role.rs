//! The store, and its parent's and workers' ends of the channels.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, Process, RoleProcess};
use nix::unistd::{Gid, Uid};
use sslserver::privsep::message::{
    Found, NewWorker, ParentToStore, StoreReport, StoreToParent, StoreToWorker, ToStore,
    WorkerToStore,
};
use sslserver::privsep::role::Confinement;
use sslserver::privsep::store::{self, Backend, Orders};
use sslserver::sys::identity::Identity;
use sslserver::tls::sessions::SessionId;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

pub const ARGUMENT: &str = "--be-the-store";

/// What the process is started with.
pub struct Setup {
    /// A number, or the address of a server.
    pub backend: String,
    pub root: Option<PathBuf>,
    pub ids: (u32, u32),
}

impl Setup {
    pub fn new(backend: impl ToString) -> Setup {
        Setup {
            backend: backend.to_string(),
            root: None,
            ids: (Uid::effective().as_raw(), Gid::effective().as_raw()),
        }
    }

    /// Starts the process and waits until it is ready.
    pub fn start(self) -> Role {
        let role = self.launch();
        assert_eq!(role.report(), StoreReport::Ready);
        role
    }

    /// Starts the process.
    pub fn launch(self) -> Role {
        let (parent, end) = ParentToStore::pair().expect("a channel");
        let root = self.root.map(|root| root.display().to_string());
        let words = [
            ARGUMENT.into(),
            self.backend,
            root.unwrap_or_default(),
            self.ids.0.to_string(),
            self.ids.1.to_string(),
        ];
        Role {
            process: RoleProcess::start(&words, end.into_end()),
            parent: Some(parent),
        }
    }
}

/// What the child does: takes the orders and the channel, which is its descriptor 0, and is the role.
pub fn be(words: &[String]) -> u8 {
    let number = |index: usize| words[index].parse::<u32>().expect("a number");
    let orders = Orders {
        confinement: Confinement {
            root: Some(PathBuf::from(&words[1])).filter(|_| !words[1].is_empty()),
            identity: Identity {
                uid: Uid::from_raw(number(2)),
                gid: Gid::from_raw(number(3)),
            },
        },
        backend: match words[0].parse() {
            Ok(number) => Backend::Memory(number),
            Err(_) => Backend::from_address(&words[0]).expect("an address"),
        },
    };
    let channel = std::io::stdin().as_fd().try_clone_to_owned();
    store::run(
        &orders,
        StoreToParent::from_end(channel.expect("a channel")),
    )
}

pub struct Role {
    process: RoleProcess,
    /// `None`: closed by the test.
    parent: Option<ParentToStore>,
}

impl Role {
    fn parent(&self) -> &ParentToStore {
        self.parent.as_ref().expect("still open")
    }

    /// The next line for the log.
    pub fn report(&self) -> StoreReport {
        self.parent().receive_within(LIMIT).expect("a report").0
    }

    /// There is nothing for the log now.
    pub fn assert_says_nothing(&self) {
        assert!(self.parent().try_receive().expect("it lives").is_none());
    }

    pub fn worker(&self) -> Worker {
        let (ours, theirs) = WorkerToStore::pair().expect("a channel");
        self.introduce(StoreToWorker::as_fd(&theirs));
        Worker { channel: ours }
    }

    pub fn introduce(&self, end: BorrowedFd<'_>) {
        let sent = self.parent().send(&NewWorker, &[end]);
        sent.expect("the role lives");
    }

    pub fn process(&self) -> Process {
        self.process.process()
    }

    /// Closes the channel and waits for the end.
    pub fn end(&mut self) -> Option<i32> {
        self.parent = None;
        self.ended()
    }

    /// Waits for the end; the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.process.wait()
    }
}

pub struct Worker {
    pub channel: WorkerToStore,
}

pub fn id(number: u32) -> SessionId {
    let mut id = [0xab; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id
}

impl Worker {
    pub fn put(&self, number: u32, sealed: &[u8]) {
        self.put_for(number, 7200, sealed);
    }

    pub fn put_for(&self, number: u32, lifetime: u32, sealed: &[u8]) {
        self.send(&ToStore::Put {
            id: id(number),
            lifetime,
            sealed: sealed.to_vec(),
        });
    }

    /// Puts a session until it is found: a server may not be there yet, or not any more.
    #[cfg(feature = "redis")]
    pub fn eventually_keeps(&self, number: u32, sealed: &[u8]) {
        crate::common::eventually("a session that is kept", || {
            self.put(number, sealed);
            self.get(number).filter(|found| found == sealed)
        });
    }

    pub fn ask(&self, token: u64, number: u32, once: bool) {
        let id = id(number);
        self.send(&ToStore::Get { token, id, once });
    }

    fn send(&self, message: &ToStore) {
        self.channel.send(message, &[]).expect("the role lives");
    }

    pub fn answer(&self) -> Found {
        self.channel.receive_within(LIMIT).expect("an answer").0
    }

    pub fn get(&self, number: u32) -> Option<Vec<u8>> {
        self.find(number, false)
    }

    pub fn take(&self, number: u32) -> Option<Vec<u8>> {
        self.find(number, true)
    }

    fn find(&self, number: u32, once: bool) -> Option<Vec<u8>> {
        let token = u64::from(number) << 8;
        self.ask(token, number, once);
        let found = self.answer();
        assert_eq!(found.token, token);
        found.sealed
    }

    /// Its channel is closed by the store.
    pub fn assert_is_cut_off(&self) {
        assert!(self.channel.receive_within(LIMIT).is_err());
    }
}
