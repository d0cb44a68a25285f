//! One row on one router, once: start, warm up, count, work, count, end.
#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::common::account::Home;
use crate::common::process::{Server, free_port};
use crate::common::rows::{Peer, Sample};
use crate::load::backend::Backend;
use crate::load::crowd::Crowd;
use crate::load::one_core::OneCore;
use crate::load::transfer;
use crate::materials::Materials;
use crate::rows::Work;
use crate::servers::{Start, Wish};

/// Enough that no router waits for clients, and fewer than the shortest backlog.
const AT_ONCE: u64 = 16;
const WARM_UP: u64 = 64;
/// How long connections have been silent when they count as idle.
const IDLE: Duration = Duration::from_secs(5);

/// None: this peer takes no part in this row.
pub fn measure(
    load: Work,
    peer: &Peer<Start>,
    materials: &Materials,
    home: Option<&Home>,
) -> Result<Option<Sample>, String> {
    let _one_core = match load {
        Work::Echo { .. } => Some(OneCore::enter()?),
        _ => None,
    };
    let _backend = backend(materials).map_err(|e| format!("unable to start the backend: {e}"))?;
    let port = free_port()?;
    let command = (peer.how)(&Wish { port, materials })?;
    let server = Server::start(peer, port, command, &materials.scratch, home)?;
    let client = Client {
        address: server.address,
        hello: materials.hello.clone(),
    };
    work(load, &client, &server)
        .map(Some)
        .map_err(|complaint| server.with_log(&complaint))
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

fn work(load: Work, client: &Client, server: &Server) -> Result<Sample, String> {
    match load {
        Work::Connections { count } => {
            let (cpu, wall) = server.counted(
                || Crowd::answers(client, WARM_UP, AT_ONCE),
                || Crowd::answers(client, count, AT_ONCE),
            )?;
            Ok(per(count as f64, cpu, wall))
        }
        Work::Download { bytes } => {
            let (cpu, wall) = server.counted(
                || transfer::download(client, 1 << 20),
                || transfer::download(client, bytes),
            )?;
            Ok(per(milliseconds_per_gb(bytes), cpu, wall))
        }
        Work::Upload { bytes } => {
            let (cpu, wall) = server.counted(
                || transfer::upload(client, 1 << 20),
                || transfer::upload(client, bytes),
            )?;
            Ok(per(milliseconds_per_gb(bytes), cpu, wall))
        }
        Work::Echo {
            connections,
            messages,
        } => {
            let each = messages / connections as u64;
            let mut crowd = Crowd::new(client)?;
            crowd.grow(connections)?;
            crowd.echo(each.div_ceil(10))?;
            let (cpu, wall) = server.counted(|| Ok(()), || crowd.echo(each))?;
            Ok(per((each * connections as u64) as f64, cpu, wall))
        }
        Work::Idle { few, many } => idle(few, many, client, server),
    }
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
