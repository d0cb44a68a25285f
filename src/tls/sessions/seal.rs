//! How a session is sealed before it leaves the process: AES-256-GCM with the keys of a ticket of its own, bound to
//! the session's id, so that a store cannot give a client another one's session.
//!
//! The name of the keys, the initialisation vector, the tag and the encrypted session follow each other.
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use super::{MAX_SEALED, SessionId};
use crate::tls::tickets::{TicketKey, TicketName};

const IV: usize = 12;
const TAG: usize = 16;

/// Seals; `None` if it would be longer than [`MAX_SEALED`].
pub fn seal(
    key: &TicketKey,
    id: &SessionId,
    session: &[u8],
) -> Result<Option<Vec<u8>>, ErrorStack> {
    let (mut iv, mut tag) = ([0; IV], [0; TAG]);
    rand_bytes(&mut iv)?;
    let cipher = Cipher::aes_256_gcm();
    let encrypted = encrypt_aead(cipher, &key.cipher, Some(&iv), id, session, &mut tag)?;
    let sealed = [&key.name[..], &iv, &tag, &encrypted].concat();
    Ok(Some(sealed).filter(|sealed| sealed.len() <= MAX_SEALED))
}

/// Opens what was sealed for this id, with the keys that `keys` has under their name. `None`: it was not, or not by
/// us, or the keys are gone.
pub fn open(
    keys: impl FnOnce(TicketName) -> Option<TicketKey>,
    id: &SessionId,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let (name, rest) = sealed.split_first_chunk()?;
    let (iv, rest) = rest.split_first_chunk::<IV>()?;
    let (tag, encrypted) = rest.split_first_chunk::<TAG>()?;
    let key = keys(*name)?;
    decrypt_aead(
        Cipher::aes_256_gcm(),
        &key.cipher,
        Some(iv),
        id,
        encrypted,
        tag,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = [1; 32];

    fn key() -> TicketKey {
        TicketKey {
            name: [2; 16],
            cipher: [3; 32],
            mac: [4; 32],
        }
    }

    fn ours(name: TicketName) -> Option<TicketKey> {
        Some(key()).filter(|key| key.name == name)
    }

    #[test]
    fn what_was_sealed_for_an_id_opens_for_this_id_alone() {
        let sealed = seal(&key(), &ID, b"session").unwrap().unwrap();
        assert!(!sealed.windows(7).any(|bytes| bytes == b"session"));
        assert_eq!(open(ours, &ID, &sealed).as_deref(), Some(&b"session"[..]));
        assert_eq!(open(ours, &[9; 32], &sealed), None);
        assert_eq!(open(|_| None, &ID, &sealed), None);
    }

    #[test]
    fn no_byte_can_be_changed_or_left_out() {
        let sealed = seal(&key(), &ID, b"session").unwrap().unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(open(|_| Some(key()), &ID, &sealed[..place]), None);
            // The name is what finds the keys.
            assert_eq!(open(ours, &ID, &changed), None, "{place}");
        }
    }

    #[test]
    fn the_same_session_is_never_sealed_the_same_way_twice() {
        let seal = || seal(&key(), &ID, b"session").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_session_beyond_the_bound_is_not_sealed() {
        let overhead = 16 + IV + TAG;
        let longest = vec![0; MAX_SEALED - overhead];
        assert!(seal(&key(), &ID, &longest).unwrap().is_some());
        assert!(
            seal(&key(), &ID, &[&longest[..], b"x"].concat())
                .unwrap()
                .is_none()
        );
    }
}
