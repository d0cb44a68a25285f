//! Measures sniproxy beside other routers of TLS by name, on the same work, on loopback, in one run.
//!
//! Only the router is on the account: the clients and the backend are this process. As nobody decrypts anything, only
//! the ClientHello is TLS; what follows are the bytes that a router would pass on.
#![forbid(unsafe_code)]

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../load/mod.rs"]
mod load;
mod materials;
mod measure;
mod rows;
mod servers;

use std::process::ExitCode;

use openssl::ssl::SslVersion;

use common::account::Home;
use common::driver::{self, Bench};
use common::rows::{Peer, Row, Sample};
use materials::Materials;
use rows::Work;
use servers::Start;

struct Routers;

impl Bench for Routers {
    type Load = Work;
    type How = Start;
    type Materials = Materials;

    const NAME: &'static str = "routers";
    const OURS: &'static str = servers::OURS;
    const ROWS: &'static [Row<Work>] = rows::ROWS;
    const PEERS: &'static [Peer<Start>] = servers::PEERS;
    // A router holds two for each connection of the idle row, and so does this process.
    const DESCRIPTORS: u64 = 20_000;
    const CPU_OF: &'static str =
        "all processes of the router; clients and backend are not in these figures";

    fn prepare() -> Result<Materials, String> {
        Materials::make()
    }

    /// All rows have the same hello, so that none has a version of its own.
    fn measure(
        load: Work,
        _tls: SslVersion,
        peer: &Peer<Start>,
        materials: &Materials,
        home: Option<&Home>,
    ) -> Result<Option<Sample>, String> {
        measure::measure(load, peer, materials, home)
    }
}

fn main() -> ExitCode {
    driver::main::<Routers>()
}
