//! The way of a process with many connections to whoever signs for it: it waits for the answer, which takes as long as
//! the signature itself would have.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::channel::ChannelError;
use super::message::{Reply, Request, WorkerToSigner};
use crate::tls::provider::Keeper;
use crate::tls::tickets::{Remembered, TicketKey, TicketName};

/// All connections wait with the one whose signature takes longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Signer {
    channel: WorkerToSigner,
    tickets: RefCell<Remembered>,
    /// Answers that came too late, or are still to come: to be told from those that are waited for.
    owed: Cell<u32>,
    lost: Arc<AtomicBool>,
}

impl Signer {
    /// The flag becomes true when the signer is gone or does not answer.
    pub fn new(channel: WorkerToSigner) -> (Signer, Arc<AtomicBool>) {
        // A channel that takes no limit has none, and its end is noticed all the same.
        let _ = channel.limit_waits(PATIENCE);
        let lost = Arc::new(AtomicBool::new(false));
        let signer = Signer {
            channel,
            tickets: RefCell::default(),
            owed: Cell::new(0),
            lost: lost.clone(),
        };
        (signer, lost)
    }

    fn ask(&self, request: &Request) -> Option<Reply> {
        let answer = self.try_ask(request);
        if let Err(error) = &answer {
            if let ChannelError::TimedOut = error {
                self.owed.set(self.owed.get() + 1);
            }
            self.lost.store(true, Ordering::Relaxed);
        }
        answer.ok().flatten()
    }

    /// `None`: it owes an answer still, and whoever asked would wait in vain.
    fn try_ask(&self, request: &Request) -> Result<Option<Reply>, ChannelError> {
        while self.owed.get() > 0 {
            if self.channel.try_receive()?.is_none() {
                return Ok(None);
            }
            self.owed.set(self.owed.get() - 1);
        }
        self.channel.try_send(request, &[])?;
        let (reply, _) = self.channel.receive()?;
        Ok(Some(reply))
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
        let mut tickets = self.tickets.borrow_mut();
        tickets.fresh(Instant::now(), || self.ask(&Request::Fresh)?.fresh)
    }

    fn open_ticket(&self, name: TicketName) -> Option<TicketKey> {
        let mut tickets = self.tickets.borrow_mut();
        tickets.open(name, Instant::now(), || {
            self.ask(&Request::Open(name))?.opened
        })
    }
}
