//! One row on one router, once: start, warm up, count, work, count, end.
#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use openssl::ssl::SslVersion;

use crate::client::Client;
use crate::common::account::Home;
use crate::common::driver::Bench;
use crate::common::peer::Peer;
use crate::common::process::{Server, free_port};
use crate::common::rows::{Row, Sample};
use crate::load::backend::Backend;
use crate::load::work::Work;
use crate::materials::Materials;
use crate::rows;
use crate::servers::{self, Start, Wish};

pub struct Routers;

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
        let _place = load.place()?;
        let _backend =
            backend(materials).map_err(|e| format!("unable to start the backend: {e}"))?;
        let port = free_port()?;
        let command = (peer.how)(&Wish { port, materials })?;
        let server = Server::start(peer, port, command, &materials.scratch, home)?;
        let client = Client {
            address: server.address,
            hello: materials.hello.as_slice().into(),
        };
        load.measure(&client, &server)
            .map(Some)
            .map_err(|complaint| server.with_log(&complaint))
    }
}

/// Everybody may connect, because the routers become different users.
fn backend(materials: &Materials) -> io::Result<Backend> {
    match fs::remove_file(&materials.socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&materials.socket)?;
    fs::set_permissions(&materials.socket, Permissions::from_mode(0o666))?;
    Backend::start(listener, materials.hello.clone())
}
