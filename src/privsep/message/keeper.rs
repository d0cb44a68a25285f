//! What the keeper hears and says.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{MAX_TEXT, clip};
use crate::privsep::channel::{Message, Reader, Writer};
use crate::tls::catalogue::Entry;
use crate::tls::client::TrustFiles;
use crate::tls::material::{MOST_CERTIFICATES, PairFiles, SetFiles};
use crate::tls::settings::Version;
use crate::tls::staple::Staple;
use crate::tls::tickets::{TicketKey, TicketName};

/// A certificate chain in DER with its names, staple and DH parameters, or a list of revoked certificates.
const MAX_PART: usize = 128 * 1024;

/// Listener to keeper.
pub enum ToKeeper {
    /// With one descriptor: the channel of a new terminator, which gets the public parts of the first set.
    Terminator,
    /// With two descriptors: the channels of a new worker, for the public parts and for its requests.
    Worker,
    /// With one descriptor: a channel to the keeper that comes after this one, which gets the secrets of tickets.
    Heir,
    /// Load this set, if it is not there yet, and tell the terminator. With the descriptors of the files in `opened`,
    /// in their order.
    Set {
        number: u32,
        files: Box<SetFiles>,
        opened: Vec<PathBuf>,
    },
}

impl Message for ToKeeper {
    const MAX: usize = 64 * 1024;

    fn encode(&self, out: &mut Writer) {
        match self {
            ToKeeper::Terminator => out.byte(b'T'),
            ToKeeper::Worker => out.byte(b'W'),
            ToKeeper::Heir => out.byte(b'H'),
            ToKeeper::Set {
                number,
                files,
                opened,
            } => {
                out.byte(b'S');
                out.word(*number);
                out.byte(files.oldest as u8);
                out.short(u16::try_from(files.pairs.len()).unwrap_or(u16::MAX));
                for pair in &files.pairs {
                    out.byte(pair.is_chain.into());
                    paths(out, [&pair.certificate, &pair.key]);
                }
                paths(out, &files.folder);
                paths(out, &files.dh);
                let trust = &files.trust;
                paths(out, &trust.anchors);
                paths(out, &trust.anchor_folders);
                paths(out, &trust.names);
                paths(out, &trust.name_folders);
                paths(out, &trust.revoked);
                paths(out, opened);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'T' => Some(ToKeeper::Terminator),
            b'W' => Some(ToKeeper::Worker),
            b'H' => Some(ToKeeper::Heir),
            b'S' => {
                let number = input.word()?;
                let oldest = Version::from_byte(input.byte()?)?;
                let pairs = (0..input.short()?)
                    .map(|_| {
                        let is_chain = input.byte()? != 0;
                        let [certificate, key] = read_paths(input)?.try_into().ok()?;
                        Some(PairFiles {
                            certificate,
                            is_chain,
                            key,
                        })
                    })
                    .collect::<Option<_>>()?;
                let files = SetFiles {
                    pairs,
                    folder: read_paths(input)?.pop(),
                    dh: read_paths(input)?.pop(),
                    trust: TrustFiles {
                        anchors: read_paths(input)?,
                        anchor_folders: read_paths(input)?,
                        names: read_paths(input)?,
                        name_folders: read_paths(input)?,
                        revoked: read_paths(input)?,
                    },
                    oldest,
                };
                Some(ToKeeper::Set {
                    number,
                    files: Box::new(files),
                    opened: read_paths(input)?,
                })
            }
            _ => None,
        }
    }
}

fn paths<'a>(out: &mut Writer, paths: impl IntoIterator<Item = &'a PathBuf>) {
    let paths: Vec<_> = paths.into_iter().collect();
    out.short(u16::try_from(paths.len()).unwrap_or(u16::MAX));
    for path in paths {
        out.string(path.as_os_str().as_bytes());
    }
}

fn read_paths(input: &mut Reader<'_>) -> Option<Vec<PathBuf>> {
    let count = input.short()?;
    (0..count)
        .map(|_| input.string().map(|bytes| OsStr::from_bytes(bytes).into()))
        .collect()
}

/// Keeper to the keeper that comes after it: the secrets of tickets, as they encode themselves.
pub struct Heritage(pub Vec<u8>);

impl Message for Heritage {
    const MAX: usize = 16 * 1024;

    fn encode(&self, out: &mut Writer) {
        out.string(&self.0);
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        input.string().map(|bytes| Heritage(bytes.to_vec()))
    }
}

/// Keeper to listener.
pub enum FromKeeper {
    /// Everything is read and fits together. The DH parameters have so many bits; 0: there are none.
    Loaded { dh_bits: u32 },
    /// A further set is there, and its public parts are with the terminator, the latest of so many.
    SetLoaded { number: u32, terminators: u32 },
    /// It cannot be used.
    SetFailed { number: u32, reason: String },
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
            FromKeeper::SetLoaded {
                number,
                terminators,
            } => {
                out.byte(b'S');
                out.word(*number);
                out.word(*terminators);
            }
            FromKeeper::SetFailed { number, reason } => {
                out.byte(b'X');
                out.word(*number);
                out.string(clip(reason));
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
            b'S' => Some(FromKeeper::SetLoaded {
                number: input.word()?,
                terminators: input.word()?,
            }),
            b'X' => Some(FromKeeper::SetFailed {
                number: input.word()?,
                reason: input.text()?,
            }),
            b'W' => Some(FromKeeper::Warning(input.text()?)),
            b'F' => Some(FromKeeper::Fatal(input.text()?)),
            _ => None,
        }
    }
}

/// Keeper to terminators and workers: what everybody may know of the keys.
pub enum PublicPart {
    Chain(Chain),
    /// DH parameters in PEM.
    DhParameters(Vec<u8>),
    /// A certificate in DER that others' may be traced back to.
    Anchor {
        /// Which list of authorities it belongs to.
        list: u16,
        certificate: Vec<u8>,
    },
    /// A certificate in DER whose subject clients are told.
    Name(Vec<u8>),
    /// A list of revoked certificates in DER.
    Revoked(Vec<u8>),
    /// That was the set of this number.
    End(u32),
}

/// One key's certificates in DER, the server's first.
pub struct Chain {
    pub key: u16,
    /// It is chosen by the name that a client asks for.
    pub named: bool,
    /// The names that it is for.
    pub names: Vec<String>,
    pub certificates: Vec<Vec<u8>>,
    pub staple: Option<Staple>,
    /// DH parameters in PEM for this key; empty: none.
    pub dh: Vec<u8>,
}

impl Chain {
    /// As a catalogue takes it.
    pub fn entry(&self) -> Entry<'_> {
        Entry {
            key: self.key,
            names: &self.names,
            certificates: &self.certificates,
            staple: self.staple.as_ref(),
            dh: &self.dh,
        }
    }

    fn encode(&self, out: &mut Writer) {
        out.short(self.key);
        out.byte(self.named.into());
        out.word(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        for name in &self.names {
            out.string(name.as_bytes());
        }
        out.word(u32::try_from(self.certificates.len()).unwrap_or(u32::MAX));
        for certificate in &self.certificates {
            out.string(certificate);
        }
        let staple = self.staple.as_ref();
        out.string(staple.map_or(&[], |staple| &staple.response));
        out.long(staple.map_or(0, |staple| staple.until));
        out.string(&self.dh);
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let key = input.short()?;
        let named = input.byte()? != 0;
        let names = (0..input.word()?).map(|_| input.text());
        let names = names.collect::<Option<_>>()?;
        let count = usize::try_from(input.word()?).ok()?;
        if count == 0 || count > MOST_CERTIFICATES {
            return None;
        }
        let certificates = (0..count).map(|_| input.string().map(<[u8]>::to_vec));
        let certificates = certificates.collect::<Option<_>>()?;
        let staple = Staple {
            response: input.string()?.to_vec(),
            until: input.long()?,
        };
        Some(Chain {
            key,
            named,
            names,
            certificates,
            staple: Some(staple).filter(|staple| !staple.response.is_empty()),
            dh: input.string()?.to_vec(),
        })
    }
}

impl Message for PublicPart {
    const MAX: usize = 64 + MAX_PART;

    fn encode(&self, out: &mut Writer) {
        match self {
            PublicPart::Chain(chain) => {
                out.byte(b'C');
                chain.encode(out);
            }
            PublicPart::DhParameters(pem) => {
                out.byte(b'D');
                out.string(pem);
            }
            PublicPart::Anchor { list, certificate } => {
                out.byte(b'A');
                out.short(*list);
                out.string(certificate);
            }
            PublicPart::Name(der) => {
                out.byte(b'N');
                out.string(der);
            }
            PublicPart::Revoked(der) => {
                out.byte(b'R');
                out.string(der);
            }
            PublicPart::End(set) => {
                out.byte(b'E');
                out.word(*set);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'C' => Some(PublicPart::Chain(Chain::decode(input)?)),
            b'D' => Some(PublicPart::DhParameters(input.string()?.to_vec())),
            b'A' => Some(PublicPart::Anchor {
                list: input.short()?,
                certificate: input.string()?.to_vec(),
            }),
            b'N' => Some(PublicPart::Name(input.string()?.to_vec())),
            b'R' => Some(PublicPart::Revoked(input.string()?.to_vec())),
            b'E' => Some(PublicPart::End(input.word()?)),
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
