//! Every message between roles, by who sends it to whom.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::channel::{Channel, Message, Reader, Writer};
use crate::tls::tickets::{TicketKey, TicketName};

/// Text for the log that one role hands another.
const MAX_TEXT: usize = 4096;
/// A certificate chain in DER, or DH parameters.
const MAX_CHAIN: usize = 128 * 1024;
const MAX_CHAIN_LENGTH: usize = 32;
/// The `SSL_*` variables of a connection, a client's certificate chain among them.
const MAX_ENVIRONMENT: usize = 96 * 1024;

pub type ListenerToKeeper = Channel<ToKeeper, FromKeeper>;
pub type KeeperToListener = Channel<FromKeeper, ToKeeper>;
pub type KeeperToTerminator = Channel<PublicPart, NewSession>;
pub type TerminatorToKeeper = Channel<NewSession, PublicPart>;
pub type SessionToKeeper = Channel<Request, Reply>;
pub type KeeperToSession = Channel<Reply, Request>;
pub type ListenerToTerminator = Channel<ToTerminator, FromTerminator>;
pub type TerminatorToListener = Channel<FromTerminator, ToTerminator>;
pub type ListenerToSession = Channel<Nothing, SessionReport>;
pub type SessionToListener = Channel<SessionReport, Nothing>;

/// The sender of this direction never speaks.
pub enum Nothing {}

impl Message for Nothing {
    const MAX: usize = 1;

    fn encode(&self, _: &mut Writer) {
        match *self {}
    }

    fn decode(_: &mut Reader<'_>) -> Option<Self> {
        None
    }
}

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

/// Listener to terminator, with four descriptors: the client, the application's input (to write), its output
/// (to read), and the session's end of its report channel. A fifth is the end of the channel on which the application
/// says when TLS begins.
pub struct ToTerminator {
    /// Milliseconds left for the handshake.
    pub patience: u32,
    pub client: IpAddr,
    /// The client's name, if somebody knows it.
    pub host: Option<String>,
}

impl Message for ToTerminator {
    const MAX: usize = 1024;

    fn encode(&self, out: &mut Writer) {
        out.word(self.patience);
        match self.client {
            IpAddr::V4(ip) => out.string(&ip.octets()),
            IpAddr::V6(ip) => out.string(&ip.octets()),
        }
        out.string(self.host.as_deref().unwrap_or_default().as_bytes());
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let patience = input.word()?;
        let octets = input.string()?;
        let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        let client = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
        Some(ToTerminator {
            patience,
            client: client.ok()?,
            host: Some(input.text()?).filter(|host| !host.is_empty()),
        })
    }
}

/// Terminator to listener.
pub enum FromTerminator {
    Ready,
    Fatal(String),
    /// No process could be made for a connection; it waits and is tried again.
    Short(String),
    /// Processes can be made again.
    Recovered,
}

impl Message for FromTerminator {
    const MAX: usize = 16 + MAX_TEXT;

    fn encode(&self, out: &mut Writer) {
        let (tag, text) = match self {
            FromTerminator::Ready => (b'R', ""),
            FromTerminator::Fatal(text) => (b'F', text.as_str()),
            FromTerminator::Short(text) => (b'S', text.as_str()),
            FromTerminator::Recovered => (b'G', ""),
        };
        out.byte(tag);
        out.string(clip(text));
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let tag = input.byte()?;
        let text = input.text()?;
        match tag {
            b'R' => Some(FromTerminator::Ready),
            b'F' => Some(FromTerminator::Fatal(text)),
            b'S' => Some(FromTerminator::Short(text)),
            b'G' => Some(FromTerminator::Recovered),
            _ => None,
        }
    }
}

/// Session to listener.
pub enum SessionReport {
    /// The handshake is done: the application may start.
    Established {
        /// Protocol and cipher as the log shows them, `TLSv1.3:TLS_AES_256_GCM_SHA384`.
        summary: String,
        /// `SSL_*` variables as `NAME=value` strings, each closed by NUL; empty if nobody asked for them.
        environment: Vec<u8>,
    },
    /// No handshake; the session leaves.
    Failed { pid: u32, reason: String },
    /// The handshake was done, but the client is not whom it must be; the session leaves.
    Refused { reason: String },
    /// The relay is over; the session leaves.
    Finished {
        /// Decrypted bytes from the client, and bytes of the application's.
        received: u64,
        sent: u64,
        ending: Ending,
    },
}

/// How a relay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both sides said all they had to say.
    Complete,
    /// The client went away before the application was done.
    ClientGone(String),
    /// The application never asked for TLS.
    Plain,
    /// There was no handshake, and a [`SessionReport::Failed`] said why.
    Failed,
    /// Nothing moved for twice the time of `-w`.
    Idle,
    /// The client broke the protocol.
    Broken(String),
}

impl Message for SessionReport {
    const MAX: usize = 64 + MAX_TEXT + MAX_ENVIRONMENT;

    fn encode(&self, out: &mut Writer) {
        match self {
            SessionReport::Established {
                summary,
                environment,
            } => {
                out.byte(b'E');
                out.string(clip(summary));
                out.string(environment);
            }
            SessionReport::Failed { pid, reason } => {
                out.byte(b'F');
                out.word(*pid);
                out.string(clip(reason));
            }
            SessionReport::Refused { reason } => {
                out.byte(b'R');
                out.string(clip(reason));
            }
            SessionReport::Finished {
                received,
                sent,
                ending,
            } => {
                let (tag, text) = match ending {
                    Ending::Complete => (b'C', ""),
                    Ending::ClientGone(reason) => (b'G', reason.as_str()),
                    Ending::Idle => (b'I', ""),
                    Ending::Plain => (b'P', ""),
                    Ending::Failed => (b'F', ""),
                    Ending::Broken(reason) => (b'B', reason.as_str()),
                };
                out.byte(b'D');
                out.long(*received);
                out.long(*sent);
                out.byte(tag);
                out.string(clip(text));
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'E' => Some(SessionReport::Established {
                summary: input.text()?,
                environment: input.string()?.to_vec(),
            }),
            b'F' => Some(SessionReport::Failed {
                pid: input.word()?,
                reason: input.text()?,
            }),
            b'R' => Some(SessionReport::Refused {
                reason: input.text()?,
            }),
            b'D' => {
                let received = input.long()?;
                let sent = input.long()?;
                let tag = input.byte()?;
                let text = input.text()?;
                let ending = match tag {
                    b'C' => Ending::Complete,
                    b'G' => Ending::ClientGone(text),
                    b'I' => Ending::Idle,
                    b'P' => Ending::Plain,
                    b'F' => Ending::Failed,
                    b'B' => Ending::Broken(text),
                    _ => return None,
                };
                Some(SessionReport::Finished {
                    received,
                    sent,
                    ending,
                })
            }
            _ => None,
        }
    }
}

/// Cuts a text at the bound of the channel rather than losing the message.
fn clip(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(MAX_TEXT)]
}
