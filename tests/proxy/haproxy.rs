//! Behind a proxy that nobody here wrote.
#![forbid(unsafe_code)]

use crate::common::daemon::{Daemon, free};
use crate::common::{Dial, Server};
use crate::{PROXY, setup};
use std::io::Write;

/// `None`, said, where it is not installed.
fn haproxy(server: &Server, how: &str) -> Option<Daemon> {
    let address = free("127.0.0.1");
    let target = server.address;
    let section = format!("listen tls\n mode tcp\n bind {address}\n server one {target} {how}\n");
    Daemon::haproxy(&server.dir, address, &section)
}

fn dial(haproxy: &Daemon) -> Dial {
    Dial::to(haproxy.address)
}

const BOTH: [&str; 2] = [
    "send-proxy",
    "send-proxy-v2 proxy-v2-options crc32c,unique-id",
];

#[test]
fn clients_of_haproxy_are_known_by_their_own_addresses() {
    for how in BOTH {
        let server = setup().start();
        let Some(haproxy) = haproxy(&server, how) else {
            return;
        };
        for source in ["127.0.0.5", "127.0.0.6"] {
            let client = dial(&haproxy).from(source).connect();
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
    let Some(haproxy) = haproxy(&server, BOTH[1]) else {
        return;
    };
    assert!(dial(&haproxy).from("127.0.0.5").try_connect().is_err());
    server.log.wait_for("sslserver: deny * :127.0.0.5::*");
    dial(&haproxy).from("127.0.0.6").connect().environment();
}

#[test]
fn megabytes_pass_through_haproxy_in_both_directions() {
    for how in BOTH {
        let server = setup().program(&["cat"]).start();
        let Some(haproxy) = haproxy(&server, how) else {
            return;
        };
        let data = crate::common::pattern(3 << 20);
        let mut client = dial(&haproxy).from("127.0.0.5").connect();
        let ending = crate::common::Ending::CloseNotify;
        let (received, _) = client.exchange(&data, ending);
        assert_eq!(received, data, "{how}");
    }
}

#[test]
fn starttls_works_behind_haproxy() {
    for how in BOTH {
        let server = setup().options(&["-n"]).shell(crate::STARTTLS).start();
        let Some(haproxy) = haproxy(&server, how) else {
            return;
        };
        let mut tcp = dial(&haproxy).from("127.0.0.5").tcp();
        assert_eq!(crate::plain_line(&tcp), "127.0.0.5\n", "{how}");
        tcp.write_all(b"starttls\n").expect("room");
        assert_eq!(crate::plain_line(&tcp), "go\n", "{how}");
        dial(&haproxy).over(tcp).assert_echoes();
    }
}

#[test]
fn a_health_check_of_haproxy_is_no_client() {
    let server = setup().start();
    let how = "send-proxy-v2 check inter 200ms check-send-proxy";
    let Some(haproxy) = haproxy(&server, how) else {
        return;
    };
    let line = format!("sslserver: fatal: (111) unable to accept TLS from: {PROXY} *");
    server.log.wait_for_nth(&line, 2);
    let environment = dial(&haproxy).from("127.0.0.5").connect().environment();
    assert_eq!(environment["SSLREMOTEIP"], "127.0.0.5");
}
