//! What the keeper keeps: sets of keys, each loaded once, and the secrets of tickets.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::message::{KeeperToTerminator, PublicPart};
use crate::tls::material::{self, DhParameters, Files, Pair, SetFiles, Unusable};
use crate::tls::settings::Version;
use crate::tls::signing;
use crate::tls::tickets::TicketSecrets;
use crate::tls::trust::Trust;

/// Keys have numbers of two bytes between processes.
const MOST_KEYS: usize = u16::MAX as usize;

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

/// The public parts of a set.
pub struct KeySet {
    chains: Vec<(u16, Vec<X509>)>,
    /// Those that are chosen by name.
    named: Vec<(u16, Vec<X509>)>,
    pub dh: Option<DhParameters>,
    trust: Trust,
    pub warnings: Vec<String>,
}

impl Safe {
    /// Reads a set and keeps it.
    pub fn load(&mut self, number: u32, files: &SetFiles, opened: &Files) -> Result<(), Unusable> {
        let mut loaded = material::load(opened, files, self.password.as_deref())?;
        let room = MOST_KEYS.saturating_sub(self.keys.len() + loaded.pairs.len());
        if loaded.named.len() > room {
            loaded.named.truncate(room);
            loaded
                .warnings
                .push(format!("no more than {MOST_KEYS} keys can be kept"));
        }
        let oldest = loaded.oldest;
        let mut keep = |pairs: Vec<Pair>| {
            let mut chains = Vec::new();
            for pair in pairs {
                if let Ok(number) = u16::try_from(self.keys.len()) {
                    let key = pair.key;
                    self.keys.push(SafeKey { key, oldest });
                    chains.push((number, pair.chain));
                }
            }
            chains
        };
        let set = KeySet {
            chains: keep(loaded.pairs),
            named: keep(loaded.named),
            dh: loaded.dh,
            trust: loaded.trust,
            warnings: loaded.warnings,
        };
        self.sets.insert(number, set);
        Ok(())
    }

    /// Sends a terminator the public parts of a set. One that does not take them will be found dead.
    pub fn publish(&self, number: u32, terminator: &KeeperToTerminator) {
        let Some(set) = self.sets.get(&number) else {
            return;
        };
        let part = |named: bool| {
            move |(key, chain): &(u16, Vec<X509>)| PublicPart::Chain {
                key: *key,
                named,
                certificates: chain.iter().filter_map(|one| one.to_der().ok()).collect(),
            }
        };
        let dh = set.dh.iter();
        let trust = &set.trust;
        let parts = (set.chains.iter().map(part(false)))
            .chain(set.named.iter().map(part(true)))
            .chain(dh.map(|dh| PublicPart::DhParameters(dh.pem.clone())))
            .chain(trust.anchors.iter().cloned().map(PublicPart::Anchor))
            .chain(trust.names.iter().cloned().map(PublicPart::Name))
            .chain(trust.revoked.iter().cloned().map(PublicPart::Revoked))
            .chain([PublicPart::End]);
        for part in parts {
            if terminator.send(&part, &[]).is_err() {
                return;
            }
        }
    }

    /// Signs a handshake with the key of that number.
    pub fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Result<Vec<u8>, String> {
        let kept = self.keys.get(usize::from(key));
        let kept = kept.ok_or("there is no such key")?;
        signing::sign(&kept.key, scheme, message, kept.oldest)
            .map_err(|refusal| refusal.to_string())
    }
}
