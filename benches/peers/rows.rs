//! What is measured: one entry per row of the report. A new row is a new entry here, and a new
//! kind of work a new `Work` with its few lines in `measure.rs`.
#![forbid(unsafe_code)]

use openssl::ssl::SslVersion;

use crate::common::rows::{Aim, Figure, Load, Row, Target};
use crate::servers::SHARED;

#[derive(Clone, Copy)]
pub enum Work {
    /// Whole connections, each with a fresh handshake and a short reply.
    Replies { count: u64, clients: usize },
    /// One connection, bytes from the application to the client.
    Download { bytes: u64 },
    /// One connection, bytes from the client to the application, which answers with their number.
    Upload { bytes: u64 },
    /// Connections that stay open, first few, then many; what each of the rest adds.
    Idle { few: usize, many: usize },
    /// The same by clients that come back with a ticket.
    Resumed { count: u64, clients: usize },
    /// The same while keys are read again ten times a second.
    Reloaded { count: u64, clients: usize },
    /// Connections one after another that are turned away.
    Refused { count: u64, by: Refusal },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An access rule for the address.
    Rule,
    /// The address came too often.
    Rate,
    /// The address has a connection that does not finish its handshake.
    Handshakes,
}

/// What is wanted beside a row's own aim: programs without TLS are a measure too.
pub const TARGETS: &[Target] = &[
    Target {
        row: "connections",
        server: "sslserver",
        reference: "tcpserver",
        at_most: 2.2,
    },
    Target {
        row: "connections",
        server: SHARED,
        reference: "tcpserver",
        at_most: 1.5,
    },
];

const GB: u64 = 1 << 30;

pub const ROWS: &[Row<Work>] = &[
    Row {
        key: "connections",
        title: "connections to `echo hello`, fresh TLS 1.3 handshake with P-256, 8 clients at a time",
        load: Work::Replies {
            count: 1500,
            clients: 8,
        },
        tls: SslVersion::TLS1_3,
        reference: Some("stunnel"),
        aim: Some(Aim::RatioAtMost(0.5)),
        optional: false,
    },
    Row {
        key: "connections-tls1.2",
        title: "connections to `echo hello`, fresh TLS 1.2 handshake with P-256, 8 clients at a time",
        load: Work::Replies {
            count: 1500,
            clients: 8,
        },
        tls: SslVersion::TLS1_2,
        reference: Some("stunnel"),
        aim: None,
        optional: true,
    },
    Row {
        key: "resumed",
        title: "connections to `echo hello`, resumed with a ticket, TLS 1.3, 8 clients at a time",
        load: Work::Resumed {
            count: 1500,
            clients: 8,
        },
        tls: SslVersion::TLS1_3,
        reference: Some("stunnel"),
        aim: None,
        optional: false,
    },
    Row {
        key: "resumed-tls1.2",
        title: "connections to `echo hello`, resumed with a ticket, TLS 1.2, 8 clients at a time",
        load: Work::Resumed {
            count: 1500,
            clients: 8,
        },
        tls: SslVersion::TLS1_2,
        reference: Some("stunnel"),
        aim: None,
        optional: true,
    },
    Row {
        key: "reloads",
        title: "connections to `echo hello`, TLS 1.3, 8 clients at a time, while keys are read again every 100 ms",
        load: Work::Reloaded {
            count: 1500,
            clients: 8,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: None,
        optional: false,
    },
    Row {
        key: "sequential",
        title: "connections to `echo hello`, fresh TLS 1.3 handshake with P-256, one after another",
        load: Work::Replies {
            count: 300,
            clients: 1,
        },
        tls: SslVersion::TLS1_3,
        reference: Some("stunnel"),
        aim: None,
        optional: false,
    },
    Row {
        key: "download",
        title: "download of 1 GB from `head -c`, one connection",
        load: Work::Download { bytes: GB },
        tls: SslVersion::TLS1_3,
        reference: Some("stunnel"),
        aim: Some(Aim::RatioAtMost(0.6)),
        optional: false,
    },
    Row {
        key: "upload",
        title: "upload of 1 GB to `wc -c`, one connection",
        load: Work::Upload { bytes: GB },
        tls: SslVersion::TLS1_3,
        reference: Some("stunnel"),
        aim: Some(Aim::RatioAtMost(0.7)),
        optional: false,
    },
    Row {
        key: "idle",
        title: "private memory of the server's own processes per idle connection to `cat`, between 10 and 110 of them",
        load: Work::Idle { few: 10, many: 110 },
        tls: SslVersion::TLS1_3,
        reference: Some("stunnel"),
        aim: Some(Aim::AtMost(250.0)),
        optional: false,
    },
    Row {
        key: "refused",
        title: "connections turned away by a rule for the address, one after another",
        load: Work::Refused {
            count: 10_000,
            by: Refusal::Rule,
        },
        tls: SslVersion::TLS1_3,
        reference: Some("tcpserver"),
        aim: Some(Aim::AtMost(20.0)),
        optional: false,
    },
    Row {
        key: "refused-rate",
        title: "connections turned away because the address came too often (RATE), one after another",
        load: Work::Refused {
            count: 10_000,
            by: Refusal::Rate,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::AtMost(20.0)),
        optional: false,
    },
    Row {
        key: "refused-handshakes",
        title: "connections turned away because the address has unfinished ones (HANDSHAKESIP), one after another",
        load: Work::Refused {
            count: 10_000,
            by: Refusal::Handshakes,
        },
        tls: SslVersion::TLS1_3,
        reference: None,
        aim: Some(Aim::AtMost(20.0)),
        optional: false,
    },
];

impl Load for Work {
    fn scaled(self, by: f64) -> Work {
        let part = |whole: u64| ((whole as f64 * by) as u64).max(1);
        match self {
            Work::Replies { count, clients } => Work::Replies {
                count: part(count),
                clients,
            },
            Work::Download { bytes } => Work::Download { bytes: part(bytes) },
            Work::Upload { bytes } => Work::Upload { bytes: part(bytes) },
            Work::Resumed { count, clients } => Work::Resumed {
                count: part(count),
                clients,
            },
            Work::Reloaded { count, clients } => Work::Reloaded {
                count: part(count),
                clients,
            },
            Work::Idle { .. } => self,
            Work::Refused { count, by } => Work::Refused {
                count: part(count),
                by,
            },
        }
    }

    fn figures(self) -> &'static [Figure] {
        match self {
            Work::Replies { .. }
            | Work::Resumed { .. }
            | Work::Reloaded { .. }
            | Work::Refused { .. } => &[
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
            Work::Idle { .. } => &[
                Figure {
                    key: "private_kb_per_connection",
                    unit: "kB private",
                },
                Figure {
                    key: "own_processes_per_connection",
                    unit: "processes",
                },
            ],
        }
    }
}

impl Work {
    /// Whole paths, because not every peer searches PATH.
    pub fn application(self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Work::Replies { .. }
            | Work::Resumed { .. }
            | Work::Reloaded { .. }
            | Work::Refused { .. } => words(&["/bin/echo", "hello"]),
            Work::Download { bytes } => {
                words(&["/usr/bin/head", "-c", &bytes.to_string(), "/dev/zero"])
            }
            Work::Upload { .. } => words(&["/usr/bin/wc", "-c"]),
            Work::Idle { .. } => words(&["/bin/cat"]),
        }
    }
}
