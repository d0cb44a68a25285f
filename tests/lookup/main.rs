//! The lookup process by itself, between a listener that is the test and servers that are real, slow, silent or hostile.
//!
//! A role confines its whole process, so it needs one of its own: this program runs itself again with [`role::ARGUMENT`],
//! and becomes the role before there is a second thread. That is why it brings its own small harness.
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
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most tests wait for something; so many do it at once.
const AT_ONCE: usize = 4;

type Test = (&'static str, fn());

/// Makes a list of the functions named.
macro_rules! tests {
    ($($name:ident)*) => {
        pub const TESTS: &[crate::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}
pub(crate) use tests;

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
    let listing = arguments.iter().any(|word| word == "--list");
    let filters: Vec<&String> = arguments.iter().filter(|w| !w.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|part| name.contains(*part));
    let chosen: Vec<Test> = all
        .into_iter()
        .flatten()
        .copied()
        .filter(|(name, _)| wanted(name))
        .collect();
    if listing {
        for (name, _) in &chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    match run(&chosen) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// How many failed.
fn run(chosen: &[Test]) -> usize {
    println!("\nrunning {} tests", chosen.len());
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, test)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A panic in a thread of its own tells its place and ends nothing else.
                    let passed = std::thread::spawn(*test).join().is_ok();
                    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
                    if !passed {
                        failed.lock().expect("no panic under the lock").push(*name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic under the lock");
    for name in &failed {
        println!("failed: {name}");
    }
    let passed = chosen.len() - failed.len();
    println!("\ntest result: {passed} passed; {} failed\n", failed.len());
    failed.len()
}
