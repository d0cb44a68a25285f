//! What proxies and routers are loaded with: crowds of clients, transfers, a backend, and what they say to each other.
//! Each benchmark has its own `client`, which decides what comes before the first message.
#![forbid(unsafe_code)]

pub mod backend;
mod crowd;
pub mod member;
mod one_core;
pub mod peers;
pub mod protocol;
mod transfer;
pub mod work;
