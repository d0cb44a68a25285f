//! Behind a proxy that nobody here wrote.
#![forbid(unsafe_code)]

use crate::common::responder::sockets;
use crate::common::{Dial, Log, Server, eventually, say};
use crate::{PROXY, setup};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

struct Haproxy {
    child: Child,
    address: SocketAddr,
    log: Log,
}

impl Haproxy {
    /// `None`, said, where it is not installed.
    fn start(server: &Server, how: &str) -> Option<Haproxy> {
        let program = std::path::Path::new("/usr/sbin/haproxy");
        if !program.exists() {
            say("no haproxy: a test is skipped");
            return None;
        }
        let address = sockets().1.local_addr().expect("an address");
        let target = server.address;
        let file = server.dir.write(
            "haproxy.cfg",
            format!(
                "global\n maxconn 100\n\
                 defaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n timeout server 20s\n\
                 listen tls\n bind {address}\n server one {target} {how}\n"
            ),
        );
        let mut child = Command::new(program)
            .args(["-db", "-f"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("haproxy");
        let log = Log::collect(child.stderr.take().expect("piped"));
        let haproxy = Haproxy {
            child,
            address,
            log,
        };
        eventually("haproxy", || TcpStream::connect(address).ok());
        Some(haproxy)
    }

    fn dial(&self) -> Dial {
        Dial::to(self.address)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            say(&self.log.lines().join("\n"));
        }
    }
}

const BOTH: [&str; 2] = [
    "send-proxy",
    "send-proxy-v2 proxy-v2-options crc32c,unique-id",
];

#[test]
fn clients_of_haproxy_are_known_by_their_own_addresses() {
    for how in BOTH {
        let server = setup().start();
        let Some(haproxy) = Haproxy::start(&server, how) else {
            return;
        };
        for source in ["127.0.0.5", "127.0.0.6"] {
            let client = haproxy.dial().from(source).connect();
            let port = client.local().port();
            let environment = client.environment();
            assert_eq!(environment["SSLREMOTEIP"], source, "{how}");
            assert_eq!(environment["SSLREMOTEPORT"], port.to_string(), "{how}");
            assert_eq!(environment["TCPLOCALIP"], PROXY, "{how}");
            let local = haproxy.address.port().to_string();
            assert_eq!(environment["TCPLOCALPORT"], local, "{how}");
            assert_eq!(environment["SSLPROXYIP"], PROXY, "{how}");
            let line = format!("sslserver: ok * 0:{} :{source}::{port}", haproxy.address);
            server.log.wait_for(&line);
        }
    }
}

#[test]
fn rules_keep_out_a_client_of_haproxy() {
    let server = setup().rules("-y", "127.0.0.5:deny\n:allow\n").start();
    let Some(haproxy) = Haproxy::start(&server, BOTH[1]) else {
        return;
    };
    assert!(haproxy.dial().from("127.0.0.5").try_connect().is_err());
    server.log.wait_for("sslserver: deny * :127.0.0.5::*");
    haproxy.dial().from("127.0.0.6").connect().environment();
}

#[test]
fn megabytes_pass_through_haproxy_in_both_directions() {
    for how in BOTH {
        let server = setup().program(&["cat"]).start();
        let Some(haproxy) = Haproxy::start(&server, how) else {
            return;
        };
        let data = crate::common::pattern(3 << 20);
        let mut client = haproxy.dial().from("127.0.0.5").connect();
        let ending = crate::common::Ending::CloseNotify;
        let (received, _) = client.exchange(&data, ending);
        assert_eq!(received, data, "{how}");
    }
}

#[test]
fn starttls_works_behind_haproxy() {
    for how in BOTH {
        let server = setup().options(&["-n"]).shell(crate::STARTTLS).start();
        let Some(haproxy) = Haproxy::start(&server, how) else {
            return;
        };
        let mut tcp = haproxy.dial().from("127.0.0.5").tcp();
        assert_eq!(crate::plain_line(&tcp), "127.0.0.5\n", "{how}");
        tcp.write_all(b"starttls\n").expect("room");
        assert_eq!(crate::plain_line(&tcp), "go\n", "{how}");
        haproxy.dial().over(tcp).assert_echoes();
    }
}

#[test]
fn a_health_check_of_haproxy_is_no_client() {
    let server = setup().start();
    let how = "send-proxy-v2 check inter 200ms check-send-proxy";
    let Some(haproxy) = Haproxy::start(&server, how) else {
        return;
    };
    let line = format!("sslserver: fatal: (111) unable to accept TLS from: {PROXY} *");
    server.log.wait_for_nth(&line, 2);
    let environment = haproxy.dial().from("127.0.0.5").connect().environment();
    assert_eq!(environment["SSLREMOTEIP"], "127.0.0.5");
}
