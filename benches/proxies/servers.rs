//! Who is measured: one entry per proxy with the function that says how it is started. A new peer
//! is a new entry here and its function.
//!
//! All get the same key and certificate, one worker or thread unless the row is about workers, TLS 1.2
//! and 1.3, a plain backend, and log errors only. Tickets, session caches, TCP_NODELAY and buffers are
//! as each has them when nothing is said. Started by root, all become `nobody`: hitch insists on somebody.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::Path;

use crate::common::peer::{Command, Peer};
use crate::common::scratch::Scratch;
use crate::load::peers::{self, as_root};

/// None: this peer cannot have so many workers.
pub type Start = fn(&Wish) -> Result<Option<Command>, String>;

/// What a proxy shall do.
pub struct Wish<'a> {
    /// Of 127.0.0.1.
    pub port: u16,
    pub backend: SocketAddr,
    pub workers: u32,
    /// Key and certificate.
    pub pem: &'a Path,
    pub scratch: &'a Scratch,
}

pub const OURS: &str = "stud";

pub const PEERS: &[Peer<Start>] = &[
    Peer {
        name: OURS,
        package: "",
        program: env!("CARGO_BIN_EXE_stud"),
        needs: &[],
        how: stud,
    },
    peers::haproxy(haproxy as Start),
    peers::nginx(nginx as Start),
    Peer {
        name: "hitch",
        package: "hitch",
        program: "/usr/sbin/hitch",
        needs: &[],
        how: hitch,
    },
    Peer {
        name: "stunnel",
        package: "stunnel4",
        program: "/usr/bin/stunnel4",
        needs: &[],
        how: stunnel,
    },
];

fn stud(wish: &Wish) -> Result<Option<Command>, String> {
    let mut arguments = vec![
        "-q".to_owned(),
        "-f".to_owned(),
        format!("127.0.0.1,{}", wish.port),
        "-b".to_owned(),
        format!("{},{}", wish.backend.ip(), wish.backend.port()),
        "-n".to_owned(),
        wish.workers.to_string(),
    ];
    arguments.extend(as_root("-u nobody").split_whitespace().map(str::to_owned));
    arguments.push(wish.pem.display().to_string());
    Ok(Some(Command::with(arguments)))
}

fn haproxy(wish: &Wish) -> Result<Option<Command>, String> {
    let ways = format!(
        "frontend tls\n bind 127.0.0.1:{} ssl crt {}\n default_backend plain\n\
         backend plain\n server one {}\n",
        wish.port,
        wish.pem.display(),
        wish.backend,
    );
    peers::start_haproxy(wish.scratch, wish.workers, &ways).map(Some)
}

fn nginx(wish: &Wish) -> Result<Option<Command>, String> {
    let ways = format!(
        " server {{\n listen 127.0.0.1:{} ssl;\n ssl_certificate {pem};\n ssl_certificate_key {pem};\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n proxy_pass {};\n}}\n",
        wish.port,
        wish.backend,
        pem = wish.pem.display(),
    );
    peers::start_nginx(wish.scratch, wish.workers, &ways).map(Some)
}

fn hitch(wish: &Wish) -> Result<Option<Command>, String> {
    let settings = format!(
        "frontend = \"[127.0.0.1]:{}\"\nbackend = \"[{}]:{}\"\npem-file = \"{}\"\nworkers = {}\n\
         tls-protos = TLSv1.2 TLSv1.3\nocsp-dir = \"\"\ndaemon = off\nlog-level = 0\n{}",
        wish.port,
        wish.backend.ip(),
        wish.backend.port(),
        wish.pem.display(),
        wish.workers,
        as_root("user = nobody\ngroup = nogroup\n"),
    );
    let file = wish.scratch.write("hitch.conf", settings.as_bytes())?;
    Ok(Some(Command::with([format!(
        "--config={}",
        file.display()
    )])))
}

/// One process with a thread for each connection, so there is nothing to set.
fn stunnel(wish: &Wish) -> Result<Option<Command>, String> {
    if wish.workers != 1 {
        return Ok(None);
    }
    let settings = format!(
        "foreground = yes\nsyslog = no\ndebug = 3\npid =\n{}\
         [bench]\naccept = 127.0.0.1:{}\nconnect = {}\ncert = {}\nsslVersionMin = TLSv1.2\n",
        as_root("setuid = nobody\nsetgid = nogroup\n"),
        wish.port,
        wish.backend,
        wish.pem.display(),
    );
    let file = wish.scratch.write("stunnel.conf", settings.as_bytes())?;
    Ok(Some(Command::with([file.display()])))
}
