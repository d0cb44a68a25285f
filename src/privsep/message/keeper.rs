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

/// A certificate chain in DER with its names, staple and DH parameters, or a list of revoked certificates.
const MAX_PART: usize = 128 * 1024;

/// Listener to keeper.
pub enum ToKeeper {
    /// With one descriptor: the channel of a new terminator of this number, which gets the public parts of the first
    /// set.
    Terminator(u32),
    /// With two descriptors: the channels of a new worker of this number, for the public parts and for its requests.
    Worker(u32),
    /// With one descriptor: a channel to the keeper that comes after this one, which gets the secrets of tickets.
    Heir,
    /// Load this set, if it is not there yet, and tell the terminator of it; without one, read it again for those to
    /// come. With the descriptors of the files in `opened`, in their order.
    Set {
        number: u32,
        terminator: Option<u32>,
        files: Box<SetFiles>,
        opened: Vec<PathBuf>,
    },
    /// Read the file with the secrets of tickets again; with its descriptor if the listener opened it.
    Tickets,
    /// Look whether any file has changed.
    Look,
    /// Nobody needs this set any more.
    Forget(u32),
}

impl Message for ToKeeper {
    const MAX: usize = 64 * 1024;

    fn encode(&self, out: &mut Writer) {
        match self {
            ToKeeper::Terminator(number) => {
                out.byte(b'T');
                out.word(*number);
            }
            ToKeeper::Worker(number) => {
                out.byte(b'W');
                out.word(*number);
            }
            ToKeeper::Heir => out.byte(b'H'),
            ToKeeper::Tickets => out.byte(b'K'),
            ToKeeper::Look => out.byte(b'L'),
            ToKeeper::Forget(number) => {
                out.byte(b'F');
                out.word(*number);
            }
            ToKeeper::Set {
                number,
                terminator,
                files,
                opened,
            } => {
                out.byte(b'S');
                out.word(*number);
                out.byte(terminator.is_some().into());
                out.word(terminator.unwrap_or_default());
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
            b'T' => Some(ToKeeper::Terminator(input.word()?)),
            b'W' => Some(ToKeeper::Worker(input.word()?)),
            b'H' => Some(ToKeeper::Heir),
            b'K' => Some(ToKeeper::Tickets),
            b'L' => Some(ToKeeper::Look),
            b'F' => Some(ToKeeper::Forget(input.word()?)),
            b'S' => {
                let number = input.word()?;
                let has_terminator = input.byte()? != 0;
                let terminator = Some(input.word()?).filter(|_| has_terminator);
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
                    terminator,
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
    /// A set is there, and its public parts are on their way to this terminator.
    SetLoaded { number: u32, terminator: u32 },
    /// It cannot be used.
    SetFailed {
        number: u32,
        terminator: u32,
        reason: String,
    },
    /// What was to be read again is. Or it cannot be used, for this reason, and stays as it was.
    Renewed(Result<(), String>),
    /// A file is not what it was when it was read.
    Changed,
    /// A line for the log that changes nothing.
    Warning(String),
    /// The same, of something that is to be served and cannot be used; everything else is served.
    Unusable(String),
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
            FromKeeper::SetLoaded { number, terminator } => {
                out.byte(b'S');
                out.word(*number);
                out.word(*terminator);
            }
            FromKeeper::SetFailed {
                number,
                terminator,
                reason,
            } => {
                out.byte(b'X');
                out.word(*number);
                out.word(*terminator);
                out.string(clip(reason));
            }
            FromKeeper::Renewed(Ok(())) => out.byte(b'R'),
            FromKeeper::Renewed(Err(reason)) => {
                out.byte(b'N');
                out.string(clip(reason));
            }
            FromKeeper::Changed => out.byte(b'C'),
            FromKeeper::Warning(text) => {
                out.byte(b'W');
                out.string(clip(text));
            }
            FromKeeper::Unusable(text) => {
                out.byte(b'U');
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
                terminator: input.word()?,
            }),
            b'X' => Some(FromKeeper::SetFailed {
                number: input.word()?,
                terminator: input.word()?,
                reason: input.text()?,
            }),
            b'R' => Some(FromKeeper::Renewed(Ok(()))),
            b'N' => Some(FromKeeper::Renewed(Err(input.text()?))),
            b'C' => Some(FromKeeper::Changed),
            b'W' => Some(FromKeeper::Warning(input.text()?)),
            b'U' => Some(FromKeeper::Unusable(input.text()?)),
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
    /// Counted from the first of its set.
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
