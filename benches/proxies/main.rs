//! Measures stud beside other TLS proxies, on the same work, on loopback, in one run.
//!
//! Only the proxy is on the account: the clients and the backend are this process.
#![deny(unsafe_code)]

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/identity.rs"]
mod identity;
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

struct Proxies;

impl Bench for Proxies {
    type Load = Work;
    type How = Start;
    type Materials = Materials;

    const NAME: &'static str = "proxies";
    const OURS: &'static str = servers::OURS;
    const ROWS: &'static [Row<Work>] = rows::ROWS;
    const PEERS: &'static [Peer<Start>] = servers::PEERS;
    // A proxy holds two for each connection of the idle row, and so does this process.
    const DESCRIPTORS: u64 = 20_000;
    const CPU_OF: &'static str =
        "all processes of the proxy; clients and backend are not in these figures";

    fn prepare() -> Result<Materials, String> {
        Materials::make()
    }

    fn measure(
        load: Work,
        tls: SslVersion,
        peer: &Peer<Start>,
        materials: &Materials,
        home: Option<&Home>,
    ) -> Result<Option<Sample>, String> {
        measure::measure(load, tls, peer, materials, home)
    }
}

fn main() -> ExitCode {
    driver::main::<Proxies>()
}
