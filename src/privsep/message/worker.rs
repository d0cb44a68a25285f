//! What a worker hears from its parent, and says to it. The parent alone writes the log, so what a worker says is
//! facts and no lines.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::lookup::{address, put_address};
use super::{MAX_TEXT, clip};
use crate::privsep::channel::{Message, Reader, Writer};

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Tcp(SocketAddr),
    /// A Unix socket; one that begins with `@` is in the abstract namespace.
    Unix(PathBuf),
}

impl Target {
    /// The TCP port.
    pub fn port(&self) -> Option<u16> {
        match self {
            Target::Tcp(address) => Some(address.port()),
            Target::Unix(_) => None,
        }
    }

    pub fn is_abstract(&self) -> bool {
        matches!(self, Target::Unix(path) if path.as_os_str().as_bytes().starts_with(b"@"))
    }
}

/// Parent to worker.
pub enum ToWorker {
    /// The addresses of the backend of this number, from now on.
    Targets { backend: u16, targets: Vec<Target> },
    /// Take clients in from now on.
    Accept,
    /// Take in whoever is queued and nobody more, and end when the last connection does, or after so many
    /// milliseconds.
    Drain { patience: u64 },
}

impl Message for ToWorker {
    const MAX: usize = 64 * 1024;

    fn encode(&self, out: &mut Writer) {
        match self {
            ToWorker::Targets { backend, targets } => {
                out.byte(b'T');
                out.short(*backend);
                out.byte(u8::try_from(targets.len()).unwrap_or(u8::MAX));
                for target in targets {
                    match target {
                        Target::Tcp(place) => {
                            out.byte(b'T');
                            put_address(out, *place);
                        }
                        Target::Unix(path) => {
                            out.byte(b'U');
                            out.string(path.as_os_str().as_bytes());
                        }
                    }
                }
            }
            ToWorker::Accept => out.byte(b'A'),
            ToWorker::Drain { patience } => {
                out.byte(b'D');
                out.long(*patience);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'T' => {
                let backend = input.short()?;
                let targets = (0..input.byte()?).map(|_| match input.byte()? {
                    b'T' => address(input).map(Target::Tcp),
                    b'U' => {
                        let bytes = std::ffi::OsStr::from_bytes(input.string()?);
                        Some(Target::Unix(bytes.into()))
                    }
                    _ => None,
                });
                Some(ToWorker::Targets {
                    backend,
                    targets: targets.collect::<Option<_>>()?,
                })
            }
            b'A' => Some(ToWorker::Accept),
            b'D' => Some(ToWorker::Drain {
                patience: input.long()?,
            }),
            _ => None,
        }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Both sides said their end.
    Complete,
    /// Before TLS was agreed on.
    Handshake(String),
    /// No address of the backend could be reached.
    Unreached(String),
    /// The client went away in the middle.
    ClientGone(String),
    /// The backend broke off.
    BackendGone(String),
    /// The TLS peer broke the protocol.
    Broken(String),
    /// Nothing moved for too long.
    Idle,
    /// The time for a drain was over.
    Drained,
}

/// A connection that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub client: SocketAddr,
    /// The client for whom a proxy spoke.
    pub announced: Option<SocketAddr>,
    /// The name that it asked for.
    pub name: Vec<u8>,
    pub protocol: String,
    pub cipher: String,
    pub resumed: bool,
    /// Decrypted bytes from the TLS side, and to it.
    pub received: u64,
    pub sent: u64,
    pub milliseconds: u64,
    pub finish: Finish,
}

/// Worker to parent.
pub enum FromWorker {
    Ready,
    /// It accepts no more.
    Stopped,
    /// It cannot work, and leaves.
    Fatal(String),
    Finished(Box<Finished>),
    /// A backend does not answer at any address.
    Unreached {
        backend: u16,
        reason: String,
    },
    /// So many lines of the two kinds above were not sent, because there were too many.
    Withheld(u64),
    /// Accepting stopped for want of something, and goes on when there is some.
    Short(String),
    Recovered,
}

impl Message for FromWorker {
    const MAX: usize = 1024 + MAX_TEXT;

    fn encode(&self, out: &mut Writer) {
        match self {
            FromWorker::Ready => out.byte(b'R'),
            FromWorker::Stopped => out.byte(b'D'),
            FromWorker::Fatal(text) => {
                out.byte(b'F');
                out.string(clip(text));
            }
            FromWorker::Finished(finished) => {
                out.byte(b'E');
                finished.encode(out);
            }
            FromWorker::Unreached { backend, reason } => {
                out.byte(b'U');
                out.short(*backend);
                out.string(clip(reason));
            }
            FromWorker::Withheld(count) => {
                out.byte(b'W');
                out.long(*count);
            }
            FromWorker::Short(reason) => {
                out.byte(b'S');
                out.string(clip(reason));
            }
            FromWorker::Recovered => out.byte(b'G'),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        Some(match input.byte()? {
            b'R' => FromWorker::Ready,
            b'D' => FromWorker::Stopped,
            b'F' => FromWorker::Fatal(input.text()?),
            b'E' => FromWorker::Finished(Box::new(Finished::decode(input)?)),
            b'U' => FromWorker::Unreached {
                backend: input.short()?,
                reason: input.text()?,
            },
            b'W' => FromWorker::Withheld(input.long()?),
            b'S' => FromWorker::Short(input.text()?),
            b'G' => FromWorker::Recovered,
            _ => return None,
        })
    }
}

impl Finished {
    fn encode(&self, out: &mut Writer) {
        put_address(out, self.client);
        out.byte(self.announced.is_some().into());
        if let Some(announced) = self.announced {
            put_address(out, announced);
        }
        out.string(&self.name[..self.name.len().min(255)]);
        out.string(self.protocol.as_bytes());
        out.string(self.cipher.as_bytes());
        out.byte(self.resumed.into());
        for number in [self.received, self.sent, self.milliseconds] {
            out.long(number);
        }
        let (tag, text) = match &self.finish {
            Finish::Complete => (b'C', ""),
            Finish::Handshake(reason) => (b'H', reason.as_str()),
            Finish::Unreached(reason) => (b'U', reason.as_str()),
            Finish::ClientGone(reason) => (b'G', reason.as_str()),
            Finish::BackendGone(reason) => (b'A', reason.as_str()),
            Finish::Broken(reason) => (b'B', reason.as_str()),
            Finish::Idle => (b'I', ""),
            Finish::Drained => (b'D', ""),
        };
        out.byte(tag);
        out.string(clip(text));
    }

    fn decode(input: &mut Reader<'_>) -> Option<Finished> {
        Some(Finished {
            client: address(input)?,
            announced: match input.byte()? {
                0 => None,
                _ => Some(address(input)?),
            },
            name: input.string()?.to_vec(),
            protocol: input.text()?,
            cipher: input.text()?,
            resumed: input.byte()? != 0,
            received: input.long()?,
            sent: input.long()?,
            milliseconds: input.long()?,
            finish: {
                let tag = input.byte()?;
                let text = input.text()?;
                match tag {
                    b'C' => Finish::Complete,
                    b'H' => Finish::Handshake(text),
                    b'U' => Finish::Unreached(text),
                    b'G' => Finish::ClientGone(text),
                    b'A' => Finish::BackendGone(text),
                    b'B' => Finish::Broken(text),
                    b'I' => Finish::Idle,
                    b'D' => Finish::Drained,
                    _ => return None,
                }
            },
        })
    }
}
