//! The keys of session tickets. The secrets live in the keeper; a session only learns the keys of the one ticket that
//! it seals or opens, which are derived from the ticket's name. So a captured session opens no other's ticket.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sign::Signer;

/// A new secret takes over after this time.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// How many secrets open tickets: the present one and those before it.
const KEPT: usize = 3;

/// The name that a ticket carries in the clear.
pub type TicketName = [u8; 16];

/// What seals or opens one ticket.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey {
    pub name: TicketName,
    /// AES-256
    pub cipher: [u8; 32],
    /// HMAC-SHA-256
    pub mac: [u8; 32],
}

/// One secret, and the first part of the names that belong to it.
struct Secret {
    id: [u8; 4],
    key: [u8; 64],
    since: Instant,
}

/// All secrets that are in use, the newest first.
#[derive(Default)]
pub struct TicketSecrets {
    secrets: VecDeque<Secret>,
}

impl TicketSecrets {
    /// Keys for a ticket that was never there before.
    pub fn fresh(&mut self, now: Instant) -> Result<TicketKey, ErrorStack> {
        let worn = |secret: &Secret| now.duration_since(secret.since) >= LIFE;
        if self.secrets.front().is_none_or(worn) {
            let mut secret = Secret {
                id: [0; 4],
                key: [0; 64],
                since: now,
            };
            rand_bytes(&mut secret.id)?;
            rand_bytes(&mut secret.key)?;
            self.secrets.push_front(secret);
            self.secrets.truncate(KEPT);
        }
        let mut name = [0; 16];
        rand_bytes(&mut name)?;
        match self.secrets.front() {
            Some(secret) => {
                name[..4].copy_from_slice(&secret.id);
                secret.derive(name)
            }
            None => Err(ErrorStack::get()),
        }
    }

    /// Keys for a ticket that a client brought; `None` if its secret is gone or was never ours.
    pub fn open(&self, name: TicketName) -> Option<TicketKey> {
        let secret = self
            .secrets
            .iter()
            .find(|secret| name.starts_with(&secret.id))?;
        secret.derive(name).ok()
    }
}

impl Secret {
    fn derive(&self, name: TicketName) -> Result<TicketKey, ErrorStack> {
        let key = PKey::hmac(&self.key)?;
        let mut signer = Signer::new(MessageDigest::sha512(), &key)?;
        let both = signer.sign_oneshot_to_vec(&name)?;
        let mut derived = TicketKey {
            name,
            cipher: [0; 32],
            mac: [0; 32],
        };
        derived.cipher.copy_from_slice(&both[..32]);
        derived.mac.copy_from_slice(&both[32..64]);
        Ok(derived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_opened_with_the_keys_that_sealed_it() {
        let mut secrets = TicketSecrets::default();
        let sealed = secrets.fresh(Instant::now()).unwrap();
        assert!(secrets.open(sealed.name) == Some(sealed));
    }

    #[test]
    fn every_ticket_has_keys_of_its_own() {
        let mut secrets = TicketSecrets::default();
        let (one, other) = (secrets.fresh(Instant::now()), secrets.fresh(Instant::now()));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(one.name != other.name && one.cipher != other.cipher && one.mac != other.mac);
        assert!(one.cipher != one.mac);
    }

    #[test]
    fn a_name_that_is_not_ours_opens_nothing() {
        let mut secrets = TicketSecrets::default();
        let mut name = secrets.fresh(Instant::now()).unwrap().name;
        name[0] ^= 1;
        assert!(secrets.open(name).is_none());
        assert!(TicketSecrets::default().open(name).is_none());
    }

    #[test]
    fn secrets_rotate_and_the_oldest_are_forgotten() {
        let mut secrets = TicketSecrets::default();
        let start = Instant::now();
        let names: Vec<TicketName> = (0..4)
            .map(|turn| secrets.fresh(start + LIFE * turn).unwrap().name)
            .collect();
        assert!(secrets.open(names[0]).is_none());
        assert!(names[1..].iter().all(|&name| secrets.open(name).is_some()));
    }
}
