//! What is measured: one entry per row of the report. A new row is a new entry here, and a new
//! kind of work a new `Load` with its few lines in `measure.rs`.
#![forbid(unsafe_code)]

use openssl::ssl::SslVersion;

pub struct Row {
    pub key: &'static str,
    pub title: &'static str,
    pub load: Load,
    pub tls: SslVersion,
    /// The peer that ratios are taken to.
    pub reference: &'static str,
    pub aim: Option<Aim>,
    /// Left out unless it is named with `--rows` or all are asked for.
    pub optional: bool,
}

/// What the first figure of ours should be.
#[derive(Clone, Copy)]
pub enum Aim {
    RatioAtMost(f64),
    AtMost(f64),
}

#[derive(Clone, Copy)]
pub enum Load {
    /// Whole connections, each with a fresh handshake and a short reply.
    Replies { count: u64, clients: usize },
    /// One connection, bytes from the application to the client.
    Download { bytes: u64 },
    /// One connection, bytes from the client to the application, which answers with their number.
    Upload { bytes: u64 },
    /// Connections that stay open, first few, then many; what each of the rest adds.
    Idle { few: usize, many: usize },
    /// Connections one after another that an access rule turns away.
    Refused { count: u64 },
}

pub struct Figure {
    pub key: &'static str,
    pub unit: &'static str,
}

const GB: u64 = 1 << 30;

pub const ROWS: &[Row] = &[
    Row {
        key: "connections",
        title: "connections to `echo hello`, fresh TLS 1.3 handshake with P-256, 8 clients at a time",
        load: Load::Replies {
            count: 1500,
            clients: 8,
        },
        tls: SslVersion::TLS1_3,
        reference: "stunnel",
        aim: Some(Aim::RatioAtMost(0.5)),
        optional: false,
    },
    Row {
        key: "connections-tls1.2",
        title: "connections to `echo hello`, fresh TLS 1.2 handshake with P-256, 8 clients at a time",
        load: Load::Replies {
            count: 1500,
            clients: 8,
        },
        tls: SslVersion::TLS1_2,
        reference: "stunnel",
        aim: None,
        optional: true,
    },
    Row {
        key: "sequential",
        title: "connections to `echo hello`, fresh TLS 1.3 handshake with P-256, one after another",
        load: Load::Replies {
            count: 300,
            clients: 1,
        },
        tls: SslVersion::TLS1_3,
        reference: "stunnel",
        aim: None,
        optional: false,
    },
    Row {
        key: "download",
        title: "download of 1 GB from `head -c`, one connection",
        load: Load::Download { bytes: GB },
        tls: SslVersion::TLS1_3,
        reference: "stunnel",
        aim: Some(Aim::RatioAtMost(0.7)),
        optional: false,
    },
    Row {
        key: "upload",
        title: "upload of 1 GB to `wc -c`, one connection",
        load: Load::Upload { bytes: GB },
        tls: SslVersion::TLS1_3,
        reference: "stunnel",
        aim: Some(Aim::RatioAtMost(0.7)),
        optional: false,
    },
    Row {
        key: "idle",
        title: "private memory of the server's own processes per idle connection to `cat`, between 10 and 110 of them",
        load: Load::Idle { few: 10, many: 110 },
        tls: SslVersion::TLS1_3,
        reference: "stunnel",
        aim: Some(Aim::AtMost(250.0)),
        optional: false,
    },
    Row {
        key: "refused",
        title: "connections turned away by a rule for the address, one after another",
        load: Load::Refused { count: 10_000 },
        tls: SslVersion::TLS1_3,
        reference: "tcpserver",
        aim: Some(Aim::AtMost(20.0)),
        optional: false,
    },
];

impl Load {
    /// The same work in another amount, for a quick look.
    pub fn scaled(self, by: f64) -> Load {
        let part = |whole: u64| ((whole as f64 * by) as u64).max(1);
        match self {
            Load::Replies { count, clients } => Load::Replies {
                count: part(count),
                clients,
            },
            Load::Download { bytes } => Load::Download { bytes: part(bytes) },
            Load::Upload { bytes } => Load::Upload { bytes: part(bytes) },
            Load::Idle { .. } => self,
            Load::Refused { count } => Load::Refused { count: part(count) },
        }
    }

    /// Whole paths, because not every peer searches PATH.
    pub fn application(self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Load::Replies { .. } | Load::Refused { .. } => words(&["/bin/echo", "hello"]),
            Load::Download { bytes } => {
                words(&["/usr/bin/head", "-c", &bytes.to_string(), "/dev/zero"])
            }
            Load::Upload { .. } => words(&["/usr/bin/wc", "-c"]),
            Load::Idle { .. } => words(&["/bin/cat"]),
        }
    }

    /// What `measure` gives for it, in this order; the aim is about the first.
    pub fn figures(self) -> &'static [Figure] {
        match self {
            Load::Replies { .. } | Load::Refused { .. } => &[
                Figure {
                    key: "cpu_us_per_connection",
                    unit: "µs CPU",
                },
                Figure {
                    key: "wall_us_per_connection",
                    unit: "µs wall",
                },
            ],
            Load::Download { .. } | Load::Upload { .. } => &[
                Figure {
                    key: "cpu_ms_per_gb",
                    unit: "ms CPU/GB",
                },
                Figure {
                    key: "wall_ms_per_gb",
                    unit: "ms wall/GB",
                },
            ],
            Load::Idle { .. } => &[
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
