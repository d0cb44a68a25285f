//! sslclient as its users meet it: it calls real servers, sees whether they are the right ones, and runs programs with the
//! connection on descriptors 6 and 7.
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod application;
mod certificates;
mod counterpart;
mod names;
mod relay;
mod roles;
mod servers;
mod starttls;
mod usage;
mod verification;

use common::{Outcome, glob};

/// It ended with this code and a line that fits.
fn assert_ended(outcome: &Outcome, code: i32, line: &str) {
    assert_eq!(outcome.code(), code, "{outcome:?}");
    let lines = outcome.lines();
    let found = lines.iter().any(|found| glob(line, found));
    assert!(found, "{line}: {outcome:?}");
}

/// Nothing was said but where it connected to, and how the program ended.
fn assert_quiet(outcome: &Outcome) {
    let usual = [
        "sslclient: tls connected to: *",
        "sslclient: * ended with exit code *",
    ];
    let is_usual = |line: &str| usual.iter().any(|pattern| glob(pattern, line));
    let lines = outcome.lines();
    assert!(lines.iter().all(|line| is_usual(line)), "{outcome:?}");
}
