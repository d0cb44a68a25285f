//! TLS with OpenSSL, the private key elsewhere.

pub mod catalogue;
pub mod choice;
pub mod client;
pub mod client_hello;
pub mod context;
pub mod environment;
pub mod folder;
pub mod gate;
pub mod identity;
pub mod material;
pub mod named;
pub mod outward;
pub mod pair;
pub mod pem;
pub mod pems;
pub mod provider;
pub mod rehearsal;
#[cfg(test)]
pub(crate) mod rig;
pub mod sessions;
pub mod settings;
pub mod signing;
pub mod staple;
pub mod stream;
pub mod tickets;
pub mod trust;
pub mod watch;
