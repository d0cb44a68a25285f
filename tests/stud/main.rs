//! The proxy, from outside: clients in front, backends behind.
#![forbid(unsafe_code)]

mod backends;
mod background;
mod client_mode;
mod clients;
mod closing;
#[path = "../common/mod.rs"]
mod common;
mod counters;
mod death;
mod ending;
mod files;
mod header;
mod logs;
#[path = "../roles/memory.rs"]
mod memory;
mod misuse;
mod patience;
mod pems;
mod preamble;
mod privileges;
mod proxy_proxy;
mod receivers;
mod reload;
mod reload_refused;
mod scarcity;
mod sessions;
mod sni;
mod tls;
mod told;
mod usage;
