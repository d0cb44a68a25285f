//! What forks or runs out of descriptors: processes that share counters, look names up, go to the background. A process
//! that forks has one thread, so this program brings its own small harness; what changes the whole process runs in
//! another copy of it.

mod children;
mod code;
mod daemon;
mod metrics;
mod resolver;

use std::process::ExitCode;

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
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [resolver::ARGUMENT] => return resolver::ask_a_silent_server(),
        [daemon::ARGUMENT, mode] => return daemon::go(mode),
        _ => {}
    }
    let filters: Vec<&String> = arguments.iter().filter(|w| !w.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|part| name.contains(*part));
    let all = [
        children::TESTS,
        code::TESTS,
        daemon::TESTS,
        metrics::TESTS,
        resolver::TESTS,
    ]
    .into_iter()
    .flatten();
    let chosen: Vec<&Test> = all.filter(|(name, _)| wanted(name)).collect();
    if arguments.iter().any(|word| word == "--list") {
        for (name, _) in &chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    for (name, test) in &chosen {
        // A failure panics, and ends this process.
        test();
        println!("test {name} ... ok");
    }
    println!("\ntest result: ok. {} passed; 0 failed\n", chosen.len());
    ExitCode::SUCCESS
}
