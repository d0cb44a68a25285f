//! What a role gives up for good once it is set up, over and above what [`super::role::confine`] took from all of them:
//! system calls, files and ports, descriptors and processes.
#![forbid(unsafe_code)]

mod calls;
mod enclosure;
mod limits;

use enclosure::{Ports, Reach};

pub use enclosure::lack;

/// Descriptors for one connection at a time, whose ends are passed on: ten or so.
const PASSING_ON: u64 = 32;
/// The same, but by this limit the kernel counts as well what is on its way from this user to the keeper: in a burst,
/// one for each connection (unix(7), ETOOMANYREFS).
const INTRODUCING: u64 = 4096;
/// As many as are polled at once, so that no new one gets a number but in the place of 0, 1 or 2.
const NO_MORE: u64 = 3;
/// Sixteen threads that read a file or ask some servers.
const RESOLVING: u64 = 256;

/// What no role needs. Files may still be read here, and connections made.
pub fn confine_any() -> Result<(), String> {
    limits::usual();
    enclosure::enclose(&Reach {
        reads: true,
        ports: Ports::All,
        abstract_sockets: true,
    })
}

/// For the keeper with all its threads: files inside its root to read, but no new process and no socket.
pub fn confine_keeper() -> Result<(), String> {
    limits::no_processes();
    calls::keeper().apply_to_all_threads()
}

/// For the terminator, and inherited by its sessions, which lose forking as well ([`confine_child`]).
pub fn confine_terminator() -> Result<(), String> {
    limits::descriptors(INTRODUCING);
    close(&Reach::default())?;
    calls::parent().apply()
}

/// For a process that has many sessions.
pub fn confine_shared() -> Result<(), String> {
    limits::no_processes();
    close(&Reach::default())?;
    calls::shared().apply()
}

/// For the roles of a client, which have read everything and work with what they hold.
pub fn confine_client() -> Result<(), String> {
    close(&Reach::default())?;
    confine_child();
    calls::shared().apply()
}

/// For the lookup process: name servers and IDENT servers at these TCP ports; UDP is not told apart.
pub fn confine_lookup(ports: &[u16], descriptors: u64) -> Result<(), String> {
    limits::no_processes();
    limits::descriptors(descriptors);
    close(&Reach {
        ports: Ports::Some(ports),
        ..Reach::default()
    })?;
    calls::lookup().apply()
}

/// For the store of sessions: sockets of the families that its server may have, and its port; none without a server.
pub fn confine_store(families: &[libc::c_int], ports: &[u16]) -> Result<(), String> {
    limits::no_processes();
    close(&Reach {
        ports: Ports::Some(ports),
        ..Reach::default()
    })?;
    calls::store(families).apply()
}

/// For a worker: backends at these TCP ports, and at abstract Unix sockets if one of them is there.
pub fn confine_worker(ports: &[u16], abstract_sockets: bool) -> Result<(), String> {
    limits::no_processes();
    close(&Reach {
        ports: Ports::Some(ports),
        abstract_sockets,
        ..Reach::default()
    })?;
    calls::worker().apply()
}

/// For a keeper that has read everything and forks a signer for each worker.
pub fn confine_safe() -> Result<(), String> {
    limits::descriptors(PASSING_ON);
    close(&Reach::default())?;
    calls::parent().apply()
}

/// For the resolver with all its threads.
pub fn confine_resolver() -> Result<(), String> {
    limits::no_processes();
    limits::descriptors(RESOLVING);
    calls::resolver().apply_to_all_threads()
}

/// For the router: connections to Unix sockets, and from wherever it listens.
pub fn confine_router() -> Result<(), String> {
    calls::router().apply()
}

/// Takes from a session or a signer what its parent's calls leave it: making processes and descriptors.
pub fn confine_child() {
    limits::no_processes();
    limits::descriptors(NO_MORE);
}

fn close(reach: &Reach<'_>) -> Result<(), String> {
    enclosure::enclose(reach).map_err(|text| format!("fatal: (111) {text}"))
}
