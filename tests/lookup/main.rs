//! The lookup process by itself, between a listener that is the test and servers that are real, slow, silent or hostile.
//!
//! A role confines its whole process, so it needs one of its own: this program runs itself again with [`role::ARGUMENT`],
//! and becomes the role before there is a second thread.
#![forbid(unsafe_code)]

mod bounds;
#[path = "../common/mod.rs"]
mod common;
mod dns;
mod dnsmasq;
mod hostile;
mod ident;
mod proxy;
mod role;

use std::process::ExitCode;

pub(crate) use common::harness::tests;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(role::ARGUMENT) {
        return ExitCode::from(role::be(&arguments[1..]));
    }
    let all = [
        dnsmasq::TESTS,
        dns::TESTS,
        hostile::TESTS,
        ident::TESTS,
        proxy::TESTS,
        bounds::TESTS,
    ];
    common::harness::main(&all, common::harness::AT_ONCE, &arguments)
}
