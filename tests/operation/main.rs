//! What must not stop the service: the death of any role at any time, roles that stand still, logs that nobody reads, and
//! more of everything than there is. With sessions that are processes of their own and with shared ones.
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;

mod crowd;
mod deaths;
mod forged;
mod handovers;
mod logs;
mod machines;
mod mixed;
mod scarcity;
mod shares;
mod stopped;

use common::{End, Ending, Server, Setup};

/// The two ways in which sessions run.
const WAYS: [&[&str]; 2] = [&[], &["-j", "2"]];

fn serving(way: &[&str]) -> Server {
    Setup::new().options(way).options(&["-c", "200"]).start()
}

/// A whole connection to a clean end.
fn assert_serves(server: &Server) {
    let mut client = server.connect();
    let (echo, end) = client.exchange(b"hello", Ending::CloseNotify);
    assert_eq!((&echo[..], end), (&b"hello"[..], End::Clean));
}

/// All of it, or what is enough in every run.
fn size<T>(small: T, full: T) -> T {
    match std::env::var_os("SSLSERVER_SCALE").is_some_and(|word| word == "full") {
        true => full,
        false => small,
    }
}
