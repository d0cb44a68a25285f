//! Two networks of the test's own, joined by a cable. Takes root, and a system that lets root have them.
#![forbid(unsafe_code)]

use super::peers::{must, run};
use super::{LIMIT, say, without_root};
use nix::sched::{CloneFlags, setns};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The end of the cable in each network.
pub const SERVER_LINK: &str = "mail0";
pub const CLIENT_LINK: &str = "user0";

pub struct Networks {
    pub server: String,
    pub client: String,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

fn ip(words: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    command
}

impl Networks {
    /// The server's end has fe80::1 and fd00::1, the client's fe80::2 and fd00::2. `None`, said, where they cannot be made.
    pub fn new(test: &str) -> Option<Networks> {
        if without_root(test) {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("sslserver-{}-{number}-{end}", std::process::id());
        let networks = Networks {
            server: name("server"),
            client: name("client"),
        };
        let (server, client) = (&networks.server, &networks.client);
        for network in [server, client] {
            let made = run(ip(&format!("netns add {network}")), b"", LIMIT);
            if !made.status.success() {
                say(&format!("{test}: skipped: no network namespaces: {made:?}"));
                return None;
            }
        }
        must(ip(&format!(
            "link add {SERVER_LINK} netns {server} type veth peer name {CLIENT_LINK} netns {client}"
        )));
        for (network, link, host) in [(server, SERVER_LINK, 1), (client, CLIENT_LINK, 2)] {
            for words in [
                format!("link set dev {link} addrgenmode none"),
                format!("addr add fe80::{host}/64 dev {link} nodad"),
                format!("addr add fd00::{host}/64 dev {link} nodad"),
                "link set dev lo up".to_owned(),
                format!("link set dev {link} up"),
            ] {
                must(ip(&format!("-n {network} {words}")));
            }
        }
        Some(networks)
    }

    /// Another address at the end of a cable, in a /64 of its own or in one that is there.
    pub fn add_address(&self, network: &str, link: &str, address: &str) {
        let words = format!("-n {network} addr add {address}/64 dev {link} nodad");
        must(ip(&words));
    }

    /// What a thread in one of them finds out.
    pub fn inside<T: Send>(network: &str, what: impl FnOnce() -> T + Send) -> T {
        let place = std::fs::File::open(format!("/run/netns/{network}")).expect("a network");
        let enter = || setns(place, CloneFlags::CLONE_NEWNET).expect("as root");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter();
                what()
            });
            thread.join().expect("no panic")
        })
    }

    /// The words that run a program in one of them.
    pub fn within(network: &str) -> [&str; 4] {
        ["ip", "netns", "exec", network]
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for network in [&self.server, &self.client] {
            run(ip(&format!("netns del {network}")), b"", LIMIT);
        }
    }
}
