//! What is measured: one entry per row of the report. A new row is a new entry here, and a new
//! kind of work a new `Work` in `load/work.rs`.
#![forbid(unsafe_code)]

use crate::common::rows::{Aim, GB, Row};
use crate::load::work::Work;

pub const ROWS: &[Row<Work>] = &[
    // Each says a hello first, and hears the answer to it.
    Row::new(
        "connections",
        "routed connections with a small request and answer, 16 at a time",
        Work::Connections { count: 10_000 },
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row::new(
        "download",
        "download of 1 GB, one connection",
        Work::Download { bytes: GB },
        Some(Aim::RatioAtMost(0.75)),
    ),
    Row::new(
        "upload",
        "upload of 1 GB, one connection",
        Work::Upload { bytes: GB },
        Some(Aim::RatioAtMost(0.4)),
    ),
    Row::new(
        "echo",
        "64 bytes to and fro, one connection, all on one core",
        Work::Echo {
            connections: 1,
            messages: 50_000,
        },
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row::new(
        "echo-50",
        "64 bytes to and fro, 50 connections at a time, all on one core",
        Work::Echo {
            connections: 50,
            messages: 100_000,
        },
        Some(Aim::RatioAtMost(0.9)),
    ),
    Row::new(
        "idle",
        "private memory of the router's processes per idle connection, between 200 and 4200 of them",
        Work::Idle {
            few: 200,
            many: 4200,
        },
        Some(Aim::AtMost(4.0)),
    ),
];
