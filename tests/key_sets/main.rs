//! Key sets that rules choose for a connection.
#![forbid(unsafe_code)]

mod bounds;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod death;
mod keys;
mod trouble;

use common::keys::{Pair, authority, for_names};
use common::{Kind, Server, Setup, Shown};

/// A server whose application tells its environment.
fn server() -> Setup {
    Setup::new().options(&["-s"]).program(&["env"])
}

/// A certificate for localhost by another common name, in files of the test's directory.
fn pair(setup: &Setup, place: &str, label: &str) -> Pair {
    let pair = for_names(Kind::P256, authority(), label, &["localhost"]);
    let file = |name: &str| format!("{place}{label}-{name}.pem");
    setup.dir.write(&file("cert"), &pair.certificate);
    setup.dir.write(&file("key"), &pair.key);
    pair
}

/// What a rule says to have that pair.
fn variables(setup: &Setup, label: &str) -> String {
    let file = |name: &str| setup.dir.text(&format!("{label}-{name}.pem"));
    format!("CERTFILE=\"{}\",KEYFILE=\"{}\"", file("cert"), file("key"))
}

/// What a client from that address is shown.
fn from(server: &Server, source: &str, options: &[&str]) -> Shown {
    let bind = format!("{source}:0");
    let named = ["-servername", "localhost", "-bind", &bind];
    Shown::to(server, &[&named[..], options].concat())
}

/// The server's certificate for a client from that address.
fn certificate(server: &Server, source: &str) -> String {
    from(server, source, &[]).server()
}
