//! Proxies and servers that nobody here wrote, run in the foreground with a configuration of the test's.
#![forbid(unsafe_code)]

use super::log::Log;
use super::tempdir::TempDir;
use super::{eventually, say};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Daemon {
    child: Child,
    pub address: SocketAddr,
    log: Log,
}

/// A port that is free at the moment, on the address of that text.
pub fn free(ip: &str) -> SocketAddr {
    let any: SocketAddr = (ip.parse::<std::net::IpAddr>().expect("an address"), 0).into();
    let listener = TcpListener::bind(any).expect("a free port");
    listener.local_addr().expect("bound")
}

impl Daemon {
    /// Sections after the defaults; one of them listens on the address. `None`, said, where it is not installed.
    pub fn haproxy(dir: &TempDir, address: SocketAddr, sections: &str) -> Option<Daemon> {
        let file = dir.write(
            &format!("haproxy-{}.cfg", address.port()),
            format!(
                "global\n maxconn 100\n\
                 defaults\n timeout connect 20s\n timeout client 20s\n timeout server 20s\n{sections}\n"
            ),
        );
        let mut command = Command::new("/usr/sbin/haproxy");
        command.args(["-db", "-f"]).arg(file);
        Daemon::start(command, address)
    }

    /// Blocks of `http` or `stream`; one of their servers listens on the address.
    pub fn nginx(dir: &TempDir, address: SocketAddr, blocks: &str) -> Option<Daemon> {
        let root = dir.subdirectory(&format!("nginx-{}", address.port()));
        let file = root.join("nginx.conf");
        let module = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
        let load = if module.exists() {
            format!("load_module {};\n", module.display())
        } else {
            String::new()
        };
        let text = format!(
            "{load}daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
             events {{ worker_connections 100; }}\n{blocks}\n"
        );
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(root).arg("-c").arg(file);
        Daemon::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Option<Daemon> {
        let program = Path::new(command.get_program()).to_owned();
        if !program.exists() {
            say(&format!("no {}: a test is skipped", program.display()));
            return None;
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Log::collect(child.stderr.take().expect("piped"));
        let daemon = Daemon {
            child,
            address,
            log,
        };
        eventually(&program.display().to_string(), || {
            TcpStream::connect(address).ok()
        });
        Some(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            say(&self.log.lines().join("\n"));
        }
    }
}
