//! One row on one proxy, once: start, warm up, count, work, count, end.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use openssl::ssl::SslVersion;

use crate::client::Client;
use crate::common::account::Home;
use crate::common::process::{Server, free_port};
use crate::common::rows::{Peer, Sample};
use crate::load::backend::Backend;
use crate::load::crowd::Crowd;
use crate::load::one_core::OneCore;
use crate::load::transfer;
use crate::materials::Materials;
use crate::rows::{Key, Work};
use crate::servers::{Start, Wish};

/// Enough that no proxy waits for clients, and fewer than the shortest backlog.
const AT_ONCE: u64 = 16;
const WARM_UP: u64 = 64;
/// How long connections have been silent when they count as idle.
const IDLE: Duration = Duration::from_secs(5);

/// What every row is measured with.
struct Setting<'a> {
    tls: SslVersion,
    peer: &'a Peer<Start>,
    materials: &'a Materials,
    home: Option<&'a Home>,
}

/// None: this peer takes no part in this row.
pub fn measure(
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
        Work::Connections {
            count,
            key,
            resumed,
        } => setting.with(1, key, |client, server| {
            let (cpu, wall) = connections(count, resumed, client, server)?;
            Ok(per(count as f64, cpu, wall))
        }),
        Work::Download { bytes } => setting.with(1, Key::P256, |client, server| {
            let (cpu, wall) = server.counted(
                || transfer::download(client, 1 << 20),
                || transfer::download(client, bytes),
            )?;
            Ok(per(milliseconds_per_gb(bytes), cpu, wall))
        }),
        Work::Upload { bytes } => setting.with(1, Key::P256, |client, server| {
            let (cpu, wall) = server.counted(
                || transfer::upload(client, 1 << 20),
                || transfer::upload(client, bytes),
            )?;
            Ok(per(milliseconds_per_gb(bytes), cpu, wall))
        }),
        Work::Echo {
            connections,
            messages,
        } => {
            let _one_core = OneCore::enter()?;
            setting.with(1, Key::P256, |client, server| {
                let each = messages / connections as u64;
                let mut crowd = Crowd::new(client)?;
                crowd.grow(connections)?;
                crowd.echo(each.div_ceil(10))?;
                let (cpu, wall) = server.counted(|| Ok(()), || crowd.echo(each))?;
                Ok(per((each * connections as u64) as f64, cpu, wall))
            })
        }
        Work::Idle { few, many } => setting.with(1, Key::P256, |client, server| {
            idle(few, many, client, server)
        }),
        Work::Workers { count } => setting.workers(count),
    }
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
        let mut client = Client::new(server.address, self.tls, &served.certificate_der)
            .map_err(|e| format!("unable to prepare TLS: {e}"))?;
        work(&mut client, &server)
            .map(Some)
            .map_err(|complaint| server.with_log(&complaint))
    }

    fn workers(&self, count: u64) -> Result<Option<Sample>, String> {
        let by = |workers| {
            self.with(workers, Key::Rsa4096, |client, server| {
                connections(count, false, client, server)
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

/// CPU time and time in microseconds.
fn connections(
    count: u64,
    resumed: bool,
    client: &mut Client,
    server: &Server,
) -> Result<(Option<f64>, f64), String> {
    Crowd::answers(client, WARM_UP, AT_ONCE)?;
    if resumed {
        client.resume();
    }
    server.counted(
        || Crowd::answers(client, WARM_UP, AT_ONCE),
        || Crowd::answers(client, count, AT_ONCE),
    )
}

fn per(units: f64, cpu: Option<f64>, wall: f64) -> Sample {
    vec![cpu.map(|cpu| cpu / units), Some(wall / units)]
}

fn milliseconds_per_gb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30) * 1000.0
}

/// Each connection has said something once, so that nothing is half done.
fn idle(few: usize, many: usize, client: &Client, server: &Server) -> Result<Sample, String> {
    let mut crowd = Crowd::new(client)?;
    let mut at = |wanted| {
        crowd.grow(wanted)?;
        thread::sleep(IDLE);
        server.memory()
    };
    let before = at(few)?;
    let after = at(many)?;
    crowd.echo(1)?;
    Ok(vec![
        Some((after.private_kb - before.private_kb) / (many - few) as f64),
        Some(after.private_kb),
    ])
}
