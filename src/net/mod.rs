//! Addresses and listening sockets.

pub mod address;
pub mod listen;
