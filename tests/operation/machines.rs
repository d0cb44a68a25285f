//! Two servers in networks of their own behind one haproxy, which sends each client to either: with the same
//! TICKETKEYFILE every session is resumed.
#![forbid(unsafe_code)]

use crate::common::peers::run;
use crate::common::{LIMIT, Server, Setup, eventually, namespaces::Networks, say};
use std::process::{Child, Command, Stdio};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
const VISITS: usize = 8;

struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn machine(network: &str, address: &str) -> Server {
    let within = Networks::within(network);
    // Its `-1` line tells an address that is not this network's: only the log is looked at.
    Setup::new()
        .prefix(&within)
        .host(address)
        .port("8443")
        .options(&["-6", "-s"])
        .shell("read line; echo hello")
        .file("TICKETKEYFILE", "tickets", KEY)
        .start()
}

#[test]
fn behind_one_haproxy_two_servers_with_the_same_ticket_keys_resume_every_session() {
    let test = "behind_one_haproxy_two_servers_with_the_same_ticket_keys_resume_every_session";
    if Command::new("haproxy").arg("-v").output().is_err() {
        return say(&format!("{test}: skipped: needs haproxy"));
    }
    let Some(networks) = Networks::new(test) else {
        return;
    };
    let (one, other) = (
        machine(&networks.server, "fd00::1"),
        machine(&networks.client, "fd00::2"),
    );
    let config = one.dir.write(
        "haproxy.cfg",
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
         frontend front\n bind [::1]:9443\n default_backend machines\n\
         backend machines\n balance roundrobin\n server one [fd00::1]:8443\n server two [fd00::2]:8443\n",
    );
    let within = Networks::within(&networks.client);
    let mut command = Command::new(within[0]);
    command
        .args(&within[1..])
        .args(["haproxy", "-db", "-f"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _balancer = Balancer(command.spawn().expect("haproxy"));
    let visit = |version: &str, options: &[&str]| {
        let mut command = Command::new(within[0]);
        command.args(&within[1..]);
        command.args([
            "openssl",
            "s_client",
            "-ign_eof",
            "-connect",
            "[::1]:9443",
            version,
        ]);
        command.args(options);
        run(command, b"hello\n", LIMIT)
    };
    eventually("the balancer", || {
        visit("-tls1_3", &[])
            .text()
            .contains("\nhello")
            .then_some(())
    });
    for version in ["-tls1_2", "-tls1_3"] {
        let file = one.dir.text(&format!("session{version}"));
        visit(version, &["-sess_out", &file]);
        for number in 0..VISITS {
            let options = ["-sess_in", &file, "-sess_out", &file];
            let outcome = visit(version, &options);
            let text = outcome.text();
            assert!(
                text.contains("\nReused, TLSv1."),
                "{version} {number} {text}"
            );
            assert!(text.contains("\nhello"), "{text}");
        }
    }
    for server in [&one, &other] {
        let served = server.log.count("sslserver: ended by *");
        assert!(served >= VISITS, "{served} of {VISITS}");
    }
}
