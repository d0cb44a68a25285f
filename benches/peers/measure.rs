//! One row on one server, once: start, warm up, count, work, count, end.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use openssl::ssl::SslVersion;

use crate::client::Client;
use crate::common::account::Home;
use crate::common::process::{Server, free_port};
use crate::common::rows::{Peer, Sample};
use crate::materials::Materials;
use crate::rows::{Refusal, Work};
use crate::servers::{Start, Wish};

/// For all connections of one row together.
const WORK_LIMIT: Duration = Duration::from_secs(300);
const WARM_UP: u64 = 16;
const RELOADS: Duration = Duration::from_millis(100);
const REPLY: &[u8] = b"hello\n";

/// None: this peer takes no part in this row.
pub fn measure(
    load: Work,
    tls: SslVersion,
    peer: &Peer<Start>,
    materials: &Materials,
    home: Option<&Home>,
) -> Result<Option<Sample>, String> {
    let port = free_port()?;
    let wish = Wish {
        port,
        // What is downloaded to warm up is as much as what is counted: the application says how much.
        application: &load.application(),
        refuse: match load {
            Work::Refused { by, .. } => Some(by),
            _ => None,
        },
        reload: matches!(load, Work::Reloaded { .. }),
        resume: matches!(load, Work::Resumed { .. }),
        materials,
    };
    let Some(command) = (peer.how.command)(&wish)? else {
        return Ok(None);
    };
    let server = Server::start(peer, port, command, &materials.scratch, home)?;
    let client = if peer.how.tls {
        Client::tls(server.address, tls, &materials.identity.certificate_der)
            .map_err(|e| format!("unable to prepare TLS: {e}"))?
    } else {
        Client::plain(server.address)
    };
    run(load, &client, &server)
        .map(Some)
        .map_err(|complaint| server.with_log(&complaint))
}

fn run(load: Work, client: &Client, server: &Server) -> Result<Sample, String> {
    match load {
        Work::Replies { count, clients } => {
            let work = |count| many(count, clients, || client.expect_reply(REPLY));
            let (cpu, wall) = server.counted(|| work(WARM_UP), || work(count))?;
            Ok(per(count as f64, cpu, wall))
        }
        Work::Resumed { count, clients } => {
            let work = |count| many(count, clients, || client.expect_resumed_reply(REPLY));
            // One full handshake for each of the tickets that are used at a time.
            let warm_up = || many(clients as u64, 1, || client.expect_reply(REPLY));
            let (cpu, wall) = server.counted(warm_up, || work(count))?;
            Ok(per(count as f64, cpu, wall))
        }
        Work::Reloaded { count, clients } => {
            let work = |count| many(count, clients, || client.expect_reply(REPLY));
            let (cpu, wall) =
                server.counted(|| work(WARM_UP), || reloading(server, || work(count)))?;
            Ok(per(count as f64, cpu, wall))
        }
        Work::Refused { count, by } => {
            let work = |count| many(count, 1, || client.expect_refusal());
            // Limits are reached first.
            let held = match by {
                Refusal::Rule => None,
                Refusal::Rate => {
                    client.expect_reply(REPLY)?;
                    None
                }
                Refusal::Handshakes => Some(client.silent()?),
            };
            let (cpu, wall) = server.counted(|| work(WARM_UP), || work(count))?;
            drop(held);
            Ok(per(count as f64, cpu, wall))
        }
        Work::Download { bytes } => {
            let (cpu, wall) = server.counted(|| Ok(()), || client.download(bytes))?;
            Ok(per(milliseconds_per_gb(bytes), cpu, wall))
        }
        Work::Upload { bytes } => {
            let (cpu, wall) = server.counted(|| client.upload(1), || client.upload(bytes))?;
            Ok(per(milliseconds_per_gb(bytes), cpu, wall))
        }
        Work::Idle { few, many } => idle(few, many, client, server),
    }
}

/// Does the work while the server is told ten times a second to read its keys again.
fn reloading(server: &Server, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // One that has ended is found out by whoever talks to it.
                let _ = kill(Pid::from_raw(server.child.id() as i32), Signal::SIGHUP);
                thread::sleep(RELOADS);
            }
        });
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

fn per(units: f64, cpu: Option<f64>, wall: f64) -> Sample {
    vec![cpu.map(|cpu| cpu / units), Some(wall / units)]
}

fn milliseconds_per_gb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30) * 1000.0
}

/// The same thing so many times, by several clients at once; the first failure ends it.
fn many(
    count: u64,
    clients: usize,
    once: impl Fn() -> Result<(), String> + Sync,
) -> Result<(), String> {
    let end = Instant::now() + WORK_LIMIT;
    let done = AtomicU64::new(0);
    let client = || {
        loop {
            let number = done.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            let in_time = if Instant::now() < end {
                Ok(())
            } else {
                Err("too slow".to_owned())
            };
            if let Err(complaint) = in_time.and_then(|()| once()) {
                done.store(count, Ordering::Relaxed);
                return Err(format!("connection {} of {count}: {complaint}", number + 1));
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let ends = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a client panicked".to_owned()))
        });
        ends.collect::<Vec<_>>().into_iter().collect()
    })
}

/// How long connections have been silent when they count as idle.
const IDLE: Duration = Duration::from_secs(1);

/// Each connection has said something once, so that its application runs and nothing is half done.
fn idle(few: usize, many: usize, client: &Client, server: &Server) -> Result<Sample, String> {
    let mut open = Vec::new();
    let mut at = |wanted: usize| {
        while open.len() < wanted {
            let mut connection = client.connect()?;
            connection
                .expect_echo()
                .map_err(|complaint| format!("connection {}: {complaint}", open.len() + 1))?;
            open.push(connection);
        }
        server.settled()?;
        thread::sleep(IDLE);
        server.memory()
    };
    let before = at(few)?;
    let after = at(many)?;
    for connection in &mut open {
        connection.expect_echo()?;
    }
    let more = (many - few) as f64;
    Ok(vec![
        Some((after.private_kb - before.private_kb) / more),
        Some((after.processes - before.processes) / more),
    ])
}
