//! What a session reports.
#![forbid(unsafe_code)]

use super::{MAX_TEXT, clip};
use crate::privsep::channel::{Message, Reader, Writer};

/// The `SSL_*` variables of a connection, a client's certificate chain among them.
pub const MAX_ENVIRONMENT: usize = 96 * 1024;

/// Session to listener.
pub enum SessionReport {
    /// The handshake is done: the application may start.
    Established {
        facts: Facts,
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

/// What TLS agreed on, for the log and the counters; in the library's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `TLSv1.3`
    pub protocol: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
    /// `x25519`; empty if no key was exchanged or the group has no name.
    pub group: String,
    /// The server name that the client asked for, as it wrote it; empty: none.
    pub name: String,
    pub resumed: bool,
}

impl Facts {
    fn encode(&self, out: &mut Writer) {
        for text in [&self.protocol, &self.cipher, &self.group, &self.name] {
            out.string(clip(text));
        }
        out.byte(self.resumed.into());
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        Some(Facts {
            protocol: input.text()?,
            cipher: input.text()?,
            group: input.text()?,
            name: input.text()?,
            resumed: input.byte()? != 0,
        })
    }
}

/// How a relay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both sides said all they had to say.
    Complete,
    /// The same, but the peer's end was no close_notify: somebody may have cut it off. Only clients tell.
    Cut,
    /// The client went away before the application was done.
    ClientGone(String),
    /// The application never asked for TLS.
    Plain,
    /// Nothing moved for twice the time of `-w`.
    Idle,
    /// The client broke the protocol.
    Broken(String),
}

impl Message for SessionReport {
    const MAX: usize = 64 + 4 * MAX_TEXT + MAX_ENVIRONMENT;

    fn encode(&self, out: &mut Writer) {
        match self {
            SessionReport::Established { facts, environment } => {
                out.byte(b'E');
                facts.encode(out);
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
                    Ending::Cut => (b'T', ""),
                    Ending::ClientGone(reason) => (b'G', reason.as_str()),
                    Ending::Idle => (b'I', ""),
                    Ending::Plain => (b'P', ""),
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
                facts: Facts::decode(input)?,
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
                    b'T' => Ending::Cut,
                    b'G' => Ending::ClientGone(text),
                    b'I' => Ending::Idle,
                    b'P' => Ending::Plain,
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
