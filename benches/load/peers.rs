//! Those who are measured both as proxies and as routers, and what their settings have in common.
#![forbid(unsafe_code)]

use crate::common::peer::{Command, Peer};
use crate::common::scratch::Scratch;

/// More than are ever open at once, so that no limit is measured.
const CONNECTIONS: u32 = 8000;
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

pub const fn haproxy<H>(how: H) -> Peer<H> {
    Peer {
        name: "haproxy",
        package: "haproxy",
        program: "/usr/sbin/haproxy",
        needs: &[],
        how,
    }
}

pub const fn nginx<H>(how: H) -> Peer<H> {
    Peer {
        name: "nginx",
        package: "nginx",
        program: "/usr/sbin/nginx",
        needs: &[NGINX_STREAM],
        how,
    }
}

/// What it listens to, and where that goes, is for the caller to say.
pub fn start_haproxy(scratch: &Scratch, threads: u32, ways: &str) -> Result<Command, String> {
    let settings = format!(
        "global\n{} nbthread {threads}\n maxconn {CONNECTIONS}\n ssl-default-bind-options ssl-min-ver TLSv1.2\n\
         defaults\n mode tcp\n timeout connect 10s\n timeout client 5m\n timeout server 5m\n{ways}",
        as_root(" user nobody\n group nogroup\n"),
    );
    let file = scratch.write("haproxy.cfg", settings.as_bytes())?;
    // -db: in the foreground, without a master.
    Ok(Command::with(["-q", "-db", "-f", &file.to_string_lossy()]))
}

/// What its `stream` block says is the caller's.
pub fn start_nginx(scratch: &Scratch, workers: u32, ways: &str) -> Result<Command, String> {
    let settings = format!(
        "load_module {NGINX_STREAM};\n{}daemon off;\npid {}/nginx.pid;\nerror_log stderr error;\n\
         worker_processes {workers};\nevents {{ worker_connections {}; }}\nstream {{\n{ways}}}\n",
        as_root("user nobody nogroup;\n"),
        scratch.directory.display(),
        2 * CONNECTIONS,
    );
    let file = scratch.write("nginx.conf", settings.as_bytes())?;
    Ok(Command::with([
        "-e",
        "stderr",
        "-c",
        &file.to_string_lossy(),
    ]))
}

/// Only root can and must say who they become.
pub fn as_root(settings: &str) -> &str {
    if nix::unistd::geteuid().is_root() {
        settings
    } else {
        ""
    }
}
