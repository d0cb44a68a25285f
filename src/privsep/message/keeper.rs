//! What the keeper hears and says.
#![forbid(unsafe_code)]

use super::{MAX_TEXT, clip};
use crate::privsep::channel::{Message, Reader, Writer};
use crate::tls::tickets::{TicketKey, TicketName};

/// A certificate chain in DER, or DH parameters.
const MAX_CHAIN: usize = 128 * 1024;
const MAX_CHAIN_LENGTH: usize = 32;

/// Listener to keeper.
pub enum ToKeeper {
    /// With one descriptor: the channel of a new terminator, which gets the public parts.
    Terminator,
}

impl Message for ToKeeper {
    const MAX: usize = 1;

    fn encode(&self, out: &mut Writer) {
        out.byte(b'T');
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        (input.byte()? == b'T').then_some(ToKeeper::Terminator)
    }
}

/// Keeper to listener.
pub enum FromKeeper {
    /// Everything is read and fits together. The DH parameters have so many bits; 0: there are none.
    Loaded { dh_bits: u32 },
    /// A line for the log that changes nothing.
    Warning(String),
    /// The keys cannot be used; the keeper leaves.
    Fatal(String),
}

impl Message for FromKeeper {
    const MAX: usize = 16 + MAX_TEXT;

    fn encode(&self, out: &mut Writer) {
        match self {
            FromKeeper::Loaded { dh_bits } => {
                out.byte(b'L');
                out.word(*dh_bits);
            }
            FromKeeper::Warning(text) => {
                out.byte(b'W');
                out.string(clip(text));
            }
            FromKeeper::Fatal(text) => {
                out.byte(b'F');
                out.string(clip(text));
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'L' => Some(FromKeeper::Loaded {
                dh_bits: input.word()?,
            }),
            b'W' => Some(FromKeeper::Warning(input.text()?)),
            b'F' => Some(FromKeeper::Fatal(input.text()?)),
            _ => None,
        }
    }
}

/// Keeper to terminator: what everybody may know of the keys.
pub enum PublicPart {
    /// One key's certificates in DER, the server's first. Keys are numbered in the order of these messages.
    Chain(Vec<Vec<u8>>),
    /// DH parameters in PEM.
    DhParameters(Vec<u8>),
    /// A certificate in DER that clients' may be traced back to.
    Anchor(Vec<u8>),
    /// A certificate in DER whose subject clients are told.
    Name(Vec<u8>),
    /// A list of revoked certificates in DER.
    Revoked(Vec<u8>),
    End,
}

impl Message for PublicPart {
    const MAX: usize = 64 + MAX_CHAIN;

    fn encode(&self, out: &mut Writer) {
        match self {
            PublicPart::Chain(certificates) => {
                out.byte(b'C');
                out.word(u32::try_from(certificates.len()).unwrap_or(u32::MAX));
                for certificate in certificates {
                    out.string(certificate);
                }
            }
            PublicPart::DhParameters(pem) => {
                out.byte(b'D');
                out.string(pem);
            }
            PublicPart::Anchor(der) => {
                out.byte(b'A');
                out.string(der);
            }
            PublicPart::Name(der) => {
                out.byte(b'N');
                out.string(der);
            }
            PublicPart::Revoked(der) => {
                out.byte(b'R');
                out.string(der);
            }
            PublicPart::End => out.byte(b'E'),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'C' => {
                let count = usize::try_from(input.word()?).ok()?;
                if count == 0 || count > MAX_CHAIN_LENGTH {
                    return None;
                }
                (0..count)
                    .map(|_| input.string().map(<[u8]>::to_vec))
                    .collect::<Option<_>>()
                    .map(PublicPart::Chain)
            }
            b'D' => Some(PublicPart::DhParameters(input.string()?.to_vec())),
            b'A' => Some(PublicPart::Anchor(input.string()?.to_vec())),
            b'N' => Some(PublicPart::Name(input.string()?.to_vec())),
            b'R' => Some(PublicPart::Revoked(input.string()?.to_vec())),
            b'E' => Some(PublicPart::End),
            _ => None,
        }
    }
}

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
            _ => None,
        }
    }
}

/// Keeper to session. A refusal closes the channel instead.
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
