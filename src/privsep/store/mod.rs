//! The store: keeps sealed sessions for all workers, so that a client may come back to another one. It has no key and
//! understands nothing of what it keeps, which is in its memory or in a Redis server that machines share.
//!
//! Each worker has a channel of its own, brought by the parent. A worker that breaks its word loses its channel, and
//! nothing that a worker or the server does holds up another worker.
#![forbid(unsafe_code)]

#[cfg(feature = "redis")]
mod address;
mod memory;
#[cfg(feature = "redis")]
mod resolve;
#[cfg(feature = "redis")]
mod server;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_local, yield_now};

use self::memory::Memory;
use super::channel::Channel;
use super::line::Line;
use super::message::{Found, NewWorker, StoreReport, StoreToParent, ToStore};
use super::role::{self, Confinement};
use super::sandbox;
use crate::tls::sessions::SessionId;

/// The longest that a session is kept in seconds, whatever a worker says (RFC 5246, F.1.4).
const LONGEST: u32 = 24 * 3600;
/// Questions of one worker that wait for the server; one more is answered at once with nothing.
#[cfg(feature = "redis")]
const MOST_QUESTIONS: usize = 1024;

/// What the store needs to know from its parent.
#[derive(Clone)]
pub struct Orders {
    pub confinement: Confinement,
    pub backend: Backend,
}

/// Where the sessions are.
#[derive(Clone)]
pub enum Backend {
    /// So many in the memory of the process; one more takes the place of the one that was not asked for the longest.
    Memory(usize),
    #[cfg(feature = "redis")]
    Server(address::Address),
}

/// The address of a server that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAddress(String);

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Backend {
    /// Reads the address of a server: `redis://[[user]:password@]host[:port][/db]`, or `redis+unix:///path`
    /// (`unix:///path`), there with `?db=`, `user=` and `pass=`.
    #[cfg(feature = "redis")]
    pub fn from_address(text: &str) -> Result<Backend, BadAddress> {
        address::parse(text)
            .map(Backend::Server)
            .map_err(BadAddress)
    }

    #[cfg(not(feature = "redis"))]
    pub fn from_address(_: &str) -> Result<Backend, BadAddress> {
        Err(BadAddress(
            "this program was built without the feature \"redis\"".into(),
        ))
    }
}

/// Runs the store to its end, which is the parent's.
pub fn run(orders: &Orders, parent: StoreToParent) -> u8 {
    role::take_up(c"ssl-store");
    let (runtime, keeping) = match prepare(orders) {
        Ok(prepared) => prepared,
        Err(text) => {
            let _ = parent.send(&StoreReport::Fatal(text), &[]);
            return 111;
        }
    };
    if parent.send(&StoreReport::Ready, &[]).is_err() {
        return 0;
    }
    LocalSet::new().block_on(&runtime, serve(keeping, parent));
    0
}

/// Everything that takes a file, a name or a new kind of descriptor happens here, before the process is confined.
fn prepare(orders: &Orders) -> Result<(Runtime, Keeping), String> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_io().enable_time().build();
    let runtime = runtime
        .map_err(|error| format!("fatal: (111) unable to prepare the session store: {error}"))?;
    let confine = |confinement: &Confinement, families: &[_], ports: &[u16]| {
        role::confine(confinement).map_err(|error| format!("fatal: (111) {error}"))?;
        sandbox::confine_store(families, ports)
    };
    let keeping = match &orders.backend {
        Backend::Memory(capacity) => {
            confine(&orders.confinement, &[], &[])?;
            Keeping::Memory(Rc::new(RefCell::new(Memory::new(*capacity))))
        }
        #[cfg(feature = "redis")]
        Backend::Server(address) => {
            let server = server::Server::prepare(address, &orders.confinement)
                .map_err(|reason| format!("fatal: (111) session store {address}: {reason}"))?;
            confine(
                &address.within_reach(&orders.confinement),
                address.families(),
                address.port().as_slice(),
            )?;
            Keeping::Server(Rc::new(server))
        }
    };
    Ok((runtime, keeping))
}

/// Takes workers until the parent is gone.
async fn serve(keeping: Keeping, parent: StoreToParent) {
    let Ok(parent) = Line::new(parent).map(Rc::new) else {
        return;
    };
    #[cfg(feature = "redis")]
    if let Keeping::Server(server) = &keeping {
        spawn_local(server.clone().stay_connected(parent.clone()));
    }
    while let Some((NewWorker, ends)) = parent.receive().await {
        for end in ends {
            // Without a place to wait for it the worker sees its channel close, and does without sessions.
            if let Ok(worker) = Line::new(Channel::from_end(end)) {
                spawn_local(attend(Rc::new(worker), keeping.clone()));
            }
        }
    }
}

/// Serves a worker until it is gone or breaks its word.
async fn attend(worker: Rc<Line<Found, ToStore>>, keeping: Keeping) {
    // Every question under way holds one.
    #[cfg(feature = "redis")]
    let place = Rc::new(());
    while let Some((message, _)) = worker.receive().await {
        match message {
            ToStore::Put {
                id,
                lifetime,
                sealed,
            } => keeping.put(id, lifetime, sealed),
            ToStore::Get { token, id, once } => match &keeping {
                Keeping::Memory(memory) => {
                    let sealed = memory.borrow_mut().get(&id, once, Instant::now());
                    worker.send(&Found { token, sealed }).await;
                }
                #[cfg(feature = "redis")]
                Keeping::Server(_) if Rc::strong_count(&place) > MOST_QUESTIONS => {
                    let sealed = None;
                    worker.send(&Found { token, sealed }).await;
                }
                #[cfg(feature = "redis")]
                Keeping::Server(server) => {
                    let (server, worker, place) = (server.clone(), worker.clone(), place.clone());
                    spawn_local(async move {
                        let sealed = server.get(&id, once).await;
                        worker.send(&Found { token, sealed }).await;
                        drop(place);
                    });
                }
            },
        }
        // Otherwise a worker that sends faster than it is read would be the only one to be heard.
        yield_now().await;
    }
}

/// The sessions, for all tasks.
#[derive(Clone)]
enum Keeping {
    Memory(Rc<RefCell<Memory>>),
    #[cfg(feature = "redis")]
    Server(Rc<server::Server>),
}

impl Keeping {
    /// `lifetime` is in seconds.
    fn put(&self, id: SessionId, lifetime: u32, sealed: Vec<u8>) {
        let lifetime = lifetime.min(LONGEST);
        match self {
            // No server takes it.
            _ if lifetime == 0 => {}
            Keeping::Memory(memory) => {
                let lifetime = Duration::from_secs(lifetime.into());
                let mut memory = memory.borrow_mut();
                memory.put(id, lifetime, sealed, Instant::now());
            }
            #[cfg(feature = "redis")]
            Keeping::Server(server) => server.clone().put(id, lifetime, sealed),
        }
    }
}
