//! The work that proxies and routers do alike, with the backend behind them.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use super::crowd::Crowd;
use super::one_core::OneCore;
use super::transfer;
use crate::client::Client;
use crate::common::process::Server;
use crate::common::rows::{
    Counted, Figure, Load, PER_CONNECTION, PER_GB, Sample, part, per, per_gb,
};

/// Enough that nobody waits for clients, and fewer than the shortest backlog.
const AT_ONCE: u64 = 16;
const WARM_UP: u64 = 64;
const WARM_UP_BYTES: u64 = 1 << 20;
/// How long connections have been silent when they count as idle.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
pub enum Work {
    /// Whole connections, each with a small request and a small answer of the backend, which closes.
    Connections { count: u64 },
    /// One connection, bytes from the backend to the client.
    Download { bytes: u64 },
    /// One connection, bytes from the client to the backend.
    Upload { bytes: u64 },
    /// Small messages to and fro on connections that stay open; so many in all. Server, clients and backend share a core.
    Echo { connections: usize, messages: u64 },
    /// Connections that stay open, first few, then many; what each of the rest adds.
    Idle { few: usize, many: usize },
}

impl Work {
    /// To be asked before server and backend are started, and kept until they have ended.
    pub fn place(self) -> Result<Option<OneCore>, String> {
        match self {
            Work::Echo { .. } => OneCore::enter().map(Some),
            _ => Ok(None),
        }
    }

    pub fn measure(self, client: &Client, server: &Server) -> Result<Sample, String> {
        match self {
            Work::Connections { count } => Ok(per(count, connections(count, client, server)?)),
            Work::Download { bytes } => {
                let load = |bytes| transfer::download(client, bytes);
                let counted = server.counted(|| load(WARM_UP_BYTES), || load(bytes))?;
                Ok(per_gb(bytes, counted))
            }
            Work::Upload { bytes } => {
                let load = |bytes| transfer::upload(client, bytes);
                let counted = server.counted(|| load(WARM_UP_BYTES), || load(bytes))?;
                Ok(per_gb(bytes, counted))
            }
            Work::Echo {
                connections,
                messages,
            } => {
                let each = messages / connections as u64;
                let mut crowd = Crowd::new(client)?;
                crowd.grow(connections)?;
                crowd.echo(each.div_ceil(10))?;
                let counted = server.counted(|| Ok(()), || crowd.echo(each))?;
                Ok(per(each * connections as u64, counted))
            }
            Work::Idle { few, many } => idle(few, many, client, server),
        }
    }
}

pub fn connections(count: u64, client: &Client, server: &Server) -> Result<Counted, String> {
    server.counted(
        || Crowd::answers(client, WARM_UP, AT_ONCE),
        || Crowd::answers(client, count, AT_ONCE),
    )
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

impl Load for Work {
    fn scaled(self, by: f64) -> Work {
        match self {
            Work::Connections { count } => Work::Connections {
                count: part(count, by),
            },
            Work::Download { bytes } => Work::Download {
                bytes: part(bytes, by),
            },
            Work::Upload { bytes } => Work::Upload {
                bytes: part(bytes, by),
            },
            Work::Echo {
                connections,
                messages,
            } => Work::Echo {
                connections,
                messages: part(messages, by).max(connections as u64),
            },
            Work::Idle { few, many } => Work::Idle {
                few,
                many: few + part((many - few) as u64, by) as usize,
            },
        }
    }

    fn figures(self) -> &'static [Figure] {
        match self {
            Work::Connections { .. } => PER_CONNECTION,
            Work::Download { .. } | Work::Upload { .. } => PER_GB,
            Work::Echo { .. } => &[
                Figure {
                    key: "cpu_us_per_round_trip",
                    unit: "µs CPU",
                },
                Figure {
                    key: "wall_us_per_round_trip",
                    unit: "µs wall",
                },
            ],
            Work::Idle { .. } => &[
                Figure {
                    key: "private_kb_per_connection",
                    unit: "kB private",
                },
                Figure {
                    key: "private_kb_in_all",
                    unit: "kB in all",
                },
            ],
        }
    }
}
