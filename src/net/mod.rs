//! Addresses, listening sockets, and what proxies announce.

pub mod address;
pub mod listen;
pub mod proxy_header;
