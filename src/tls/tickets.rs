//! The keys of session tickets. The secrets live in the keeper; whoever speaks TLS learns the keys of single tickets
//! alone, which are derived from the ticket's name. So a captured process opens no ticket that it was not asked about.
//!
//! Secrets change by themselves, each made from the one before it at a fixed time: all copies of them change alike
//! without a word between them, and no later one tells of an earlier one. Those of a file stay as they are.
#![forbid(unsafe_code)]

mod file;
mod remembered;

use std::collections::VecDeque;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sign::Signer;

pub use self::remembered::Remembered;

/// A new secret takes over after so many seconds.
const LIFE: u64 = 12 * 3600;
/// How many secrets of those that change open tickets: the present one and those before it.
const KEPT: usize = 3;
/// How many secrets a file may have.
const MOST: usize = 16;

/// No encoded state is longer.
pub const MAX_STATE: usize = 16 + MOST * size_of::<Key>();

/// What is made from a secret beside the keys of tickets. A ticket's name is 16 bytes long; none of these is.
const NEXT: &[u8] = b"the secret that follows";
const ID: &[u8] = b"the public number of a secret";

/// The name that a ticket carries in the clear.
pub type TicketName = [u8; 16];
type Key = [u8; 64];

/// What seals or opens one ticket.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey {
    pub name: TicketName,
    /// AES-256
    pub cipher: [u8; 32],
    /// HMAC-SHA-256
    pub mac: [u8; 32],
}

/// One secret, and the first part of the names that belong to it, by which all who have it know it.
struct Secret {
    id: [u8; 4],
    key: Key,
}

/// All secrets that are in use. The first one seals.
pub struct TicketSecrets {
    secrets: VecDeque<Secret>,
    /// Since when the first one seals, in seconds since boot; `None`: they do not change.
    since: Option<u64>,
}

/// The time by which secrets change: since boot, sleep included.
pub fn now() -> Duration {
    // Fails for no clock that the kernel has.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

impl TicketSecrets {
    /// A first secret, which nobody has had before.
    pub fn random(now: Duration) -> Result<TicketSecrets, ErrorStack> {
        let mut key = [0; 64];
        rand_bytes(&mut key)?;
        Ok(TicketSecrets {
            secrets: VecDeque::from([Secret::new(key)?]),
            since: Some(now.as_secs()),
        })
    }

    /// Keys for a ticket that was never there before.
    pub fn fresh(&mut self, now: Duration) -> Result<TicketKey, ErrorStack> {
        self.change(now)?;
        let mut name = [0; 16];
        rand_bytes(&mut name)?;
        let first = self.secrets.front().ok_or_else(ErrorStack::get)?;
        name[..4].copy_from_slice(&first.id);
        first.derive(name)
    }

    /// Keys for a ticket that a client brought; `None` if its secret is gone or was never ours.
    pub fn open(&mut self, name: TicketName, now: Duration) -> Option<TicketKey> {
        self.change(now).ok()?;
        let mut secrets = self.secrets.iter();
        let secret = secrets.find(|secret| name.starts_with(&secret.id))?;
        secret.derive(name).ok()
    }

    /// Makes the secrets whose time has come. As many steps as the machine has been up in half days, at the most.
    fn change(&mut self, now: Duration) -> Result<(), ErrorStack> {
        let Some(since) = &mut self.since else {
            return Ok(());
        };
        while now.as_secs().saturating_sub(*since) >= LIFE {
            let Some(present) = self.secrets.front() else {
                return Ok(());
            };
            let next = Secret::new(mix(&present.key, NEXT)?)?;
            self.secrets.push_front(next);
            self.secrets.truncate(KEPT);
            *since += LIFE;
        }
        Ok(())
    }

    /// All of it, for the next keeper.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.since.is_some().into()];
        bytes.extend(self.since.unwrap_or_default().to_be_bytes());
        bytes.extend(self.secrets.iter().flat_map(|secret| secret.key));
        bytes
    }

    /// The other way round. `None`: that was no state, or one from before the machine was started.
    pub fn decode(bytes: &[u8], now: Duration) -> Option<TicketSecrets> {
        let (&changing, rest) = bytes.split_first()?;
        let (since, keys) = rest.split_first_chunk::<8>()?;
        let since = (changing != 0).then_some(u64::from_be_bytes(*since));
        let (keys, []) = keys.as_chunks::<64>() else {
            return None;
        };
        let most = if since.is_some() { KEPT } else { MOST };
        let is_possible = since.is_none_or(|since| since <= now.as_secs());
        if keys.is_empty() || keys.len() > most || !is_possible {
            return None;
        }
        let secrets = keys.iter().map(|key| Secret::new(*key).ok());
        Some(TicketSecrets {
            secrets: secrets.collect::<Option<_>>()?,
            since,
        })
    }
}

impl Secret {
    fn new(key: Key) -> Result<Secret, ErrorStack> {
        let mut id = [0; 4];
        id.copy_from_slice(&mix(&key, ID)?[..4]);
        Ok(Secret { id, key })
    }

    fn derive(&self, name: TicketName) -> Result<TicketKey, ErrorStack> {
        let both = mix(&self.key, &name)?;
        let mut derived = TicketKey {
            name,
            cipher: [0; 32],
            mac: [0; 32],
        };
        derived.cipher.copy_from_slice(&both[..32]);
        derived.mac.copy_from_slice(&both[32..]);
        Ok(derived)
    }
}

/// What is forgotten shall not lie about.
impl Drop for Secret {
    fn drop(&mut self) {
        self.key.fill(0);
        std::hint::black_box(&self.key);
    }
}

/// HMAC with SHA-512.
fn mix(key: &[u8], label: &[u8]) -> Result<Key, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut made = [0; 64];
    Signer::new(MessageDigest::sha512(), &key)?.sign_oneshot(&mut made, label)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100_000);
    const TURN: Duration = Duration::from_secs(LIFE);

    fn secrets() -> TicketSecrets {
        TicketSecrets::random(START).unwrap()
    }

    fn copy(secrets: &TicketSecrets) -> TicketSecrets {
        TicketSecrets::decode(&secrets.encode(), START).unwrap()
    }

    #[test]
    fn a_ticket_is_opened_with_the_keys_that_sealed_it() {
        let mut secrets = secrets();
        let sealed = secrets.fresh(START).unwrap();
        assert!(secrets.open(sealed.name, START) == Some(sealed));
    }

    #[test]
    fn every_ticket_has_keys_of_its_own() {
        let mut secrets = secrets();
        let (one, other) = (secrets.fresh(START), secrets.fresh(START));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(one.name != other.name && one.cipher != other.cipher && one.mac != other.mac);
        assert!(one.cipher != one.mac);
    }

    #[test]
    fn a_name_that_is_not_ours_opens_nothing() {
        let mut ours = secrets();
        let mut name = ours.fresh(START).unwrap().name;
        assert!(secrets().open(name, START).is_none());
        name[0] ^= 1;
        assert!(ours.open(name, START).is_none());
    }

    #[test]
    fn secrets_rotate_and_the_oldest_are_forgotten() {
        let mut secrets = secrets();
        let names: Vec<TicketName> = (0..4)
            .map(|turn| secrets.fresh(START + TURN * turn).unwrap().name)
            .collect();
        let end = START + TURN * 3;
        assert!(secrets.open(names[0], end).is_none());
        assert!(
            names[1..]
                .iter()
                .all(|&name| secrets.open(name, end).is_some())
        );
    }

    #[test]
    fn a_secret_is_forgotten_by_those_who_only_open() {
        let mut secrets = secrets();
        let name = secrets.fresh(START).unwrap().name;
        let mut other = copy(&secrets);
        assert!(other.open(name, START + TURN * 2).is_some());
        assert!(other.open(name, START + TURN * 3).is_none());
    }

    #[test]
    fn copies_change_alike_without_talking() {
        let mut one = secrets();
        let mut other = copy(&one);
        for turn in [1, 2, 5, 40] {
            // The one is asked at each turn, the other late and only now and then.
            let early = one.fresh(START + TURN * turn).unwrap();
            let late = START + TURN * turn + TURN - Duration::from_secs(1);
            assert!(other.open(early.name, late) == Some(early), "{turn}");
        }
        assert_eq!(one.encode(), other.encode());
    }

    #[test]
    fn the_next_secret_tells_nothing_of_those_before() {
        let mut secrets = secrets();
        let first = secrets.secrets[0].key;
        let name = secrets.fresh(START).unwrap().name;
        let end = START + TURN * 3;
        secrets.fresh(end).unwrap();
        let state = secrets.encode();
        assert!(!state.windows(8).any(|part| part == &first[..8]));
        let mut copy = TicketSecrets::decode(&state, end).unwrap();
        assert!(copy.open(name, end).is_none());
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let state = secrets().encode();
        assert!(state.len() <= MAX_STATE);
        for bad in [
            &state[..0],
            &state[..9],
            &state[..state.len() - 1],
            &[&state[..], &[7]].concat(),
            &[&state[..], &[7; 64], &[7; 64], &[7; 64]].concat(),
        ] {
            assert!(TicketSecrets::decode(bad, START).is_none());
        }
        let before = START - Duration::from_secs(1);
        assert!(TicketSecrets::decode(&state, before).is_none());
    }
}
