//! Who is measured: one entry per router with the function that says how it is started. A new peer
//! is a new entry here and its function.
//!
//! All look for the same one name, find the same Unix socket, have one worker or thread, and log errors only. Buffers,
//! TCP_NODELAY and splicing are as each has them when nothing is said. Started by root, the peers become `nobody`; ours
//! leaves that to whoever starts it.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, TcpListener};

use crate::common::rows::{Command, Peer};
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
        program: match option_env!("CARGO_BIN_EXE_sniproxy") {
            Some(program) => program,
            None => "sniproxy",
        },
        needs: &[],
        how: ours,
    },
    Peer {
        name: "haproxy",
        package: "haproxy",
        program: "/usr/sbin/haproxy",
        needs: &[],
        how: haproxy,
    },
    Peer {
        name: "nginx",
        package: "nginx",
        program: "/usr/sbin/nginx",
        needs: &[NGINX_STREAM],
        how: nginx,
    },
    Peer {
        name: "sniproxy",
        package: "sniproxy",
        program: "/usr/sbin/sniproxy",
        needs: &[],
        how: sniproxy,
    },
];

const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// More than are ever open at once, so that no limit is measured.
const CONNECTIONS: u32 = 8000;

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
    let settings = format!(
        "global\n{} nbthread 1\n maxconn {CONNECTIONS}\n\
         defaults\n mode tcp\n timeout connect 10s\n timeout client 5m\n timeout server 5m\n\
         frontend tls\n bind 127.0.0.1:{}\n tcp-request inspect-delay 10s\n \
         tcp-request content accept if {{ req.ssl_hello_type 1 }}\n \
         use_backend routed if {{ req.ssl_sni -i {NAME} }}\n\
         backend routed\n server one unix@{}\n",
        as_root(" user nobody\n group nogroup\n"),
        wish.port,
        wish.materials.socket.display(),
    );
    let file = wish
        .materials
        .scratch
        .write("haproxy.cfg", settings.as_bytes())?;
    // -db: in the foreground, without a master.
    Ok(with(&["-q", "-db", "-f", &file.to_string_lossy()]))
}

fn nginx(wish: &Wish) -> Result<Command, String> {
    let settings = format!(
        "load_module {NGINX_STREAM};\n{}daemon off;\npid {}/nginx.pid;\nerror_log stderr error;\n\
         worker_processes 1;\nevents {{ worker_connections {}; }}\n\
         stream {{\n map $ssl_preread_server_name $backend {{ {NAME} unix:{}; }}\n\
         server {{\n listen 127.0.0.1:{};\n ssl_preread on;\n proxy_pass $backend;\n}} }}\n",
        as_root("user nobody nogroup;\n"),
        wish.materials.scratch.directory.display(),
        2 * CONNECTIONS,
        wish.materials.socket.display(),
        wish.port,
    );
    let file = wish
        .materials
        .scratch
        .write("nginx.conf", settings.as_bytes())?;
    Ok(with(&["-e", "stderr", "-c", &file.to_string_lossy()]))
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
    Ok(with(&["-f", "-c", &file.to_string_lossy()]))
}

/// Only root can and must say who they become.
fn as_root(settings: &str) -> &str {
    if nix::unistd::geteuid().is_root() {
        settings
    } else {
        ""
    }
}

fn with(arguments: &[&str]) -> Command {
    Command {
        arguments: arguments.iter().copied().map(str::to_owned).collect(),
        ..Command::default()
    }
}
