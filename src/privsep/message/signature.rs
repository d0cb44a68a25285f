//! What sessions ask of the keeper: signatures and the keys of tickets.
#![forbid(unsafe_code)]

use crate::privsep::channel::{Message, Reader, Writer};
use crate::tls::tickets::{TicketKey, TicketName};

/// Terminator to keeper, with one descriptor: the channel of a session that may have one signature.
pub struct NewSession;

impl Message for NewSession {
    const MAX: usize = 1;

    fn encode(&self, out: &mut Writer) {
        out.byte(b'S');
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        (input.byte()? == b'S').then_some(NewSession)
    }
}

/// Session to keeper: one of each kind, the ticket first.
pub enum Request {
    Sign {
        /// Which key, in the order the terminator learned them.
        key: u16,
        /// TLS SignatureScheme (RFC 8446, 4.2.3).
        scheme: u16,
        message: Vec<u8>,
    },
    /// The keys of a ticket that the client brought.
    Open(TicketName),
    /// The keys of a ticket to be; a session gets them with its signature.
    Fresh,
}

impl Message for Request {
    /// The longest honest message carries DHE parameters of 8192 bits.
    const MAX: usize = 4096;

    fn encode(&self, out: &mut Writer) {
        match self {
            Request::Sign {
                key,
                scheme,
                message,
            } => {
                out.byte(b'S');
                out.short(*key);
                out.short(*scheme);
                out.string(message);
            }
            Request::Open(name) => {
                out.byte(b'O');
                out.string(name);
            }
            Request::Fresh => out.byte(b'F'),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'S' => Some(Request::Sign {
                key: input.short()?,
                scheme: input.short()?,
                message: input.string()?.to_vec(),
            }),
            b'O' => Some(Request::Open(input.string()?.try_into().ok()?)),
            b'F' => Some(Request::Fresh),
            _ => None,
        }
    }
}

/// Keeper to session. A refusal closes the channel instead.
#[derive(Default)]
pub struct Reply {
    /// Empty if none was asked for.
    pub signature: Vec<u8>,
    /// The ticket that was to be opened, if it can be.
    pub opened: Option<TicketKey>,
    /// For the ticket that the client gets at the end.
    pub fresh: Option<TicketKey>,
}

impl Message for Reply {
    const MAX: usize = 4096;

    fn encode(&self, out: &mut Writer) {
        out.string(&self.signature);
        for key in [&self.opened, &self.fresh] {
            match key {
                Some(key) => {
                    out.string(&key.name);
                    out.string(&key.cipher);
                    out.string(&key.mac);
                }
                None => out.string(b""),
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let signature = input.string()?.to_vec();
        let mut key = || -> Option<Option<TicketKey>> {
            let name = input.string()?;
            if name.is_empty() {
                return Some(None);
            }
            Some(Some(TicketKey {
                name: name.try_into().ok()?,
                cipher: input.string()?.try_into().ok()?,
                mac: input.string()?.try_into().ok()?,
            }))
        };
        let (opened, fresh) = (key()?, key()?);
        Some(Reply {
            signature,
            opened,
            fresh,
        })
    }
}
