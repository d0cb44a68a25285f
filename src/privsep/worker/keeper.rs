//! A worker's way to its signer: it waits for the answer, which takes as long as the signature itself would have.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::privsep::message::{Reply, Request, WorkerToSigner};
use crate::tls::provider::Keeper;
use crate::tls::tickets::{Remembered, TicketKey, TicketName};

/// A signer that does not answer in this time is dead.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Signer {
    channel: WorkerToSigner,
    tickets: Mutex<Remembered>,
    lost: Arc<AtomicBool>,
}

impl Signer {
    /// The flag becomes true when the signer is found to be gone.
    pub fn new(channel: WorkerToSigner) -> (Signer, Arc<AtomicBool>) {
        // A channel that takes no limit has none, and its end is noticed all the same.
        let _ = channel.limit_waits(PATIENCE);
        let lost = Arc::new(AtomicBool::new(false));
        let signer = Signer {
            channel,
            tickets: Mutex::default(),
            lost: lost.clone(),
        };
        (signer, lost)
    }

    fn ask(&self, request: &Request) -> Option<Reply> {
        let sent = self.channel.send(request, &[]);
        match sent.and_then(|()| self.channel.receive()) {
            Ok((reply, _)) => Some(reply),
            Err(_) => {
                self.lost.store(true, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Keeper for Signer {
    fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>> {
        let request = Request::Sign {
            key,
            scheme,
            message: message.to_vec(),
        };
        Some(self.ask(&request)?.signature)
    }

    fn new_ticket(&self) -> Option<TicketKey> {
        let mut tickets = self.tickets.lock().ok()?;
        tickets.fresh(Instant::now(), || self.ask(&Request::Fresh)?.fresh)
    }

    fn open_ticket(&self, name: TicketName) -> Option<TicketKey> {
        let mut tickets = self.tickets.lock().ok()?;
        tickets.open(name, Instant::now(), || {
            self.ask(&Request::Open(name))?.opened
        })
    }
}
