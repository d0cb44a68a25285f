//! What is measured: one entry per row of the report. A new row is a new entry here, and a new
//! kind of work a new `Work` in `load/work.rs`.
#![forbid(unsafe_code)]

use openssl::ssl::SslVersion;

use crate::common::rows::{Aim, Figure, GB, Load, PER_CONNECTION, Row, part};
use crate::load::work;

#[derive(Clone, Copy)]
pub enum Work {
    /// Full handshakes, with the key of this kind.
    Fresh(Key, work::Work),
    /// Connections as in `work::Work`, with handshakes that are resumed.
    Resumed { count: u64 },
    /// The same with full ones, by one worker and then by two. The key is large, so that
    /// the proxy and not the client is what is waited for.
    Workers { count: u64 },
}

#[derive(Clone, Copy)]
pub enum Key {
    P256,
    Rsa2048,
    Rsa4096,
}

pub const ROWS: &[Row<Work>] = &[
    Row::new(
        "connections",
        "connections with a small answer, full TLS 1.3 handshake with P-256, 16 at a time",
        Work::Fresh(Key::P256, work::Work::Connections { count: 2000 }),
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row::new(
        "connections-rsa",
        "connections with a small answer, full TLS 1.3 handshake with RSA-2048, 16 at a time",
        Work::Fresh(Key::Rsa2048, work::Work::Connections { count: 1000 }),
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row {
        tls: SslVersion::TLS1_2,
        ..Row::new(
            "connections-tls1.2",
            "connections with a small answer, full TLS 1.2 handshake with P-256, 16 at a time",
            Work::Fresh(Key::P256, work::Work::Connections { count: 2000 }),
            Some(Aim::RatioAtMost(0.9)),
        )
    },
    Row::new(
        "resumed",
        "connections with a small answer, TLS 1.3 handshake resumed by ticket, 16 at a time",
        Work::Resumed { count: 2000 },
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row {
        tls: SslVersion::TLS1_2,
        ..Row::new(
            "resumed-tls1.2",
            "connections with a small answer, TLS 1.2 handshake resumed by ticket, 16 at a time",
            Work::Resumed { count: 2000 },
            Some(Aim::RatioAtMost(0.9)),
        )
    },
    Row::new(
        "download",
        "download of 1 GB, one connection",
        Work::Fresh(Key::P256, work::Work::Download { bytes: GB }),
        Some(Aim::RatioAtMost(0.6)),
    ),
    Row::new(
        "upload",
        "upload of 1 GB, one connection",
        Work::Fresh(Key::P256, work::Work::Upload { bytes: GB }),
        Some(Aim::RatioAtMost(0.6)),
    ),
    Row::new(
        "echo",
        "64 bytes to and fro, one connection, all on one core",
        Work::Fresh(
            Key::P256,
            work::Work::Echo {
                connections: 1,
                messages: 20_000,
            },
        ),
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row::new(
        "echo-50",
        "64 bytes to and fro, 50 connections at a time, all on one core",
        Work::Fresh(
            Key::P256,
            work::Work::Echo {
                connections: 50,
                messages: 50_000,
            },
        ),
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row::new(
        "idle",
        "private memory of the proxy's processes per idle connection, between 200 and 4200 of them",
        Work::Fresh(
            Key::P256,
            work::Work::Idle {
                few: 200,
                many: 4200,
            },
        ),
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row::new(
        "workers",
        "time for connections with a full TLS 1.3 handshake with RSA-4096: two workers' as a part of one's",
        Work::Workers { count: 500 },
        // Clients and backend take their part of the cores, so that a half is out of reach on a small machine.
        Some(Aim::AtMost(0.65)),
    ),
];

impl Load for Work {
    fn scaled(self, by: f64) -> Work {
        match self {
            Work::Fresh(key, work) => Work::Fresh(key, work.scaled(by)),
            Work::Resumed { count } => Work::Resumed {
                count: part(count, by),
            },
            Work::Workers { count } => Work::Workers {
                count: part(count, by),
            },
        }
    }

    fn figures(self) -> &'static [Figure] {
        match self {
            Work::Fresh(_, work) => work.figures(),
            Work::Resumed { .. } => PER_CONNECTION,
            Work::Workers { .. } => &[
                Figure {
                    key: "time_of_two_by_time_of_one",
                    unit: "of the time",
                },
                Figure {
                    key: "per_second_with_one",
                    unit: "/s with 1",
                },
                Figure {
                    key: "per_second_with_two",
                    unit: "/s with 2",
                },
                Figure {
                    key: "cpu_us_per_connection_with_two",
                    unit: "µs CPU with 2",
                },
            ],
        }
    }
}
