//! Messages between roles, of whom one may have been taken over: no bytes harm who reads them, and what was read is said
//! and read again the same.
#![forbid(unsafe_code)]

use sslserver::privsep::channel::{self, Message};
use sslserver::privsep::message::resolver::Resolved;
use sslserver::privsep::message::store::ServerAddresses;
use sslserver::privsep::message::{
    Found, FromKeeper, FromLookup, FromTerminator, FromWorker, Heritage, NewSession, NewWorker,
    Proof, PublicPart, Reply, Request, SessionReport, StoreReport, ToKeeper, ToLookup, ToSession,
    ToStore, ToTerminator, ToWorker,
};
use sslserver::tls::tickets::{self, TicketSecrets};

use super::Target;

macro_rules! kinds {
    ($($kind:ident)*) => {
        /// Every type of message, by its name.
        pub const KINDS: &[(&str, Target)] = &[$((stringify!($kind), check::<$kind>)),*];
    };
}

kinds! {
    Found FromKeeper FromLookup FromTerminator FromWorker Heritage NewSession NewWorker PublicPart Reply Request Resolved
    ServerAddresses SessionReport StoreReport ToKeeper ToLookup ToStore ToTerminator ToWorker Proof ToSession
}

/// The first byte is the number of the type.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&kind, rest)) = bytes.split_first() else {
        return false;
    };
    match KINDS.get(usize::from(kind)) {
        Some(("Heritage", check)) => check(rest) && inherit(rest),
        Some((_, check)) => check(rest),
        None => false,
    }
}

fn check<M: Message>(bytes: &[u8]) -> bool {
    // A longer one does not get through a channel.
    if bytes.len() > M::MAX {
        return false;
    }
    let Some(message) = channel::decode::<M>(bytes) else {
        return false;
    };
    let said = channel::encode(&message);
    let Some(again) = channel::decode::<M>(&said) else {
        panic!("not understood: {said:02x?}");
    };
    assert_eq!(channel::encode(&again), said);
    true
}

/// A keeper takes the secrets of the one before it, if they are any.
fn inherit(bytes: &[u8]) -> bool {
    let Some(Heritage(state)) = channel::decode(bytes) else {
        return false;
    };
    let now = tickets::now();
    let Some(secrets) = TicketSecrets::decode(&state, now) else {
        return false;
    };
    let encoded = secrets.encode();
    // In front of them is whether they change, and since when, which means nothing if they do not.
    assert_eq!(encoded[9..], state[9..]);
    assert!(TicketSecrets::decode(&encoded, now).is_some_and(|heir| heir.encode() == encoded));
    true
}
