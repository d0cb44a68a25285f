//! What the keeper keeps: sets of keys, each loaded once, and the secrets of tickets.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use openssl::pkey::{PKey, Private};

use super::message::{Chain, PublicPart};
use crate::tls::material::{self, Files, MOST_KEYS, SetFiles, Unusable};
use crate::tls::pair::Pair;
use crate::tls::pems::{self, PemFiles};
use crate::tls::settings::Version;
use crate::tls::signing;
use crate::tls::tickets::TicketSecrets;

pub struct Safe {
    pub password: Option<Vec<u8>>,
    /// All keys of all sets, by their numbers.
    pub keys: Vec<SafeKey>,
    pub sets: HashMap<u32, KeySet>,
    pub tickets: TicketSecrets,
}

pub struct SafeKey {
    key: PKey<Private>,
    oldest: Version,
}

/// What everybody may know of a set.
pub struct KeySet {
    /// As terminators are told, the end included.
    parts: Vec<PublicPart>,
    /// Length of the DH parameters' prime; 0: there are none.
    pub dh_bits: u32,
}

impl Safe {
    pub fn new(password: Option<Vec<u8>>, tickets: TicketSecrets) -> Safe {
        Safe {
            password,
            keys: Vec::new(),
            sets: HashMap::new(),
            tickets,
        }
    }

    /// Reads a set and keeps it. Answers with what there is to say about it.
    pub fn load(
        &mut self,
        number: u32,
        files: &SetFiles,
        opened: &Files,
    ) -> Result<Vec<String>, Unusable> {
        let mut loaded = material::load(opened, files, self.password.as_deref())?;
        let room = MOST_KEYS.saturating_sub(self.keys.len() + loaded.pairs.len());
        if loaded.named.len() > room {
            loaded.named.truncate(room);
            loaded
                .warnings
                .push(format!("no more than {MOST_KEYS} keys can be kept"));
        }
        let oldest = loaded.oldest;
        let mut parts = Vec::new();
        for (named, pairs) in [(false, loaded.pairs), (true, loaded.named)] {
            for pair in pairs {
                parts.extend(self.keep(pair, oldest, named).map(PublicPart::Chain));
            }
        }
        let dh_bits = loaded.dh.as_ref().map_or(0, |dh| dh.bits);
        parts.extend(loaded.dh.map(|dh| PublicPart::DhParameters(dh.pem)));
        let trust = loaded.trust;
        parts.extend(anchors(0, trust.anchors));
        parts.extend(trust.names.into_iter().map(PublicPart::Name));
        parts.extend(trust.revoked.into_iter().map(PublicPart::Revoked));
        parts.push(PublicPart::End(number));
        self.sets.insert(number, KeySet { parts, dh_bits });
        Ok(loaded.warnings)
    }

    /// Everything that a worker is told.
    pub fn parts(&self) -> impl Iterator<Item = &PublicPart> {
        self.sets.values().flat_map(|set| &set.parts)
    }

    /// Reads what the proxy serves and keeps it as the set 0: the n-th PEM has the key of the number n. Answers with
    /// what there is to say about it.
    pub fn load_pems(&mut self, wanted: &PemFiles) -> Result<Vec<String>, Unusable> {
        let loaded = pems::load(&Files::default(), wanted)?;
        let mut parts = Vec::new();
        for pem in loaded.pems {
            let chain = self.keep(pem.pair, wanted.oldest, true).map(|chain| Chain {
                staple: pem.staple,
                dh: pem.dh.map(|dh| dh.pem).unwrap_or_default(),
                ..chain
            });
            parts.extend(chain.map(PublicPart::Chain));
        }
        for (list, certificates) in (0..).zip(loaded.authorities) {
            parts.extend(anchors(list, certificates));
        }
        parts.push(PublicPart::End(0));
        self.sets.insert(0, KeySet { parts, dh_bits: 0 });
        Ok(loaded.warnings)
    }

    /// Puts a key to the others, and answers with what everybody may know of it; nothing if there is no room.
    fn keep(&mut self, pair: Pair, oldest: Version, named: bool) -> Option<Chain> {
        let number = u16::try_from(self.keys.len()).ok()?;
        self.keys.push(SafeKey {
            key: pair.key,
            oldest,
        });
        Some(Chain {
            key: number,
            named,
            names: pair.names,
            certificates: pair.chain,
            staple: None,
            dh: Vec::new(),
        })
    }

    /// What a terminator is told of a set in this place; nothing after the end.
    pub fn part(&self, set: u32, place: usize) -> Option<&PublicPart> {
        self.sets.get(&set)?.parts.get(place)
    }

    /// Signs a handshake with the key of that number.
    pub fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Result<Vec<u8>, String> {
        let kept = self.keys.get(usize::from(key));
        let kept = kept.ok_or("there is no such key")?;
        signing::sign(&kept.key, scheme, message, kept.oldest)
            .map_err(|refusal| refusal.to_string())
    }
}

fn anchors(list: u16, certificates: Vec<Vec<u8>>) -> impl Iterator<Item = PublicPart> {
    let certificates = certificates.into_iter();
    certificates.map(move |certificate| PublicPart::Anchor { list, certificate })
}
