//! A session's way to the keeper: one ticket to open and one signature, and nothing after that.
#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::time::Duration;

use crate::privsep::message::{Reply, Request, SessionToKeeper};
use crate::tls::provider::Keeper;
use crate::tls::tickets::{TicketKey, TicketName};

/// A keeper that does not answer in this time is dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// The keeper as this process reaches it.
pub struct RemoteKeeper {
    channel: SessionToKeeper,
    /// Came with the last answer, for the ticket that ends the handshake.
    fresh: Mutex<Option<TicketKey>>,
}

impl RemoteKeeper {
    pub fn new(channel: SessionToKeeper) -> RemoteKeeper {
        RemoteKeeper {
            channel,
            fresh: Mutex::new(None),
        }
    }

    fn ask(&self, request: &Request) -> Option<Reply> {
        self.channel.send(request, &[]).ok()?;
        let (mut reply, _) = self.channel.receive_within(PATIENCE).ok()?;
        if let (Some(fresh), Ok(mut place)) = (reply.fresh.take(), self.fresh.lock()) {
            *place = Some(fresh);
        }
        Some(reply)
    }
}

impl Keeper for RemoteKeeper {
    fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>> {
        let request = Request::Sign {
            key,
            scheme,
            message: message.to_vec(),
        };
        Some(self.ask(&request)?.signature)
    }

    fn new_ticket(&self) -> Option<TicketKey> {
        self.fresh.lock().ok()?.clone()
    }

    fn open_ticket(&self, name: TicketName) -> Option<TicketKey> {
        self.ask(&Request::Open(name))?.opened
    }
}
