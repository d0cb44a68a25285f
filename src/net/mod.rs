//! Addresses, counts of clients, listening sockets, what proxies announce, and floods.

pub mod address;
pub mod census;
pub mod flood;
pub mod listen;
pub mod proxy_header;
