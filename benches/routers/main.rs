//! Measures sniproxy beside other routers of TLS by name, on the same work, on loopback, in one run.
//!
//! Only the router is on the account: the clients and the backend are this process. As nobody decrypts anything, only
//! the ClientHello is TLS; what follows are the bytes that a router would pass on.
#![forbid(unsafe_code)]

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../load/mod.rs"]
mod load;
mod materials;
mod measure;
mod rows;
mod servers;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::driver::main::<measure::Routers>()
}
