//! One row on one proxy, once: start, warm up, count, work, count, end.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, TcpListener};

use openssl::pkey::Id;
use openssl::ssl::SslVersion;

use crate::client::Client;
use crate::common::account::Home;
use crate::common::driver::Bench;
use crate::common::peer::Peer;
use crate::common::process::{Server, free_port};
use crate::common::rows::{Row, Sample, per};
use crate::load::backend::Backend;
use crate::load::work::connections;
use crate::materials::Materials;
use crate::rows::{self, Key, Work};
use crate::servers::{self, Start, Wish};
use crate::tls::{Groups, Tls};

pub struct Proxies;

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
        let setting = Setting {
            tls,
            peer,
            materials,
            home,
        };
        match load {
            Work::Fresh(key, work) => {
                let _place = work.place()?;
                setting.with(1, key, |client, server| work.measure(client, server))
            }
            Work::Resumed { count } => setting.with(1, Key::P256, |client, server| {
                // Full handshakes first, for their tickets.
                connections(1, client, server)?;
                client.resume();
                Ok(per(count, connections(count, client, server)?))
            }),
            Work::Workers { count } => setting.workers(count),
        }
    }
}

/// P-256 only because the certificate's curve must be among them with TLS 1.2.
const GROUPS: Groups = Groups {
    offered: Some("X25519:P-256"),
    becomes: Id::X25519,
};

/// What every row is measured with.
struct Setting<'a> {
    tls: SslVersion,
    peer: &'a Peer<Start>,
    materials: &'a Materials,
    home: Option<&'a Home>,
}

impl Setting<'_> {
    /// Starts backend and proxy, works, and ends them.
    fn with<T>(
        &self,
        workers: u32,
        key: Key,
        work: impl FnOnce(&mut Client, &Server) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let backend = listener.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((Backend::start(listener, Vec::new())?, address))
        });
        let (_backend, address) =
            backend.map_err(|e| format!("unable to start the backend: {e}"))?;
        let port = free_port()?;
        let served = self.materials.served(key);
        let wish = Wish {
            port,
            backend: address,
            workers,
            pem: &served.pem,
            scratch: &self.materials.scratch,
        };
        let Some(command) = (self.peer.how)(&wish)? else {
            return Ok(None);
        };
        let server = Server::start(self.peer, port, command, &self.materials.scratch, self.home)?;
        let tls = Tls::new(self.tls, GROUPS, &served.certificate_der)?;
        let mut client = Client::new(server.address, tls);
        work(&mut client, &server)
            .map(Some)
            .map_err(|complaint| server.with_log(&complaint))
    }

    fn workers(&self, count: u64) -> Result<Option<Sample>, String> {
        let by = |workers| {
            self.with(workers, Key::Rsa4096, |client, server| {
                connections(count, client, server)
            })
        };
        let (Some((_, one)), Some((cpu, two))) = (by(1)?, by(2)?) else {
            return Ok(None);
        };
        let count = count as f64;
        Ok(Some(vec![
            Some(two / one),
            Some(count / one * 1e6),
            Some(count / two * 1e6),
            cpu.map(|cpu| cpu / count),
        ]))
    }
}
