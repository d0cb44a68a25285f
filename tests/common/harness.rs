//! A small harness for programs that are roles as well: a role confines its whole process, so it needs one of its own,
//! and such a program runs itself again and becomes the role before there is a second thread.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most tests wait for something; so many of them do it at once.
const AT_ONCE: usize = 4;

pub type Test = (&'static str, fn());

/// Makes a list of the functions named.
#[allow(unused_macros, reason = "for the programs that have this harness")]
macro_rules! tests {
    ($($name:ident)*) => {
        pub const TESTS: &[crate::common::harness::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}
pub(crate) use tests;

/// A program that becomes this role, by what its further arguments say, if its first argument is the role's; else it runs
/// tests.
pub fn role_or_tests(role: &str, be: fn(&[String]) -> u8, all: &[&[Test]]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == role => ExitCode::from(be(rest)),
        _ => main(all, AT_ONCE, &arguments),
    }
}

/// Runs those that the arguments ask for, as the usual harness does, so many of them at once.
pub fn main(all: &[&[Test]], at_once: usize, arguments: &[String]) -> ExitCode {
    let listing = arguments.iter().any(|word| word == "--list");
    let filters: Vec<&String> = arguments.iter().filter(|w| !w.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|part| name.contains(*part));
    let chosen: Vec<Test> = all
        .iter()
        .copied()
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
    match run(&chosen, at_once) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// How many failed.
fn run(chosen: &[Test], at_once: usize) -> usize {
    println!("\nrunning {} tests", chosen.len());
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
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
