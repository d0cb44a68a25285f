//! How much is asked for, and what the system gives for it.
#![forbid(unsafe_code)]

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors of a process that are no connection's.
const RESERVE: u64 = 200;

/// All of it, or what is enough in every run.
pub fn of<T>(small: T, full: T) -> T {
    match std::env::var_os("SSLSERVER_SCALE").is_some_and(|word| word == "full") {
        true => full,
        false => small,
    }
}

/// As many descriptors as we may have, for us and whoever we start.
pub fn raise_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the hard limit");
}

/// How many processes are needed for so many descriptors.
pub fn processes(descriptors: u64) -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    usize::try_from(descriptors.div_ceil(soft - RESERVE)).expect("few")
}
