//! What is measured: one entry per row of the report. A new row is a new entry here, and a new
//! kind of work a new `Work` with its few lines in `measure.rs`.
#![forbid(unsafe_code)]

use openssl::ssl::SslVersion;

use crate::common::rows::{Aim, Figure, Load, Row};

#[derive(Clone, Copy)]
pub enum Work {
    /// Whole connections: a hello and its answer, a small request and its answer, and the backend closes.
    Connections { count: u64 },
    /// One connection, bytes from the backend to the client.
    Download { bytes: u64 },
    /// One connection, bytes from the client to the backend.
    Upload { bytes: u64 },
    /// Small messages to and fro on connections that stay open; so many in all. Router, clients and backend share a core.
    Echo { connections: usize, messages: u64 },
    /// Connections that stay open, first few, then many; what each of the rest adds.
    Idle { few: usize, many: usize },
}

const GB: u64 = 1 << 30;

pub const ROWS: &[Row<Work>] = &[
    row(
        "connections",
        "routed connections with a small request and answer, 16 at a time",
        Work::Connections { count: 10_000 },
        Aim::RatioAtMost(0.9),
    ),
    row(
        "download",
        "download of 1 GB, one connection",
        Work::Download { bytes: GB },
        Aim::RatioAtMost(0.75),
    ),
    row(
        "upload",
        "upload of 1 GB, one connection",
        Work::Upload { bytes: GB },
        Aim::RatioAtMost(0.4),
    ),
    row(
        "echo",
        "64 bytes to and fro, one connection, all on one core",
        Work::Echo {
            connections: 1,
            messages: 50_000,
        },
        Aim::RatioAtMost(0.9),
    ),
    row(
        "echo-50",
        "64 bytes to and fro, 50 connections at a time, all on one core",
        Work::Echo {
            connections: 50,
            messages: 100_000,
        },
        Aim::RatioAtMost(0.9),
    ),
    row(
        "idle",
        "private memory of the router's processes per idle connection, between 200 and 4200 of them",
        Work::Idle {
            few: 200,
            many: 4200,
        },
        Aim::AtMost(4.0),
    ),
];

const fn row(key: &'static str, title: &'static str, load: Work, aim: Aim) -> Row<Work> {
    Row {
        key,
        title,
        load,
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(aim),
        optional: false,
    }
}

impl Load for Work {
    fn scaled(self, by: f64) -> Work {
        let part = |whole: u64| ((whole as f64 * by) as u64).max(1);
        match self {
            Work::Connections { count } => Work::Connections { count: part(count) },
            Work::Download { bytes } => Work::Download { bytes: part(bytes) },
            Work::Upload { bytes } => Work::Upload { bytes: part(bytes) },
            Work::Echo {
                connections,
                messages,
            } => Work::Echo {
                connections,
                messages: part(messages).max(connections as u64),
            },
            Work::Idle { few, many } => Work::Idle {
                few,
                many: few + part((many - few) as u64) as usize,
            },
        }
    }

    fn figures(self) -> &'static [Figure] {
        match self {
            Work::Connections { .. } => &[
                Figure {
                    key: "cpu_us_per_connection",
                    unit: "µs CPU",
                },
                Figure {
                    key: "wall_us_per_connection",
                    unit: "µs wall",
                },
            ],
            Work::Download { .. } | Work::Upload { .. } => &[
                Figure {
                    key: "cpu_ms_per_gb",
                    unit: "ms CPU/GB",
                },
                Figure {
                    key: "wall_ms_per_gb",
                    unit: "ms wall/GB",
                },
            ],
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
