//! The store of sessions by itself, between a parent and workers that are the test, and in front of Redis servers that
//! are real, dead or hostile.
//!
//! A role confines its whole process, so it needs one of its own: this program runs itself again with [`role::ARGUMENT`],
//! and becomes the role before there is a second thread.
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "redis")]
mod hostile;
mod memory;
#[cfg(feature = "redis")]
mod outage;
#[cfg(feature = "redis")]
mod redis;
mod role;
#[cfg(feature = "redis")]
mod servers;

use std::process::ExitCode;

pub(crate) use common::harness::tests;

fn main() -> ExitCode {
    let all = [
        memory::TESTS,
        #[cfg(feature = "redis")]
        servers::TESTS,
        #[cfg(feature = "redis")]
        outage::TESTS,
        #[cfg(feature = "redis")]
        hostile::TESTS,
    ];
    common::harness::role_or_tests(role::ARGUMENT, role::be, &all)
}
