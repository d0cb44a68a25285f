//! The process that shares sessions, between a listener and a keeper that are the test, clients that are real, and
//! applications that are real or the test's.
//!
//! A role confines its whole process, so it needs one of its own: this program runs itself again with [`role::ARGUMENT`],
//! and becomes the role before there is a second thread.
#![forbid(unsafe_code)]

mod bounds;
#[path = "../common/mod.rs"]
mod common;
mod drain;
mod handshake;
mod idle;
mod keeper;
mod plain_start;
mod relay;
mod role;
mod side;
mod told;

use std::process::ExitCode;

pub(crate) use common::harness::tests;

fn main() -> ExitCode {
    let all = [
        told::TESTS,
        handshake::TESTS,
        relay::TESTS,
        plain_start::TESTS,
        keeper::TESTS,
        drain::TESTS,
        idle::TESTS,
        bounds::TESTS,
    ];
    common::harness::role_or_tests(role::ARGUMENT, role::be, &all)
}
