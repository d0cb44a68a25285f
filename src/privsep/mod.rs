//! The process roles around the network and the keys, and what they may say to each other.

pub mod attempts;
pub mod backoff;
pub mod channel;
pub mod client;
pub mod keeper;
mod line;
pub mod lookup;
pub mod message;
pub mod pem_keeper;
mod reader;
pub mod resolver;
pub mod role;
mod safe;
pub(crate) mod sandbox;
pub mod session;
pub mod shared;
pub mod signer;
mod signer_channel;
pub mod store;
pub mod terminator;
pub mod worker;
