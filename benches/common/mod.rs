//! What the benchmarks share: options, rounds, processes that are started and their accounts, the report.
#![forbid(unsafe_code)]

pub mod account;
mod chart;
pub mod driver;
mod json;
mod machine;
mod page;
mod patience;
pub mod peer;
pub mod process;
mod report;
pub mod rows;
pub mod scratch;
mod statistics;
pub mod stream;
