//! Keys that are renewed while the server runs.
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;

mod bad;
mod good;
mod load;
mod sets;
mod watch;

use common::keys::{authority, for_names};
use common::{End, Ending, Kind, Server, Setup};
use nix::sys::signal::Signal;

/// A new pair for localhost under this name in the files of the first set.
fn renew(server: &Server, label: &str) {
    put(&server.dir, "", label);
}

fn put(dir: &common::TempDir, place: &str, label: &str) {
    let pair = for_names(Kind::P256, authority(), label, &["localhost"]);
    replace(dir, &format!("{place}cert0.pem"), &pair.certificate);
    replace(dir, &format!("{place}key0.pem"), &pair.key);
}

/// As careful writers do it: the old file is never half a new one.
fn replace(dir: &common::TempDir, name: &str, content: &str) {
    let new = dir.write("being-written", content);
    std::fs::rename(new, dir.join(name)).expect("renamed");
}

/// Sends SIGHUP and waits until it has been obeyed so often.
fn reload(server: &Server, times: usize) {
    server.signal(Signal::SIGHUP);
    server
        .log
        .wait_for_nth("sslserver: info: keys are renewed: *", times);
}

fn shown(server: &Server) -> String {
    named(server, "localhost")
}

/// The certificate for a client that asks for this name, which is served to a clean end.
fn named(server: &Server, name: &str) -> String {
    let mut client = server.dial().name(name).connect();
    let (echo, end) = client.exchange(b"hello", Ending::CloseNotify);
    assert_eq!((&echo[..], end), (&b"hello"[..], End::Clean));
    client.shown()
}

/// What tells that nothing went wrong beside what the test is about.
fn assert_quiet(server: &Server) {
    for class in ["fatal", "error", "warning"] {
        let lines = server.log.matching(&format!("sslserver: {class}: *"));
        assert!(lines.is_empty(), "{lines:?}");
    }
}

fn serving() -> Server {
    Setup::new().start()
}
