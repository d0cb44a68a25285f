//! What a row of the report is, whatever the work, and what most kinds of work have in common.
#![forbid(unsafe_code)]

use openssl::ssl::SslVersion;

pub struct Row<L: 'static> {
    pub key: &'static str,
    pub title: &'static str,
    pub load: L,
    pub tls: SslVersion,
    /// The peer that ratios are taken to; None: the one that does best in this row.
    pub reference: Option<&'static str>,
    pub aim: Option<Aim>,
    /// Left out unless it is named with `--rows` or all are asked for.
    pub optional: bool,
}

impl<L: Copy> Row<L> {
    /// With TLS 1.3, beside the best peer, always measured.
    pub const fn new(key: &'static str, title: &'static str, load: L, aim: Option<Aim>) -> Row<L> {
        Row {
            key,
            title,
            load,
            tls: SslVersion::TLS1_3,
            reference: None,
            aim,
            optional: false,
        }
    }
}

/// What the first figure of ours should be.
#[derive(Clone, Copy)]
pub enum Aim {
    RatioAtMost(f64),
    AtMost(f64),
}

/// A further wish: the first figure of one server to that of another in a row.
pub struct Target {
    pub row: &'static str,
    pub server: &'static str,
    pub reference: &'static str,
    pub at_most: f64,
}

pub trait Load: Copy {
    /// The same work in another amount, for a quick look.
    fn scaled(self, by: f64) -> Self;

    /// What measuring it gives, in this order. Ratios and aims are about the first, of which less is better.
    fn figures(self) -> &'static [Figure];
}

pub struct Figure {
    pub key: &'static str,
    pub unit: &'static str,
}

pub const PER_CONNECTION: &[Figure] = &[
    Figure {
        key: "cpu_us_per_connection",
        unit: "µs CPU",
    },
    Figure {
        key: "wall_us_per_connection",
        unit: "µs wall",
    },
];

pub const PER_GB: &[Figure] = &[
    Figure {
        key: "cpu_ms_per_gb",
        unit: "ms CPU/GB",
    },
    Figure {
        key: "wall_ms_per_gb",
        unit: "ms wall/GB",
    },
];

/// In the order of `Load::figures`; None where this machine cannot tell.
pub type Sample = Vec<Option<f64>>;

/// What is counted for a piece of work: CPU time, where the machine can tell, and time, in microseconds.
pub type Counted = (Option<f64>, f64);

/// For each connection, or whatever is done so often.
pub fn per(times: u64, (cpu, wall): Counted) -> Sample {
    let times = times as f64;
    vec![cpu.map(|cpu| cpu / times), Some(wall / times)]
}

pub const GB: u64 = 1 << 30;

/// In milliseconds for 2^30 bytes.
pub fn per_gb(bytes: u64, (cpu, wall): Counted) -> Sample {
    let units = bytes as f64 / GB as f64 * 1000.0;
    vec![cpu.map(|cpu| cpu / units), Some(wall / units)]
}

/// At least one is done, however small the part.
pub fn part(whole: u64, by: f64) -> u64 {
    ((whole as f64 * by) as u64).max(1)
}
