//! TLS with OpenSSL, the private key elsewhere.

pub mod client;
pub mod context;
pub mod environment;
pub mod folder;
pub mod material;
pub mod named;
pub mod provider;
pub mod rehearsal;
pub mod settings;
pub mod signing;
pub mod stream;
pub mod tickets;
pub mod trust;
