//! The recipe of the README: two servers behind one port, one of which is told its clients' addresses.
#![forbid(unsafe_code)]

use crate::common::{self, Dial, Server, eventually};
use crate::router::Setup;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Takes what comes to a Unix socket to a server's port.
struct Socat(Child);

impl Socat {
    fn start(socket: &Path, server: &Server) -> Socat {
        let listen = format!("UNIX-LISTEN:{},fork,mode=666", socket.display());
        let connect = format!("TCP:{}", server.address);
        let mut command = Command::new("socat");
        command
            .args([listen, connect])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let socat = Socat(command.spawn().expect("socat"));
        eventually("socat", || socket.exists().then_some(()));
        socat
    }
}

impl Drop for Socat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_servers_share_a_port_and_one_is_told_its_clients() {
    let told = common::Setup::new().env("PROXYFROM", "127.0.0.1");
    let told = told.program(&["cat", "/proc/self/environ"]).start();
    let plain = common::Setup::new().program(&["cat"]).start();
    let router = Setup::new().start();
    let (a, b) = (
        router.hosts.subdirectory("a.example"),
        router.hosts.subdirectory("b.example"),
    );
    router.hosts.write("a.example/send-proxy-v1", "");
    let _socats = [
        Socat::start(&a.join("tls-socket"), &told),
        Socat::start(&b.join("tls-socket"), &plain),
    ];
    let dial = |name: &str| Dial::to(router.address).name(name).from("127.0.0.5");
    let environment = dial("a.example").connect().environment();
    assert_eq!(environment["SSLREMOTEIP"], "127.0.0.5");
    let mut client = dial("B.example").connect();
    client.assert_echoes();
    assert!(
        dial("c.example")
            .try_connect()
            .is_err_and(|error| error.contains("unrecognized name"))
    );
}
