//! A name server that nobody here wrote, with the records that a test gives it.
#![forbid(unsafe_code)]

use super::responder::sockets;
use super::{Log, say};
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

pub struct Dnsmasq {
    child: Child,
    pub address: SocketAddr,
}

impl Dnsmasq {
    /// `None`, said, where it is not installed.
    pub fn start<S: AsRef<OsStr>>(records: impl IntoIterator<Item = S>) -> Option<Dnsmasq> {
        let port = sockets().0.local_addr().expect("an address").port();
        let program = ["/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
        let Some(program) = program else {
            say("no dnsmasq: a test is skipped");
            return None;
        };
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
        let user = user.ok().flatten().map_or("root".into(), |user| user.name);
        let mut child = Command::new(program)
            .args([
                "--no-daemon",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
            ])
            .args([
                "--bind-interfaces",
                "--listen-address=127.0.0.1",
                "--pid-file=",
            ])
            .args(["--local=/arpa/", "--local=/example.org/", "--local-ttl=60"])
            .args([format!("--port={port}"), format!("--user={user}")])
            .args(records)
            .stderr(Stdio::piped())
            .spawn()
            .expect("dnsmasq");
        let log = Log::collect(child.stderr.take().expect("piped"));
        log.wait_for("dnsmasq: started*");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Some(Dnsmasq { child, address })
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
