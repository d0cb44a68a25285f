//! What a keeper keeps: sets of keys, each with what everybody may know of it.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use openssl::pkey::{PKey, Private};

use super::message::{Chain, FromKeeper, PublicPart, Reply, Request};
use crate::tls::material::{self, Files, Folder, MOST_KEYS, MOST_WARNINGS, Material, Unusable};
use crate::tls::pair::Pair;
use crate::tls::pems::{self, PemFiles};
use crate::tls::settings::Version;
use crate::tls::signing;
use crate::tls::tickets::{self, TicketSecrets};

/// The keeper of a proxy has one set and the secrets of tickets.
pub struct Safe {
    pub set: KeySet,
    pub tickets: TicketSecrets,
}

/// The keys of a set, numbered from 0, and their public parts.
pub struct KeySet {
    keys: Vec<PKey<Private>>,
    oldest: Version,
    /// As terminators are told, the end included.
    parts: Vec<PublicPart>,
    /// The numbers of those of a folder's keys, by the files of their certificates.
    entries: HashMap<PathBuf, usize>,
    /// Length of the DH parameters' prime; 0: there are none.
    pub dh_bits: u32,
}

impl KeySet {
    fn new(oldest: Version) -> KeySet {
        KeySet {
            keys: Vec::new(),
            oldest,
            parts: Vec::new(),
            entries: HashMap::new(),
            dh_bits: 0,
        }
    }

    /// A set of that number, of what was loaded for it, and what there is to say about it. An entry of a folder that
    /// cannot be used stays as it was in the same set before.
    pub fn of_material(
        number: u32,
        loaded: Material,
        before: Option<&KeySet>,
    ) -> (KeySet, Vec<FromKeeper>) {
        let mut set = KeySet::new(loaded.oldest);
        let warnings = loaded.warnings.into_iter();
        let mut said: Vec<FromKeeper> = warnings.map(FromKeeper::Warning).collect();
        for pair in loaded.pairs {
            let chain = set.keep(pair, false).map(PublicPart::Chain);
            set.parts.extend(chain);
        }
        if let Some(folder) = loaded.folder {
            set.add_folder(folder, before, &mut said);
        }
        set.dh_bits = loaded.dh.as_ref().map_or(0, |dh| dh.bits);
        let dh = loaded.dh.map(|dh| PublicPart::DhParameters(dh.pem));
        set.parts.extend(dh);
        let trust = loaded.trust;
        set.parts.extend(anchors(0, trust.anchors));
        let names = trust.names.into_iter().map(PublicPart::Name);
        set.parts.extend(names);
        let revoked = trust.revoked.into_iter().map(PublicPart::Revoked);
        set.parts.extend(revoked);
        set.parts.push(PublicPart::End(number));
        (set, said)
    }

    fn add_folder(&mut self, folder: Folder, before: Option<&KeySet>, said: &mut Vec<FromKeeper>) {
        let mut unusable = 0;
        for (file, pair) in folder.entries {
            let old = before.and_then(|before| before.entry(&file));
            if let Err(reason) = &pair {
                unusable += 1;
                if unusable <= MOST_WARNINGS {
                    let stays = match old {
                        Some(_) => "; what it was before stays",
                        None => "",
                    };
                    said.push(FromKeeper::Unusable(format!("{reason}{stays}")));
                }
            }
            let Some(pair) = pair.ok().or(old) else {
                continue;
            };
            if self.keys.len() == MOST_KEYS {
                let text = format!("no more than {MOST_KEYS} keys can be kept");
                said.push(FromKeeper::Unusable(text));
                break;
            }
            self.entries.insert(file, self.keys.len());
            let chain = self.keep(pair, true).map(PublicPart::Chain);
            self.parts.extend(chain);
        }
        let beyond = unusable.saturating_sub(MOST_WARNINGS);
        let more = material::and_so_on(beyond, &folder.path);
        said.extend(more.map(FromKeeper::Unusable));
    }

    /// What an entry of the folder is in this set.
    fn entry(&self, file: &Path) -> Option<Pair> {
        let number = *self.entries.get(file)?;
        // Keys come first, one part for each.
        match self.parts.get(number)? {
            PublicPart::Chain(chain) => Some(Pair {
                chain: chain.certificates.clone(),
                key: self.keys.get(number)?.clone(),
                names: chain.names.clone(),
            }),
            _ => None,
        }
    }

    /// Reads what a proxy serves, as the set 0: the n-th PEM has the key of the number n. With what there is to say
    /// about it.
    pub fn of_pems(wanted: &PemFiles) -> Result<(KeySet, Vec<String>), Unusable> {
        let loaded = pems::load(&Files::default(), wanted)?;
        let mut set = KeySet::new(wanted.oldest);
        for pem in loaded.pems {
            let chain = set.keep(pem.pair, true).map(|chain| Chain {
                staple: pem.staple,
                dh: pem.dh.map(|dh| dh.pem).unwrap_or_default(),
                ..chain
            });
            set.parts.extend(chain.map(PublicPart::Chain));
        }
        for (list, certificates) in (0..).zip(loaded.authorities) {
            set.parts.extend(anchors(list, certificates));
        }
        set.parts.push(PublicPart::End(0));
        Ok((set, loaded.warnings))
    }

    /// Puts a key to the others, and answers with what everybody may know of it; nothing if there is no room.
    fn keep(&mut self, pair: Pair, named: bool) -> Option<Chain> {
        let number = u16::try_from(self.keys.len()).ok()?;
        self.keys.push(pair.key);
        Some(Chain {
            key: number,
            named,
            names: pair.names,
            certificates: pair.chain,
            staple: None,
            dh: Vec::new(),
        })
    }

    /// Everything that everybody may know.
    pub fn parts(&self) -> &[PublicPart] {
        &self.parts
    }

    /// Signs a handshake with the key of that number in this set.
    pub fn sign(&self, key: usize, scheme: u16, message: &[u8]) -> Result<Vec<u8>, String> {
        let kept = self.keys.get(key).ok_or("there is no such key")?;
        signing::sign(kept, scheme, message, self.oldest).map_err(|refusal| refusal.to_string())
    }
}

fn anchors(list: u16, certificates: Vec<Vec<u8>>) -> impl Iterator<Item = PublicPart> {
    let certificates = certificates.into_iter();
    certificates.map(move |certificate| PublicPart::Anchor { list, certificate })
}

/// The sets that a terminator was told, whose keys it numbers in the order in which it learned them. They stay as long
/// as it or one of its sessions may ask for a signature, whatever was renewed since.
#[derive(Default)]
pub struct Told {
    /// Each with the number of its first key.
    sets: Vec<(usize, Rc<KeySet>)>,
    keys: usize,
}

impl Told {
    pub fn add(&mut self, set: Rc<KeySet>) {
        let first = self.keys;
        self.keys += set.keys.len();
        self.sets.push((first, set));
    }

    /// Signs a handshake with the key of that number.
    pub fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Result<Vec<u8>, String> {
        let key = usize::from(key);
        let behind = self.sets.partition_point(|(first, _)| *first <= key);
        let set = behind.checked_sub(1).and_then(|place| self.sets.get(place));
        let (first, set) = set.ok_or("there is no such key")?;
        set.sign(key - first, scheme, message)
    }
}

/// What whoever does handshakes is answered, signatures by whatever keys it was told of; wrong is only a wish for one
/// that cannot be.
pub fn answer(
    request: Request,
    sign: impl FnOnce(u16, u16, &[u8]) -> Result<Vec<u8>, String>,
    secrets: &mut TicketSecrets,
) -> Result<Reply, String> {
    let mut reply = Reply::default();
    match request {
        Request::Sign {
            key,
            scheme,
            message,
        } => reply.signature = sign(key, scheme, &message)?,
        Request::Open(name) => reply.opened = secrets.open(name, tickets::now()),
        Request::Fresh => reply.fresh = secrets.fresh(tickets::now()).ok(),
    }
    Ok(reply)
}
