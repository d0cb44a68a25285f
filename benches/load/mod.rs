//! What proxies and routers are loaded with: crowds of clients, transfers, a backend, and what they say to each other.
//! Each benchmark has its own `client`, which decides what comes before the first message.
#![forbid(unsafe_code)]

pub mod backend;
pub mod crowd;
pub mod one_core;
pub mod protocol;
pub mod transfer;
