//! Addresses, host names, counts and rates of clients, listening and connecting, what proxies announce and what we
//! announce as one, and floods.

pub mod address;
pub mod census;
pub mod dial;
pub mod flood;
pub mod host_name;
pub mod inherited;
pub mod listen;
pub mod metrics;
pub mod preamble;
pub mod proxy_header;
pub mod rate;
