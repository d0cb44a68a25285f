//! The session that a client's hello asks a store for.
#![forbid(unsafe_code)]

use sslserver::tls::sessions::hello::{Hello, Tls13};

/// Byte by byte: flags, then the length of the session id, of the ticket and of the versions; the keys are the rest.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&[flags, id, ticket, versions], rest)) = bytes.split_first_chunk() else {
        return false;
    };
    let cut = |bytes: &'_ [u8], length: u8| bytes.len().min(length.into());
    let (session_id, rest) = rest.split_at(cut(rest, id));
    let (ticket, rest) = rest.split_at(cut(rest, ticket));
    let (versions, keys) = rest.split_at(cut(rest, versions));
    let hello = Hello {
        session_id,
        ticket,
        tls13: (flags & 1 != 0).then_some(Tls13 { versions, keys }),
    };
    let Some(wish) = hello.wish(flags & 2 != 0) else {
        return false;
    };
    // Whatever is asked for is in the hello.
    match wish.once {
        true => assert!(keys.windows(wish.id.len()).any(|bytes| bytes == wish.id)),
        false => assert_eq!(session_id, wish.id),
    }
    true
}
