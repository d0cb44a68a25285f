//! One row on one server, once: start, warm up, count, work, count, end.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use openssl::pkey::Id;
use openssl::ssl::SslVersion;

use crate::client::Client;
use crate::common::account::Home;
use crate::common::driver::Bench;
use crate::common::peer::Peer;
use crate::common::process::{Server, free_port};
use crate::common::rows::{Row, Sample, Target, per, per_gb};
use crate::materials::Materials;
use crate::rows::{self, Refusal, Way, Work};
use crate::servers::{self, Start, Wish};
use crate::tls::{Groups, Tls};

/// For all connections of one row together.
const WORK_LIMIT: Duration = Duration::from_secs(300);
const WARM_UP: u64 = 16;
const RELOADS: Duration = Duration::from_millis(100);
const REPLY: &[u8] = b"hello\n";

pub struct Peers;

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
        let port = free_port()?;
        let way = match load {
            Work::Replies { way, .. } => Some(way),
            _ => None,
        };
        let wish = Wish {
            port,
            // What is downloaded to warm up is as much as what is counted: the application says how much.
            application: &load.application(),
            refuse: match load {
                Work::Refused { by, .. } => Some(by),
                _ => None,
            },
            reload: way == Some(Way::Reloaded),
            resume: way == Some(Way::Resumed),
            materials,
        };
        let Some(command) = (peer.how.command)(&wish)? else {
            return Ok(None);
        };
        let server = Server::start(peer, port, command, &materials.scratch, home)?;
        let prepare = |becomes| {
            let groups = match way {
                Some(Way::OwnGroups) => Groups {
                    offered: None,
                    becomes,
                },
                // The one that all have: socat 1.7 knows no other.
                _ => Groups {
                    offered: Some("P-256"),
                    becomes: Id::EC,
                },
            };
            Tls::new(tls, groups, &materials.identity.certificate_der)
        };
        let client = Client {
            address: server.address,
            tls: peer.how.exchange.map(prepare).transpose()?,
        };
        run(load, &client, &server)
            .map(Some)
            .map_err(|complaint| server.with_log(&complaint))
    }
}

fn run(load: Work, client: &Client, server: &Server) -> Result<Sample, String> {
    let reply = || client.expect_reply(REPLY);
    match load {
        Work::Replies {
            count,
            clients,
            way,
        } => {
            let work = || many(count, clients, reply);
            let warm_up = || many(WARM_UP, clients, reply);
            let counted = match way {
                Way::Fresh | Way::OwnGroups => server.counted(warm_up, work),
                Way::Reloaded => server.counted(warm_up, || reloading(server, work)),
                Way::Resumed => server.counted(
                    // One full handshake for each of the tickets that are used at a time.
                    || many(clients as u64, 1, reply),
                    || many(count, clients, || client.expect_resumed_reply(REPLY)),
                ),
            };
            Ok(per(count, counted?))
        }
        Work::Refused { count, by } => {
            let work = |count| many(count, 1, || client.expect_refusal());
            // Limits are reached first.
            let held = match by {
                Refusal::Rule => None,
                Refusal::Rate => {
                    reply()?;
                    None
                }
                Refusal::Handshakes => Some(client.silent()?),
            };
            let counted = server.counted(|| work(WARM_UP), || work(count))?;
            drop(held);
            Ok(per(count, counted))
        }
        Work::Download { bytes } => {
            let counted = server.counted(|| Ok(()), || client.download(bytes))?;
            Ok(per_gb(bytes, counted))
        }
        Work::Upload { bytes } => {
            let counted = server.counted(|| client.upload(1), || client.upload(bytes))?;
            Ok(per_gb(bytes, counted))
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
