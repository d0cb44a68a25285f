//! Starting and stopping as supervisors want: who is told that the server is ready, whose socket it serves, how it ends.
#![forbid(unsafe_code)]

mod activation;
#[path = "../common/mod.rs"]
mod common;
mod drain;
mod end_of_time;
mod init;
mod manager;
mod newline;
mod notified;
mod service;
mod supervised;
mod unit;
