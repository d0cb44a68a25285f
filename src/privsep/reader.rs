//! The keeper's second thread: it reads keys and certificates, which may take seconds, while the first goes on signing.
//! It is started before the keeper's system calls are filtered, and is filtered with it.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use crate::tls::material::{self, Files, Material, SetFiles};
use crate::tls::tickets::TicketSecrets;
use crate::tls::watch::Seen;

/// What it is to do.
pub enum Order {
    Set(Wanted, Box<SetFiles>, Files),
    Tickets(PathBuf, Files),
    /// Look whether anything has changed since it was read.
    Look,
    /// Nobody needs this set any more.
    Forget(u32),
}

/// Which set, and what for.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub number: u32,
    /// The terminator that is to be told of it; `None`: it is read again for those to come.
    pub terminator: Option<u32>,
}

/// What became of it. Errors are the reason with the file's name in it.
pub enum Outcome {
    Set(Wanted, Box<Result<Material, String>>),
    Tickets(Result<(TicketSecrets, Vec<String>), String>),
    Changed,
}

pub struct Reader {
    orders: mpsc::Sender<Order>,
    outcomes: mpsc::Receiver<Outcome>,
    bell: UnixStream,
}

impl Reader {
    /// Starts the thread. Errors are those of pthread_create(3) and socketpair(2).
    pub fn start(password: Option<Vec<u8>>) -> io::Result<Reader> {
        let (bell, button) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        button.set_nonblocking(true)?;
        let (orders, todo) = mpsc::channel();
        let (done, outcomes) = mpsc::channel();
        let work = move || {
            let mut seen = HashMap::new();
            while let Ok(order) = todo.recv() {
                let outcome = obey(order, password.as_deref(), &mut seen);
                if outcome.is_some_and(|outcome| done.send(outcome).is_err()) {
                    return;
                }
                // A bell that is still ringing need not be rung.
                let _ = (&button).write(&[1]);
            }
        };
        std::thread::Builder::new()
            .name("ssl-reader".into())
            .spawn(work)?;
        Ok(Reader {
            orders,
            outcomes,
            bell,
        })
    }

    /// A thread that is gone has left no work: panics are caught there.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Waits for the next outcome.
    pub fn wait(&self) -> Option<Outcome> {
        self.outcomes.recv().ok()
    }

    /// Stops the bell and answers with the outcomes that are there.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        let mut waste = [0; 64];
        while matches!((&self.bell).read(&mut waste), Ok(count) if count == waste.len()) {}
        self.outcomes.try_iter()
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// By the number of the set; that of the ticket keys is nobody's.
type Memory = HashMap<Option<u32>, (Paths, Seen)>;

enum Paths {
    Set(Box<SetFiles>),
    Tickets(PathBuf),
}

impl Paths {
    fn look(&self) -> Seen {
        let mut seen = Seen::default();
        match self {
            Paths::Set(files) => seen.set(files, Path::to_owned),
            Paths::Tickets(path) => seen.file(path),
        }
        seen
    }
}

fn obey(order: Order, password: Option<&[u8]>, memory: &mut Memory) -> Option<Outcome> {
    match order {
        Order::Set(wanted, files, opened) => {
            remember(memory, Some(wanted.number), Paths::Set(files.clone()));
            let loaded = guarded(|| {
                let loaded = material::load(&opened, &files, password);
                loaded.map_err(|unusable| unusable.to_string())
            });
            Some(Outcome::Set(wanted, Box::new(loaded)))
        }
        Order::Tickets(path, opened) => {
            remember(memory, None, Paths::Tickets(path.clone()));
            let loaded = guarded(|| {
                let loaded = TicketSecrets::from_file(&opened, &path);
                loaded.map_err(|unusable| unusable.to_string())
            });
            Some(Outcome::Tickets(loaded))
        }
        Order::Forget(number) => {
            memory.remove(&Some(number));
            None
        }
        Order::Look => {
            let mut known = memory.values();
            let changed = known.any(|(paths, seen)| paths.look() != *seen);
            changed.then_some(Outcome::Changed)
        }
    }
}

/// Before it is read: what changes meanwhile is found changed.
fn remember(memory: &mut Memory, number: Option<u32>, paths: Paths) {
    let seen = paths.look();
    memory.insert(number, (paths, seen));
}

/// A defect in reading one file must not be the end of all signatures.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let outcome = catch_unwind(AssertUnwindSafe(read));
    outcome.unwrap_or_else(|_| Err("it could not be read for a defect of ours".into()))
}
