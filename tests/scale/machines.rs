//! Two machines behind one address: each in a network of its own, the clients in a third, where the way to the address
//! leads now to one machine and now to the other. Takes root, and a system that lets root have networks.
#![forbid(unsafe_code)]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::backend;
use crate::common::peers::{must, run};
use crate::common::{LIMIT, Running, Stud, say, without_root};
use crate::frame::Request;
use crate::part::Part;

crate::tests! {
    the_other_machine_resumes_a_session_if_both_have_the_same_secrets
    the_other_machine_resumes_a_session_that_is_in_the_store
}

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];
/// Changes from one machine to the other.
const CHANGES: usize = 4;
/// What both machines are known by.
const ADDRESS: &str = "192.0.2.1";
const PORT: u16 = 8443;

fn the_other_machine_resumes_a_session_if_both_have_the_same_secrets() {
    let test = "the_other_machine_resumes_a_session_if_both_have_the_same_secrets";
    let Some(networks) = Networks::new(test) else {
        return;
    };
    let machine = |network: usize, byte: u8| {
        Machine::start(&networks, network, |stud| {
            let file = stud.dir.write("tickets", secrets(byte));
            format!("ticket-key-file = \"{}\"", file.display())
        })
    };
    let _one = machine(0, 7);
    let other = machine(1, 7);
    for version in VERSIONS {
        networks.assert_resumed(version);
    }
    drop(other);
    let _stranger = machine(1, 8);
    for version in VERSIONS {
        networks.lead_to(0);
        assert!(!networks.visit(version, false));
        networks.lead_to(1);
        assert!(!networks.visit(version, true), "{version}, other secrets");
    }
}

#[cfg(not(feature = "redis"))]
fn the_other_machine_resumes_a_session_that_is_in_the_store() {
    say(
        "the_other_machine_resumes_a_session_that_is_in_the_store: skipped: needs the feature redis",
    );
}

#[cfg(feature = "redis")]
fn the_other_machine_resumes_a_session_that_is_in_the_store() {
    let test = "the_other_machine_resumes_a_session_that_is_in_the_store";
    if Command::new("redis-server")
        .arg("--version")
        .output()
        .is_err()
    {
        return say(&format!("{test}: skipped: needs redis-server"));
    }
    let Some(networks) = Networks::new(test) else {
        return;
    };
    let redis = Redis::start(&networks.clients);
    let machine = |network: usize| {
        Machine::start(&networks, network, |stud| {
            let file = stud.dir.write("tickets", secrets(7));
            format!(
                "ticket-key-file = \"{}\"\nsession-store = \"redis://{}:{REDIS}\"",
                file.display(),
                gateway(network, CLIENTS)
            )
        })
    };
    let _machines = [0, 1].map(machine);
    for version in VERSIONS {
        networks.assert_resumed(version);
    }
    drop(redis);
    for version in VERSIONS {
        assert!(!networks.visit(version, true), "{version}, no store");
    }
}

/// A line of a file of ticket keys.
fn secrets(byte: u8) -> String {
    openssl::base64::encode_block(&[byte; 48]) + "\n"
}

/// A proxy and its backend.
struct Machine {
    _backend: Part,
    _stud: Running,
}

impl Machine {
    fn start(networks: &Networks, network: usize, config: impl Fn(&Stud) -> String) -> Machine {
        let within = Networks::within(&networks.machines[network]);
        let mut backend = Part::start(&within, &[backend::ROLE, "0"]);
        let port = backend.result()[0] as u16;
        let stud = Stud::to(([127, 0, 0, 1], port).into())
            .frontend(&format!("[{ADDRESS}]:{PORT}"))
            .prefix(&within);
        let lines = config(&stud);
        Machine {
            _backend: backend,
            _stud: stud.config(&lines).start(),
        }
    }
}

struct Networks {
    machines: [String; 2],
    clients: String,
    dir: crate::common::TempDir,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The ends of a cable.
const MACHINE: u8 = 1;
const CLIENTS: u8 = 2;

fn gateway(network: usize, end: u8) -> String {
    format!("198.51.100.{}", network as u8 * 4 + end)
}

fn ip(words: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    command
}

impl Networks {
    fn new(test: &str) -> Option<Networks> {
        if without_root(test) {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("stud-{}-{number}-{end}", std::process::id());
        let networks = Networks {
            machines: [name("one"), name("two")],
            clients: name("clients"),
            dir: crate::common::TempDir::new(),
        };
        let clients = &networks.clients;
        for network in networks.machines.iter().chain([clients]) {
            let made = run(ip(&format!("netns add {network}")), b"", LIMIT);
            if !made.status.success() {
                say(&format!("{test}: skipped: no network namespaces: {made:?}"));
                return None;
            }
            must(ip(&format!("-n {network} link set dev lo up")));
        }
        for (place, machine) in networks.machines.iter().enumerate() {
            must(ip(&format!(
                "link add front netns {machine} type veth peer name way{place} netns {clients}"
            )));
            must(ip(&format!("-n {machine} addr add {ADDRESS}/32 dev lo")));
            for (network, link, end) in [
                (machine, "front".to_owned(), MACHINE),
                (clients, format!("way{place}"), CLIENTS),
            ] {
                let address = gateway(place, end);
                must(ip(&format!(
                    "-n {network} addr add {address}/30 dev {link}"
                )));
                must(ip(&format!("-n {network} link set dev {link} up")));
            }
        }
        Some(networks)
    }

    fn within(network: &str) -> [&str; 4] {
        ["ip", "netns", "exec", network]
    }

    /// The address is this machine's from now on.
    fn lead_to(&self, machine: usize) {
        let gateway = gateway(machine, MACHINE);
        let clients = &self.clients;
        must(ip(&format!(
            "-n {clients} route replace {ADDRESS}/32 via {gateway}"
        )));
    }

    /// One connection that asks for the session of the last one, or for none; whether it was resumed.
    fn visit(&self, version: &str, resumes: bool) -> bool {
        let file = self.dir.text(&format!("session{version}"));
        let within = Networks::within(&self.clients);
        let mut command = Command::new(within[0]);
        command.args(&within[1..]).args(["openssl", "s_client"]);
        command.args(["-ign_eof", "-nocommands", version, "-sess_out", &file]);
        command.args(["-connect", &format!("{ADDRESS}:{PORT}")]);
        if resumes {
            command.args(["-sess_in", &file]);
        }
        let outcome = run(command, &Request::End.frame(1), LIMIT);
        let text = outcome.text();
        let is_reused = text.contains("\nReused, TLS");
        assert!(is_reused != text.contains("\nNew, TLS"), "{outcome:?}");
        let frame = Request::End.frame(1);
        let is_answered = outcome.stdout.windows(frame.len()).any(|it| it == frame);
        assert!(is_answered, "{outcome:?}");
        is_reused
    }

    /// A session goes from one machine to the other and back.
    fn assert_resumed(&self, version: &str) {
        self.lead_to(0);
        assert!(!self.visit(version, false), "{version}");
        for change in 1..=CHANGES {
            self.lead_to(change % 2);
            assert!(self.visit(version, true), "{version}, change {change}");
        }
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for network in self.machines.iter().chain([&self.clients]) {
            run(ip(&format!("netns del {network}")), b"", LIMIT);
        }
    }
}

#[cfg(feature = "redis")]
const REDIS: u16 = 6379;

#[cfg(feature = "redis")]
struct Redis(std::process::Child);

#[cfg(feature = "redis")]
impl Redis {
    /// In this network, where nobody else has the port.
    fn start(network: &str) -> Redis {
        let within = Networks::within(network);
        let mut command = Command::new(within[0]);
        command
            .args(&within[1..])
            .args(["redis-server", "--save", ""]);
        command.args(["--protected-mode", "no", "--port", &REDIS.to_string()]);
        let child = command.stdout(std::process::Stdio::null()).spawn();
        let redis = Redis(child.expect("redis-server"));
        crate::common::eventually("redis-server", || {
            let mut ask = Command::new(within[0]);
            ask.args(&within[1..]).args(["redis-cli", "ping"]);
            run(ask, b"", LIMIT).status.success().then_some(())
        });
        redis
    }
}

#[cfg(feature = "redis")]
impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
