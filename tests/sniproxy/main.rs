//! sniproxy and sniproxy-hostname as an administrator and clients meet them.
#![forbid(unsafe_code)]

mod alerts;
#[path = "../common/mod.rs"]
mod common;
mod drain;
mod hello;
mod hostname;
mod hosts;
mod limits;
mod many;
mod names;
mod proxy;
mod recipe;
mod relay;
mod router;
mod samples;
mod start;
