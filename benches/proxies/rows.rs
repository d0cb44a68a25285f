//! What is measured: one entry per row of the report. A new row is a new entry here, and a new
//! kind of work a new `Work` with its few lines in `measure.rs`.
#![forbid(unsafe_code)]

use openssl::ssl::SslVersion;

use crate::common::rows::{Aim, Figure, Load, Row};

#[derive(Clone, Copy)]
pub enum Work {
    /// Whole connections, each with a small request and a small answer of the backend, which closes.
    Connections { count: u64, key: Key, resumed: bool },
    /// One connection, bytes from the backend to the client.
    Download { bytes: u64 },
    /// One connection, bytes from the client to the backend.
    Upload { bytes: u64 },
    /// Small messages to and fro on connections that stay open; so many in all. Proxy, clients and backend share a core.
    Echo { connections: usize, messages: u64 },
    /// Connections that stay open, first few, then many; what each of the rest adds.
    Idle { few: usize, many: usize },
    /// Whole connections as in `Connections`, by one worker and then by two. The key is large, so that
    /// the proxy and not the client is what is waited for.
    Workers { count: u64 },
}

#[derive(Clone, Copy)]
pub enum Key {
    P256,
    Rsa2048,
    Rsa4096,
}

const GB: u64 = 1 << 30;

pub const ROWS: &[Row<Work>] = &[
    Row {
        key: "connections",
        title: "connections with a small answer, full TLS 1.3 handshake with P-256, 16 at a time",
        load: Work::Connections {
            count: 2000,
            key: Key::P256,
            resumed: false,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "connections-rsa",
        title: "connections with a small answer, full TLS 1.3 handshake with RSA-2048, 16 at a time",
        load: Work::Connections {
            count: 1000,
            key: Key::Rsa2048,
            resumed: false,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "connections-tls1.2",
        title: "connections with a small answer, full TLS 1.2 handshake with P-256, 16 at a time",
        load: Work::Connections {
            count: 2000,
            key: Key::P256,
            resumed: false,
        },
        tls: SslVersion::TLS1_2,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "resumed",
        title: "connections with a small answer, TLS 1.3 handshake resumed by ticket, 16 at a time",
        load: Work::Connections {
            count: 2000,
            key: Key::P256,
            resumed: true,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "resumed-tls1.2",
        title: "connections with a small answer, TLS 1.2 handshake resumed by ticket, 16 at a time",
        load: Work::Connections {
            count: 2000,
            key: Key::P256,
            resumed: true,
        },
        tls: SslVersion::TLS1_2,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "download",
        title: "download of 1 GB, one connection",
        load: Work::Download { bytes: GB },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.6)),
        optional: false,
    },
    Row {
        key: "upload",
        title: "upload of 1 GB, one connection",
        load: Work::Upload { bytes: GB },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.6)),
        optional: false,
    },
    Row {
        key: "echo",
        title: "64 bytes to and fro, one connection, all on one core",
        load: Work::Echo {
            connections: 1,
            messages: 20_000,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "echo-50",
        title: "64 bytes to and fro, 50 connections at a time, all on one core",
        load: Work::Echo {
            connections: 50,
            messages: 50_000,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "idle",
        title: "private memory of the proxy's processes per idle connection, between 200 and 4200 of them",
        load: Work::Idle {
            few: 200,
            many: 4200,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::RatioAtMost(0.9)),
        optional: false,
    },
    Row {
        key: "workers",
        title: "time for connections with a full TLS 1.3 handshake with RSA-4096: two workers' as a part of one's",
        load: Work::Workers { count: 500 },
        tls: SslVersion::TLS1_3,
        reference: None,
        // Clients and backend take their part of the cores, so that a half is out of reach on a small machine.
        aim: Some(Aim::AtMost(0.65)),
        optional: false,
    },
];

impl Load for Work {
    fn scaled(self, by: f64) -> Work {
        let part = |whole: u64| ((whole as f64 * by) as u64).max(1);
        match self {
            Work::Connections {
                count,
                key,
                resumed,
            } => Work::Connections {
                count: part(count),
                key,
                resumed,
            },
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
            Work::Workers { count } => Work::Workers { count: part(count) },
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
