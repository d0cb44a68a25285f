//! Who is measured: one entry per proxy with the function that says how it is started. A new peer
//! is a new entry here and its function.
//!
//! All get the same key and certificate, one worker or thread unless the row is about workers, TLS 1.2
//! and 1.3, a plain backend, and log errors only. Tickets, session caches, TCP_NODELAY and buffers are
//! as each has them when nothing is said. Started by root, all become `nobody`: hitch insists on somebody.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::Path;

use crate::common::rows::{Command, Peer};
use crate::common::scratch::Scratch;

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
        program: match option_env!("CARGO_BIN_EXE_stud") {
            Some(program) => program,
            None => "stud",
        },
        needs: &[],
        how: stud,
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

const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// More than are ever open at once, so that no limit is measured.
const CONNECTIONS: u32 = 8000;

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
    if is_root() {
        arguments.extend(["-u".to_owned(), "nobody".to_owned()]);
    }
    arguments.push(wish.pem.display().to_string());
    Ok(Some(with(&arguments)))
}

fn haproxy(wish: &Wish) -> Result<Option<Command>, String> {
    let settings = format!(
        "global\n{} nbthread {}\n maxconn {CONNECTIONS}\n ssl-default-bind-options ssl-min-ver TLSv1.2\n\
         defaults\n mode tcp\n timeout connect 10s\n timeout client 5m\n timeout server 5m\n\
         frontend tls\n bind 127.0.0.1:{} ssl crt {}\n default_backend plain\n\
         backend plain\n server one {}\n",
        as_root(" user nobody\n group nogroup\n"),
        wish.workers,
        wish.port,
        wish.pem.display(),
        wish.backend,
    );
    let file = wish.scratch.write("haproxy.cfg", settings.as_bytes())?;
    // -db: in the foreground, without a master.
    Ok(Some(with(&[
        "-q".to_owned(),
        "-db".to_owned(),
        "-f".to_owned(),
        file.display().to_string(),
    ])))
}

fn nginx(wish: &Wish) -> Result<Option<Command>, String> {
    let settings = format!(
        "load_module {NGINX_STREAM};\n{}daemon off;\npid {}/nginx.pid;\nerror_log stderr error;\n\
         worker_processes {};\nevents {{ worker_connections {}; }}\n\
         stream {{ server {{\n listen 127.0.0.1:{} ssl;\n ssl_certificate {pem};\n ssl_certificate_key {pem};\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n proxy_pass {};\n}} }}\n",
        as_root("user nobody nogroup;\n"),
        wish.scratch.directory.display(),
        wish.workers,
        2 * CONNECTIONS,
        wish.port,
        wish.backend,
        pem = wish.pem.display(),
    );
    let file = wish.scratch.write("nginx.conf", settings.as_bytes())?;
    Ok(Some(with(&[
        "-e".to_owned(),
        "stderr".to_owned(),
        "-c".to_owned(),
        file.display().to_string(),
    ])))
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
    Ok(Some(with(&[format!("--config={}", file.display())])))
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
    Ok(Some(with(&[file.display().to_string()])))
}

/// Only root can and must say who they become.
fn as_root(settings: &str) -> &str {
    if is_root() { settings } else { "" }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn with(arguments: &[String]) -> Command {
    Command {
        arguments: arguments.to_vec(),
        ..Command::default()
    }
}
