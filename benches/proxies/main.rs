//! Measures stud beside other TLS proxies, on the same work, on loopback, in one run.
//!
//! Only the proxy is on the account: the clients and the backend are this process.
#![deny(unsafe_code)]

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/identity.rs"]
mod identity;
#[path = "../load/mod.rs"]
mod load;
mod materials;
mod measure;
mod rows;
mod servers;
#[path = "../common/tls.rs"]
mod tls;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::driver::main::<measure::Proxies>()
}
