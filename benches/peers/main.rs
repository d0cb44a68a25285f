//! Measures sslserver beside its peers, on the same work, on loopback, in one run.
#![deny(unsafe_code)]

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/identity.rs"]
mod identity;
mod materials;
mod measure;
mod rows;
mod servers;
#[path = "../common/tls.rs"]
mod tls;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::driver::main::<measure::Peers>()
}
