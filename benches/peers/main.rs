//! Measures sslserver beside its peers, on the same work, on loopback, in one run.
#![deny(unsafe_code)]

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/identity.rs"]
mod identity;
mod materials;
mod measure;
mod rows;
mod servers;

use std::process::ExitCode;

use openssl::ssl::SslVersion;

use common::account::Home;
use common::driver::{self, Bench};
use common::rows::{Peer, Row, Sample, Target};
use materials::Materials;
use rows::Work;
use servers::Start;

struct Peers;

impl Bench for Peers {
    type Load = Work;
    type How = Start;
    type Materials = Materials;

    const NAME: &'static str = "peers";
    const OURS: &'static str = "sslserver";
    const ROWS: &'static [Row<Work>] = rows::ROWS;
    const PEERS: &'static [Peer<Start>] = servers::PEERS;
    const TARGETS: &'static [Target] = rows::TARGETS;
    const DESCRIPTORS: u64 = 4096;
    const CPU_OF: &'static str = "all processes of the server, applications included";

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
    driver::main::<Peers>()
}
