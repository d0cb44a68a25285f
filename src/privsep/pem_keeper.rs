//! The keeper of a proxy: it reads every PEM while it still may, gives up root and files for good, and forks a signer
//! for each worker. It has no network.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::message::{
    FromKeeper, HeirToKeeper, Heritage, KeeperToHeir, KeeperToListener, KeeperToTerminator,
    SignerToWorker, ToKeeper,
};
use super::role::{self, Confinement};
use super::safe::{KeySet, Safe};
use super::sandbox;
use super::signer;
use crate::sys::{process, signal};
use crate::tls::material::Files;
use crate::tls::pems::PemFiles;
use crate::tls::tickets::{self, TicketSecrets};

/// The keeper before this one has the secrets at hand.
const HERITAGE_PATIENCE: Duration = Duration::from_secs(5);

/// What the keeper is to read.
pub struct Orders {
    pub confinement: Confinement,
    pub pems: PemFiles,
    /// The secrets of tickets, if they are not to be the keeper's own.
    pub ticket_keys: Option<PathBuf>,
}

/// Runs the keeper to its end, which is its parent's. The secrets of tickets come from the keeper before it, if there
/// is one.
pub fn run(orders: &Orders, parent: KeeperToListener, before: Option<HeirToKeeper>) -> u8 {
    role::take_up(c"ssl-keeper");
    // Nobody waits for a signer's exit code.
    signal::ignore(&[Signal::SIGCHLD]);
    let (mut safe, warnings) = match prepare(orders, before) {
        Ok(prepared) => prepared,
        Err(text) => {
            let _ = parent.send(&FromKeeper::Fatal(text), &[]);
            return 111;
        }
    };
    let warnings = warnings.into_iter().map(FromKeeper::Warning);
    for message in warnings.chain([FromKeeper::Loaded { dh_bits: 0 }]) {
        if parent.send(&message, &[]).is_err() {
            return 0;
        }
    }
    // Ends when the parent does, or breaks its word.
    while let Ok((order, ends)) = parent.receive() {
        match order {
            ToKeeper::Worker(_) => {
                if let Err(text) = start_signer(&mut safe, ends) {
                    let _ = parent.try_send(&FromKeeper::Warning(text), &[]);
                }
            }
            ToKeeper::Heir => {
                if let Some(end) = ends.into_iter().next() {
                    let heir = KeeperToHeir::from_end(end);
                    let _ = heir.try_send(&Heritage(safe.tickets.encode()), &[]);
                }
            }
            ToKeeper::Terminator(_)
            | ToKeeper::Set { .. }
            | ToKeeper::Tickets
            | ToKeeper::Look
            | ToKeeper::Forget(_) => return 111,
        }
    }
    0
}

fn prepare(orders: &Orders, before: Option<HeirToKeeper>) -> Result<(Safe, Vec<String>), String> {
    openssl::init();
    let mut warnings = Vec::new();
    let tickets = match &orders.ticket_keys {
        Some(path) => {
            let file = TicketSecrets::from_file(&Files::default(), path);
            let (secrets, more) = file.map_err(|unusable| unusable.to_string())?;
            warnings.extend(more);
            secrets
        }
        None => match before.and_then(|before| inherit(&before)) {
            Some(secrets) => secrets,
            None => TicketSecrets::random(tickets::now()).map_err(|stack| stack.to_string())?,
        },
    };
    let loaded = KeySet::of_pems(&orders.pems);
    let (set, more) = loaded.map_err(|unusable| unusable.to_string())?;
    warnings.extend(more);
    role::confine(&orders.confinement).map_err(|error| error.to_string())?;
    sandbox::confine_safe()?;
    Ok((Safe { set, tickets }, warnings))
}

/// The secrets of the keeper before this one.
fn inherit(before: &HeirToKeeper) -> Option<TicketSecrets> {
    let (Heritage(state), _) = before.receive_within(HERITAGE_PATIENCE).ok()?;
    TicketSecrets::decode(&state, tickets::now())
}

fn start_signer(safe: &mut Safe, ends: Vec<OwnedFd>) -> Result<(), String> {
    let body = |ends: Vec<OwnedFd>| {
        let Ok([publish, worker]) = <[OwnedFd; 2]>::try_from(ends) else {
            return 111;
        };
        let publish = KeeperToTerminator::from_end(publish);
        signer::run(safe, publish, SignerToWorker::from_end(worker))
    };
    match process::fork_role(ends, body) {
        Ok(_) => Ok(()),
        // The worker finds its channels closed, and is started again.
        Err((errno, _)) => Err(format!("no process for a signer: {}", errno.desc())),
    }
}
