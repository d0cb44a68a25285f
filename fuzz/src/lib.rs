//! What the fuzzer runs: a function for each place where a program reads what others wrote. It takes any bytes, answers
//! whether they were understood, and panics where the code breaks its word: by a panic of its own, or because two
//! ways to the same thing disagree.
//!
//! `tests/corpora` has this file too and runs the same functions on `fuzz/seeds`, so it names `sslserver` as a stranger.
#![forbid(unsafe_code)]

pub mod cdb;
pub mod client_certificate;
pub mod client_hello;
pub mod dns;
pub mod environment;
pub mod host_name;
pub mod ident;
pub mod message_seeds;
pub mod messages;
pub mod proxy_header;
pub mod rules;
pub mod sealed_session;
pub mod session_wish;
pub mod starttls;
pub mod stud_config;
mod temporary;
pub mod ticket_keys;
pub mod to_sign;
pub mod tunnel_ini;

/// Whether the bytes were understood.
pub type Target = fn(&[u8]) -> bool;

/// All of them by their names.
pub const TARGETS: &[(&str, Target)] = &[
    ("cdb", cdb::run),
    ("client_certificate", client_certificate::run),
    ("client_hello", client_hello::run),
    ("dns", dns::run),
    ("environment", environment::run),
    ("host_name", host_name::run),
    ("ident", ident::run),
    ("messages", messages::run),
    ("proxy_header", proxy_header::run),
    ("rules", rules::run),
    ("sealed_session", sealed_session::run),
    ("session_wish", session_wish::run),
    ("starttls", starttls::run),
    ("stud_config", stud_config::run),
    ("ticket_keys", ticket_keys::run),
    ("to_sign", to_sign::run),
    ("tunnel_ini", tunnel_ini::run),
];
