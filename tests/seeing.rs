//! What an administrator sees of connections: a line for each that has ended, and counters.
#![forbid(unsafe_code)]

mod common;
#[path = "seeing/counted.rs"]
mod counted;
#[path = "seeing/denied.rs"]
mod denied;
#[path = "seeing/failed.rs"]
mod failed;
#[path = "seeing/finished.rs"]
mod finished;
#[path = "seeing/metrics.rs"]
mod metrics;

use std::time::{Duration, Instant};

use common::server::Counters;
use common::{Client, LIMIT, Server};
use nix::sys::socket::{setsockopt, sockopt};

/// Waits until these are all counters but the memory that are not 0.
fn assert_counted(server: &Server, expected: &[(&str, u64)]) {
    let expected: Counters = expected
        .iter()
        .map(|&(key, value)| (key.to_owned(), value))
        .collect();
    let end = Instant::now() + LIMIT;
    loop {
        let mut found = server.counters();
        found.retain(|key, value| *value != 0 && !key.starts_with("memory "));
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < end,
            "{found:?}\ninstead of\n{expected:?}\n{}",
            server.log.lines().join("\n")
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Hangs up without a word.
fn reset(client: Client) {
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(client.tls.get_ref(), sockopt::Linger, &linger).expect("linger");
}
