//! What is measured: one entry per row of the report. A new row is a new entry here, and a new
//! kind of work a new `Work` with its few lines in `measure.rs`.
#![forbid(unsafe_code)]

use openssl::ssl::SslVersion;

use crate::common::rows::{Aim, Figure, GB, Load, PER_CONNECTION, PER_GB, Row, Target, part};
use crate::servers::SHARED;

#[derive(Clone, Copy)]
pub enum Work {
    /// Whole connections, each with a short reply.
    Replies {
        count: u64,
        clients: usize,
        way: Way,
    },
    /// One connection, bytes from the application to the client.
    Download { bytes: u64 },
    /// One connection, bytes from the client to the application, which answers with their number.
    Upload { bytes: u64 },
    /// Connections that stay open, first few, then many; what each of the rest adds.
    Idle { few: usize, many: usize },
    /// Connections one after another that are turned away.
    Refused { count: u64, by: Refusal },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each with a fresh handshake.
    Fresh,
    /// The same with what the client's library offers for the key exchange by itself.
    OwnGroups,
    /// By clients that come back with a ticket.
    Resumed,
    /// With a fresh handshake while keys are read again ten times a second.
    Reloaded,
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
    beside_tcpserver("connections", "sslserver", 2.2),
    beside_tcpserver("connections", SHARED, 1.5),
    beside_tcpserver("x25519", "sslserver", 2.2),
    beside_tcpserver("x25519", SHARED, 1.5),
];

const fn beside_tcpserver(row: &'static str, server: &'static str, at_most: f64) -> Target {
    Target {
        row,
        server,
        reference: "tcpserver",
        at_most,
    }
}

/// By eight clients.
const fn at_once(way: Way) -> Work {
    Work::Replies {
        count: 1500,
        clients: 8,
        way,
    }
}

pub const ROWS: &[Row<Work>] = &[
    Row {
        reference: Some("stunnel"),
        ..Row::new(
            "connections",
            "connections to `echo hello`, fresh TLS 1.3 handshake with P-256, 8 clients at a time",
            at_once(Way::Fresh),
            Some(Aim::RatioAtMost(0.5)),
        )
    },
    Row {
        reference: Some("stunnel"),
        ..Row::new(
            "x25519",
            "connections to `echo hello`, fresh TLS 1.3 handshake with the groups of OpenSSL's clients (X25519 first), 8 clients at a time",
            at_once(Way::OwnGroups),
            None,
        )
    },
    Row {
        tls: SslVersion::TLS1_2,
        reference: Some("stunnel"),
        optional: true,
        ..Row::new(
            "connections-tls1.2",
            "connections to `echo hello`, fresh TLS 1.2 handshake with P-256, 8 clients at a time",
            at_once(Way::Fresh),
            None,
        )
    },
    Row {
        reference: Some("stunnel"),
        ..Row::new(
            "resumed",
            "connections to `echo hello`, resumed with a ticket, TLS 1.3, 8 clients at a time",
            at_once(Way::Resumed),
            None,
        )
    },
    Row {
        tls: SslVersion::TLS1_2,
        reference: Some("stunnel"),
        optional: true,
        ..Row::new(
            "resumed-tls1.2",
            "connections to `echo hello`, resumed with a ticket, TLS 1.2, 8 clients at a time",
            at_once(Way::Resumed),
            None,
        )
    },
    Row::new(
        "reloads",
        "connections to `echo hello`, TLS 1.3, 8 clients at a time, while keys are read again every 100 ms",
        at_once(Way::Reloaded),
        None,
    ),
    Row {
        reference: Some("stunnel"),
        ..Row::new(
            "sequential",
            "connections to `echo hello`, fresh TLS 1.3 handshake with P-256, one after another",
            Work::Replies {
                count: 300,
                clients: 1,
                way: Way::Fresh,
            },
            None,
        )
    },
    Row {
        reference: Some("stunnel"),
        ..Row::new(
            "download",
            "download of 1 GB from `head -c`, one connection",
            Work::Download { bytes: GB },
            Some(Aim::RatioAtMost(0.6)),
        )
    },
    Row {
        reference: Some("stunnel"),
        ..Row::new(
            "upload",
            "upload of 1 GB to `wc -c`, one connection",
            Work::Upload { bytes: GB },
            Some(Aim::RatioAtMost(0.7)),
        )
    },
    Row {
        reference: Some("stunnel"),
        ..Row::new(
            "idle",
            "private memory of the server's own processes per idle connection to `cat`, between 10 and 110 of them",
            Work::Idle { few: 10, many: 110 },
            Some(Aim::AtMost(250.0)),
        )
    },
    Row {
        reference: Some("tcpserver"),
        ..Row::new(
            "refused",
            "connections turned away by a rule for the address, one after another",
            Work::Refused {
                count: 10_000,
                by: Refusal::Rule,
            },
            Some(Aim::AtMost(20.0)),
        )
    },
    Row::new(
        "refused-rate",
        "connections turned away because the address came too often (RATE), one after another",
        Work::Refused {
            count: 10_000,
            by: Refusal::Rate,
        },
        Some(Aim::AtMost(20.0)),
    ),
    Row::new(
        "refused-handshakes",
        "connections turned away because the address has unfinished ones (HANDSHAKESIP), one after another",
        Work::Refused {
            count: 10_000,
            by: Refusal::Handshakes,
        },
        Some(Aim::AtMost(20.0)),
    ),
];

impl Load for Work {
    fn scaled(self, by: f64) -> Work {
        match self {
            Work::Replies {
                count,
                clients,
                way,
            } => Work::Replies {
                count: part(count, by),
                clients,
                way,
            },
            Work::Download { bytes } => Work::Download {
                bytes: part(bytes, by),
            },
            Work::Upload { bytes } => Work::Upload {
                bytes: part(bytes, by),
            },
            Work::Idle { .. } => self,
            Work::Refused { count, by: refusal } => Work::Refused {
                count: part(count, by),
                by: refusal,
            },
        }
    }

    fn figures(self) -> &'static [Figure] {
        match self {
            Work::Replies { .. } | Work::Refused { .. } => PER_CONNECTION,
            Work::Download { .. } | Work::Upload { .. } => PER_GB,
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
            Work::Replies { .. } | Work::Refused { .. } => words(&["/bin/echo", "hello"]),
            Work::Download { bytes } => {
                words(&["/usr/bin/head", "-c", &bytes.to_string(), "/dev/zero"])
            }
            Work::Upload { .. } => words(&["/usr/bin/wc", "-c"]),
            Work::Idle { .. } => words(&["/bin/cat"]),
        }
    }
}
