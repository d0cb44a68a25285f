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
    let all = [
        dnsmasq::TESTS,
        dns::TESTS,
        hostile::TESTS,
        ident::TESTS,
        proxy::TESTS,
        bounds::TESTS,
    ];
    common::harness::role_or_tests(role::ARGUMENT, role::be, &all)
}
