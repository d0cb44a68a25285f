//! The harness of the black-box tests: it starts the real programs on loopback, talks to them with real
//! clients, and sees to it that nothing is left behind. Every wait in it has a limit.
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses its own part of the harness"
)]

pub mod backend;
pub mod caller;
pub mod client;
pub mod daemon;
pub mod dnsmasq;
pub mod harness;
pub mod installed;
pub mod keys;
pub mod log;
pub mod message;
pub mod namespaces;
pub mod peers;
pub mod plain;
pub mod process;
pub mod program;
pub mod responder;
pub mod role;
pub mod s_server;
pub mod server;
pub mod setup;
pub mod shown;
pub mod stud;
pub mod tempdir;

pub use backend::{Accepted, Backend, Serving};
pub use caller::{Called, Caller};
pub use client::{Client, Dial, End, Ending, showing};
pub use daemon::Daemon;
pub use dnsmasq::Dnsmasq;
pub use installed::Installed;
pub use keys::Kind;
pub use log::{Log, glob};
pub use peers::{Outcome, curl, run, s_client};
pub use plain::Plain;
pub use process::Process;
pub use program::Program;
pub use responder::Responder;
pub use role::RoleProcess;
pub use s_server::SServer;
pub use server::{Server, session, terminator};
pub use setup::{Setup, without_own_processes};
pub use shown::Shown;
pub use stud::{Running, Stud};
pub use tempdir::TempDir;

use std::time::{Duration, Instant};

/// The longest wait for anything that should happen at once.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The longest wait for work that moves hundreds of megabytes.
pub const LONG: Duration = Duration::from_secs(180);

/// What the library keeps of a connection on which nothing moves, in bytes. From 3.2 on each direction of the records has a
/// state of its own, with room for 32 records at a time.
pub fn library_state() -> u64 {
    match openssl::version::number() >= 0x3020_0000 {
        true => 21_000,
        false => 14_000,
    }
}

/// Asks until there is an answer; for what cannot be waited for, such as a process that goes away.
pub fn eventually<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {LIMIT:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// True, said in a line of its own past the capture, where the caller has to give up for want of root.
pub fn without_root(test: &str) -> bool {
    if !is_root() {
        say(&format!("{test}: skipped: needs root"));
    }
    !is_root()
}

/// A line that is seen although the test passes (libtest captures only print! and eprint!).
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Numbers that no byte lost, doubled or swapped leaves as they were.
pub fn pattern(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
