//! Which session a client's hello asks for, if it is one that only a store can have.
#![forbid(unsafe_code)]

use openssl::ssl::SslRef;

use super::Wish;
use crate::tls::provider;

/// Numbers of extensions (RFC 8446, 4.2; RFC 5077, 3.2).
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const TLS13: [u8; 2] = [3, 4];

/// What of a hello matters here; extensions that are not there are empty.
pub struct Hello<'a> {
    pub session_id: &'a [u8],
    pub ticket: &'a [u8],
    /// `None`: not for this server.
    pub tls13: Option<Tls13<'a>>,
}

pub struct Tls13<'a> {
    /// The extensions supported_versions and pre_shared_key.
    pub versions: &'a [u8],
    pub keys: &'a [u8],
}

/// To be asked while the callback runs that sees the hello first.
pub fn wish(ssl: &SslRef, stateful: bool) -> Option<Wish> {
    let extension = |number| provider::hello_extension(ssl, number).unwrap_or_default();
    Hello {
        session_id: ssl.client_hello_session_id().unwrap_or_default(),
        ticket: extension(SESSION_TICKET),
        tls13: provider::allows_tls13(ssl).then(|| Tls13 {
            versions: extension(SUPPORTED_VERSIONS),
            keys: extension(PRE_SHARED_KEY),
        }),
    }
    .wish(stateful)
}

impl Hello<'_> {
    pub fn wish(&self, stateful: bool) -> Option<Wish> {
        if let Some(tls13) = &self.tls13
            && offers_tls13(tls13.versions)
        {
            // The session id of such a hello means nothing (RFC 8446, 4.1.2), and a ticket that is one is its own
            // session.
            let id = first_identity(tls13.keys)?.try_into().ok()?;
            return stateful.then_some(Wish { id, once: true });
        }
        // The session id beside a ticket was made up by the client (RFC 5077, 3.4).
        let has_ticket = !stateful && !self.ticket.is_empty();
        let id = self.session_id.try_into().ok()?;
        (!has_ticket).then_some(Wish { id, once: false })
    }
}

fn offers_tls13(versions: &[u8]) -> bool {
    match versions.split_first() {
        Some((_, list)) => list.chunks_exact(2).any(|version| version == TLS13),
        None => false,
    }
}

/// The first of OfferedPsks.identities (RFC 8446, 4.2.11).
fn first_identity(keys: &[u8]) -> Option<&[u8]> {
    let (list, _) = behind_length(keys)?;
    let (identity, _) = behind_length(list)?;
    Some(identity)
}

/// Bytes behind a length of two bytes, and what follows them.
fn behind_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: &[u8] = &[4, 3, 4, 3, 3];
    const ID: &[u8] = &[7; 32];

    fn keys(identity: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| (bytes.len() as u16).to_be_bytes();
        let entry = [&length(identity), identity, &[0; 4]].concat();
        // The binders follow.
        [&length(&entry)[..], &entry, &[0, 3, 2, 1, 1]].concat()
    }

    fn tls12(session_id: &'static [u8], ticket: &'static [u8]) -> Hello<'static> {
        Hello {
            session_id,
            ticket,
            tls13: None,
        }
    }

    fn tls13(keys: &[u8]) -> Hello<'_> {
        Hello {
            session_id: &[9; 32],
            ticket: &[],
            tls13: Some(Tls13 {
                versions: VERSIONS,
                keys,
            }),
        }
    }

    #[test]
    fn the_id_of_an_older_hello_is_a_wish() {
        let wish = Wish {
            id: [7; 32],
            once: false,
        };
        assert_eq!(tls12(ID, b"").wish(false), Some(wish));
        assert_eq!(tls12(ID, b"").wish(true), Some(wish));
        assert_eq!(tls12(b"", b"").wish(true), None);
        assert_eq!(tls12(&ID[1..], b"").wish(true), None);
    }

    #[test]
    fn an_id_that_goes_with_a_ticket_is_none_unless_there_are_no_tickets() {
        assert_eq!(tls12(ID, b"ticket").wish(false), None);
        assert!(tls12(ID, b"ticket").wish(true).is_some());
    }

    #[test]
    fn the_first_key_of_a_new_hello_is_a_wish_where_tickets_are_ids() {
        let wish = Wish {
            id: [7; 32],
            once: true,
        };
        assert_eq!(tls13(&keys(ID)).wish(true), Some(wish));
        assert_eq!(tls13(&keys(ID)).wish(false), None);
        assert_eq!(tls13(&keys(&[7; 33])).wish(true), None);
        // Its session id is made up.
        assert_eq!(tls13(b"").wish(true), None);
        assert_eq!(tls13(b"").wish(false), None);
    }

    #[test]
    fn a_server_of_tls_1_2_takes_a_new_hello_for_an_older_one() {
        let mut hello = tls13(b"");
        hello.tls13 = None;
        assert!(hello.wish(false).is_some());
        assert!(tls12(ID, b"").wish(false).is_some());
    }

    #[test]
    fn a_list_of_keys_that_is_cut_anywhere_is_no_wish() {
        let whole = keys(ID);
        let end = 2 + 2 + 32 + 4;
        for cut in 0..end {
            assert_eq!(tls13(&whole[..cut]).wish(true), None, "{cut}");
        }
        assert!(tls13(&whole[..end]).wish(true).is_some());
        let mut longer = whole.clone();
        longer[3] = 33;
        assert_eq!(tls13(&longer).wish(true), None);
    }
}
