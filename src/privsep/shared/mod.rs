//! Sessions that share a process (`-j`): one of N terminators that serve their connections themselves instead of
//! forking a session for each. Whoever takes it over has its connections and no key.
#![forbid(unsafe_code)]

use super::message::{TerminatorToKeeper, TerminatorToListener, WorkerToSigner};
use super::terminator::Orders;

/// The descriptors of such a process.
pub struct Ends {
    pub listener: TerminatorToListener,
    /// Where the public parts of the keys come from.
    pub keeper: TerminatorToKeeper,
    /// Whom signatures and tickets are asked of.
    pub signer: WorkerToSigner,
}

/// Runs it to its end: the last connection's after the listener told it to drain, or is gone.
pub fn run(_orders: &Orders, _ends: Ends) -> u8 {
    111
}
