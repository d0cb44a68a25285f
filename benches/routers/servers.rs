//! Who is measured: one entry per router with the function that says how it is started. A new peer
//! is a new entry here and its function.
//!
//! All look for the same one name, find the same Unix socket, have one worker or thread, and log errors only. Buffers,
//! TCP_NODELAY and splicing are as each has them when nothing is said. Started by root, the peers become `nobody`; ours
//! leaves that to whoever starts it.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, TcpListener};

use crate::common::peer::{Command, Peer};
use crate::load::peers::{self, as_root};
use crate::materials::{Materials, NAME};

pub type Start = fn(&Wish) -> Result<Command, String>;

/// What a router shall do.
pub struct Wish<'a> {
    /// Of 127.0.0.1.
    pub port: u16,
    pub materials: &'a Materials,
}

pub const OURS: &str = "ours";

pub const PEERS: &[Peer<Start>] = &[
    Peer {
        name: OURS,
        package: "",
        program: env!("CARGO_BIN_EXE_sniproxy"),
        needs: &[],
        how: ours,
    },
    peers::haproxy(haproxy as Start),
    peers::nginx(nginx as Start),
    Peer {
        name: "sniproxy",
        package: "sniproxy",
        program: "/usr/sbin/sniproxy",
        needs: &[],
        how: sniproxy,
    },
];

fn ours(wish: &Wish) -> Result<Command, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wish.port))
        .map_err(|e| format!("unable to listen for ours: {e}"))?;
    Ok(Command {
        directory: Some(wish.materials.hosts.clone()),
        input: Some(listener.into()),
        ..Command::default()
    })
}

fn haproxy(wish: &Wish) -> Result<Command, String> {
    let ways = format!(
        "frontend tls\n bind 127.0.0.1:{}\n tcp-request inspect-delay 10s\n \
         tcp-request content accept if {{ req.ssl_hello_type 1 }}\n \
         use_backend routed if {{ req.ssl_sni -i {NAME} }}\n\
         backend routed\n server one unix@{}\n",
        wish.port,
        wish.materials.socket.display(),
    );
    peers::start_haproxy(&wish.materials.scratch, 1, &ways)
}

fn nginx(wish: &Wish) -> Result<Command, String> {
    let ways = format!(
        " map $ssl_preread_server_name $backend {{ {NAME} unix:{}; }}\n\
         server {{\n listen 127.0.0.1:{};\n ssl_preread on;\n proxy_pass $backend;\n}}\n",
        wish.materials.socket.display(),
        wish.port,
    );
    peers::start_nginx(&wish.materials.scratch, 1, &ways)
}

fn sniproxy(wish: &Wish) -> Result<Command, String> {
    let pattern = NAME.replace('.', "\\.");
    let settings = format!(
        "{}error_log {{\n filename /dev/stderr\n priority error\n}}\n\
         listener 127.0.0.1:{} {{\n proto tls\n table names\n}}\n\
         table names {{\n {pattern} unix:{}\n}}\n",
        as_root("user nobody\ngroup nogroup\n"),
        wish.port,
        wish.materials.socket.display(),
    );
    let file = wish
        .materials
        .scratch
        .write("sniproxy.conf", settings.as_bytes())?;
    Ok(Command::with(["-f", "-c", &file.to_string_lossy()]))
}
