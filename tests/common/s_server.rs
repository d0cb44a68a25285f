//! `openssl s_server`, a server that nobody here wrote.
#![forbid(unsafe_code)]

use super::daemon::free;
use super::keys::{Kind, authority, leaf};
use super::log::Log;
use super::tempdir::TempDir;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// With the certificate for localhost.
pub struct SServer {
    child: Child,
    pub address: SocketAddr,
    _dir: TempDir,
}

impl SServer {
    pub fn start(options: &[&str]) -> SServer {
        let (dir, address) = (TempDir::new(), free("127.0.0.1"));
        let pair = leaf(Kind::P256);
        let certificate = dir.write("cert.pem", &pair.certificate);
        let key = dir.write("key.pem", &pair.key);
        let authority = dir.write("ca.pem", &authority().certificate);
        let mut command = Command::new("openssl");
        command
            .args(["s_server", "-accept"])
            .arg(address.to_string());
        for (option, file) in [
            ("-cert", &certificate),
            ("-key", &key),
            ("-cert2", &certificate),
            ("-key2", &key),
            ("-CAfile", &authority),
        ] {
            command.arg(option).arg(file);
        }
        let mut child = command
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let log = Log::collect(child.stdout.take().expect("piped"));
        log.wait_for("ACCEPT");
        SServer {
            child,
            address,
            _dir: dir,
        }
    }
}

impl Drop for SServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
