//! Every message between roles: a file for each role that the rest talk to, and here the channels by who sends to whom.
#![forbid(unsafe_code)]

mod client;
mod keeper;
pub mod lookup;
pub mod resolver;
mod session;
mod signature;
pub mod store;
mod terminator;
mod worker;

pub use client::{Proof, ToSession};
pub use keeper::{Chain, FromKeeper, Heritage, PublicPart, ToKeeper};
pub use lookup::{Answer, FromLookup, ToLookup, Wanted};
pub use session::{Ending, Facts, MAX_ENVIRONMENT, SessionReport};
pub use signature::{NewSession, Reply, Request};
pub use store::{Found, NewWorker, StoreReport, ToStore};
pub use terminator::{ConnectionOrder, FromTerminator, ToTerminator};
pub use worker::{Finish, Finished, FromWorker, Target, ToWorker};

use super::channel::{Channel, Message, Reader, Writer};

/// Text for the log that one role hands another.
const MAX_TEXT: usize = 4096;

pub type ListenerToKeeper = Channel<ToKeeper, FromKeeper>;
pub type KeeperToListener = Channel<FromKeeper, ToKeeper>;
pub type KeeperToHeir = Channel<Heritage, Nothing>;
pub type HeirToKeeper = Channel<Nothing, Heritage>;
pub type KeeperToTerminator = Channel<PublicPart, NewSession>;
pub type TerminatorToKeeper = Channel<NewSession, PublicPart>;
pub type SessionToKeeper = Channel<Request, Reply>;
pub type KeeperToSession = Channel<Reply, Request>;
/// For the session of a client, whose keeper has one certificate.
pub type ProverToKeeper = Channel<Proof, ToSession>;
pub type KeeperToProver = Channel<ToSession, Proof>;
pub type ListenerToTerminator = Channel<ToTerminator, FromTerminator>;
pub type TerminatorToListener = Channel<FromTerminator, ToTerminator>;
pub type ListenerToLookup = Channel<ToLookup, FromLookup>;
pub type LookupToListener = Channel<FromLookup, ToLookup>;
/// A worker asks its signer as a session asks the keeper, but as often as it shakes hands.
pub type WorkerToSigner = Channel<Request, Reply>;
pub type SignerToWorker = Channel<Reply, Request>;
pub type ParentToWorker = Channel<ToWorker, FromWorker>;
pub type WorkerToParent = Channel<FromWorker, ToWorker>;
pub type ParentToStore = Channel<NewWorker, StoreReport>;
pub type StoreToParent = Channel<StoreReport, NewWorker>;
pub type WorkerToStore = Channel<ToStore, Found>;
pub type StoreToWorker = Channel<Found, ToStore>;
pub type ParentToResolver = Channel<Nothing, resolver::Resolved>;
pub type ResolverToParent = Channel<resolver::Resolved, Nothing>;
pub type ListenerToSession = Channel<Nothing, SessionReport>;
pub type SessionToListener = Channel<SessionReport, Nothing>;

/// The sender of this direction never speaks.
pub enum Nothing {}

impl Message for Nothing {
    const MAX: usize = 1;

    fn encode(&self, _: &mut Writer) {
        match *self {}
    }

    fn decode(_: &mut Reader<'_>) -> Option<Self> {
        None
    }
}

/// Cuts a text at the bound of the channel rather than losing the message, and no letter in two.
fn clip(text: &str) -> &[u8] {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privsep::channel::{decode, encode};

    #[test]
    fn a_text_that_is_too_long_arrives_without_its_end_and_with_no_other_letters() {
        for letter in ["x", "\u{e4}", "\u{20ac}", "\u{1f600}"] {
            for shift in 0..4 {
                let text = "-".repeat(shift) + &letter.repeat(MAX_TEXT);
                let arrived = decode(&encode(&FromKeeper::Warning(text.clone())));
                let Some(FromKeeper::Warning(arrived)) = arrived else {
                    panic!("{letter}");
                };
                assert!(text.starts_with(&arrived));
                assert!(arrived.len() > MAX_TEXT - letter.len());
            }
        }
    }
}
