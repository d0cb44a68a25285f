//! What workers and the store of sessions say to each other, and what the store tells the parent.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use super::lookup::{address, put_address};
use super::{MAX_TEXT, clip};
use crate::privsep::channel::{Message, Reader, Writer};
use crate::tls::sessions::{MAX_SEALED, SessionId};

/// Parent to store, with one descriptor: the channel of a new worker.
pub struct NewWorker;

impl Message for NewWorker {
    const MAX: usize = 1;

    fn encode(&self, out: &mut Writer) {
        out.byte(b'W');
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        (input.byte()? == b'W').then_some(NewWorker)
    }
}

/// The most addresses of a server; one that has more has enough.
pub const MOST_ADDRESSES: usize = 16;

/// To the store, before it is confined, from a child of its own: where its server is, or why nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddresses(pub Result<Vec<SocketAddr>, String>);

impl Message for ServerAddresses {
    const MAX: usize = 16 + MAX_TEXT + 32 * MOST_ADDRESSES;

    fn encode(&self, out: &mut Writer) {
        match &self.0 {
            Ok(addresses) => {
                for &address in addresses {
                    out.byte(b'A');
                    put_address(out, address);
                }
                out.byte(b'E');
            }
            Err(reason) => {
                out.byte(b'X');
                out.string(clip(reason));
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let mut addresses = Vec::new();
        loop {
            match input.byte()? {
                b'A' if addresses.len() < MOST_ADDRESSES => addresses.push(address(input)?),
                b'E' => return Some(ServerAddresses(Ok(addresses))),
                b'X' if addresses.is_empty() => {
                    return Some(ServerAddresses(Err(input.text()?)));
                }
                _ => return None,
            }
        }
    }
}

/// Store to parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreReport {
    /// Workers may be introduced. A server elsewhere need not be there yet.
    Ready,
    /// The process cannot work; it leaves.
    Fatal(String),
    /// The server where the sessions are cannot be used, and why. Until it is back every question is answered with
    /// nothing.
    Down(String),
    /// It can be used again.
    Up,
}

impl Message for StoreReport {
    const MAX: usize = 16 + MAX_TEXT;

    fn encode(&self, out: &mut Writer) {
        match self {
            StoreReport::Ready => out.byte(b'R'),
            StoreReport::Fatal(text) => {
                out.byte(b'F');
                out.string(clip(text));
            }
            StoreReport::Down(text) => {
                out.byte(b'D');
                out.string(clip(text));
            }
            StoreReport::Up => out.byte(b'U'),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'R' => Some(StoreReport::Ready),
            b'F' => Some(StoreReport::Fatal(input.text()?)),
            b'D' => Some(StoreReport::Down(input.text()?)),
            b'U' => Some(StoreReport::Up),
            _ => None,
        }
    }
}

/// Worker to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToStore {
    /// Wants to be answered, with [`Found`].
    Get {
        /// Comes back with the answer.
        token: u64,
        id: SessionId,
        /// Nobody finds the session again.
        once: bool,
    },
    /// Keep this session, if there is room; never answered.
    Put {
        id: SessionId,
        /// In seconds.
        lifetime: u32,
        sealed: Vec<u8>,
    },
}

impl Message for ToStore {
    const MAX: usize = 64 + MAX_SEALED;

    fn encode(&self, out: &mut Writer) {
        match self {
            ToStore::Get { token, id, once } => {
                out.byte(b'G');
                out.long(*token);
                out.string(id);
                out.byte((*once).into());
            }
            ToStore::Put {
                id,
                lifetime,
                sealed,
            } => {
                out.byte(b'P');
                out.string(id);
                out.word(*lifetime);
                out.string(sealed);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'G' => Some(ToStore::Get {
                token: input.long()?,
                id: input.string()?.try_into().ok()?,
                once: match input.byte()? {
                    0 => false,
                    1 => true,
                    _ => return None,
                },
            }),
            b'P' => Some(ToStore::Put {
                id: input.string()?.try_into().ok()?,
                lifetime: input.word()?,
                sealed: bounded(input)?,
            }),
            _ => None,
        }
    }
}

/// Store to worker: what a question found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub token: u64,
    pub sealed: Option<Vec<u8>>,
}

impl Message for Found {
    const MAX: usize = 64 + MAX_SEALED;

    fn encode(&self, out: &mut Writer) {
        out.long(self.token);
        // No session is sealed in no bytes.
        out.string(self.sealed.as_deref().unwrap_or_default());
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        Some(Found {
            token: input.long()?,
            sealed: Some(bounded(input)?).filter(|sealed| !sealed.is_empty()),
        })
    }
}

fn bounded(input: &mut Reader<'_>) -> Option<Vec<u8>> {
    let sealed = input.string()?;
    (sealed.len() <= MAX_SEALED).then(|| sealed.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privsep::channel::Channel;
    use crate::privsep::message::{Nothing, StoreToWorker, WorkerToStore};

    fn pair() -> (WorkerToStore, StoreToWorker) {
        WorkerToStore::pair().unwrap()
    }

    #[test]
    fn questions_sessions_and_answers_arrive_as_they_were_sent() {
        let (worker, store) = pair();
        let get = ToStore::Get {
            token: u64::MAX - 1,
            id: [7; 32],
            once: true,
        };
        let put = ToStore::Put {
            id: [8; 32],
            lifetime: 7200,
            sealed: vec![9; MAX_SEALED],
        };
        for message in [get, put] {
            worker.send(&message, &[]).unwrap();
            assert_eq!(store.receive().unwrap().0, message);
        }
        for sealed in [None, Some(vec![1; MAX_SEALED])] {
            let message = Found { token: 3, sealed };
            store.send(&message, &[]).unwrap();
            assert_eq!(worker.receive().unwrap().0, message);
        }
    }

    #[test]
    fn the_addresses_of_a_server_arrive_as_they_were_found() {
        let (ours, theirs) = Channel::<Nothing, ServerAddresses>::pair().unwrap();
        let one = "[ffff:ffff::ffff%4294967295]:65535".parse().unwrap();
        let other = "192.0.2.1:6379".parse().unwrap();
        let most = [vec![one; MOST_ADDRESSES - 1], vec![other]].concat();
        for found in [Ok(most), Err("no such name".to_owned())] {
            let message = ServerAddresses(found);
            theirs.send(&message, &[]).unwrap();
            assert_eq!(ours.receive().unwrap().0, message);
        }
    }

    #[test]
    fn a_session_beyond_the_bound_ends_the_channel() {
        let (worker, store) = pair();
        let put = ToStore::Put {
            id: [8; 32],
            lifetime: 7200,
            sealed: vec![9; MAX_SEALED + 1],
        };
        worker.send(&put, &[]).unwrap();
        assert!(store.receive().is_err());
    }
}
