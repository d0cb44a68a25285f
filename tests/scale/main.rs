//! The proxy with as much to do as it is made for: tens of thousands of connections, a million requests, thousands of
//! certificates. `SSLSERVER_SCALE=full` asks for all of it; without that the numbers are small enough for every run.
//!
//! Clients and backends need more descriptors than a process has, so this program runs itself again in their roles.

mod backend;
mod bytes;
mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod fairness;
mod footprint;
mod frame;
mod held;
mod machines;
mod member;
mod part;
mod requests;
mod resumed;
mod size;
mod stalls;
mod work;

use std::process::ExitCode;

pub(crate) use common::harness::tests;

/// Each takes the whole machine.
const AT_ONCE: usize = 1;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    size::raise_descriptors();
    match words[..] {
        [backend::ROLE, port] => return backend::run(port),
        [role @ (crowd::ROLE | crowd::TICKETLESS), target] => return crowd::run(role, target),
        _ => {}
    }
    let all = [
        held::TESTS,
        requests::TESTS,
        fairness::TESTS,
        certificates::TESTS,
        machines::TESTS,
        stalls::TESTS,
        bytes::TESTS,
    ];
    common::harness::main(&all, AT_ONCE, &arguments)
}
