//! Who counts as one client: an IPv4 address, however its connection comes, and the first 64 bits of an IPv6 address.
#![forbid(unsafe_code)]

use crate::common::namespaces::{CLIENT_LINK, Networks, SERVER_LINK};
use crate::common::{Client, Dial, Server, Setup};
use crate::silent;
use std::net::SocketAddr;

/// Two of one /64, and one of the next.
const NEIGHBOURS: [&str; 2] = ["fd00::2", "fd00::ffff:3"];
const STRANGER: &str = "fd00:0:0:1::2";

fn networks(test: &str) -> Option<Networks> {
    let networks = Networks::new(test)?;
    for address in [NEIGHBOURS[1], STRANGER] {
        networks.add_address(&networks.client, CLIENT_LINK, address);
    }
    networks.add_address(&networks.server, SERVER_LINK, "fd00:0:0:1::1");
    Some(networks)
}

fn admitted(server: &Server, source: &str) -> Option<Client> {
    let mut client = server.dial().from(source).try_connect().ok()?;
    client.assert_echoes();
    Some(client)
}

/// Each limit lets two in, be it the environment's or a rule's.
fn each_way(limit: (&str, &str)) -> [Setup; 2] {
    let (name, value) = limit;
    let rules = format!(":allow,{name}=\"{value}\"\n");
    [
        Setup::new().env(name, value),
        Setup::new().rules("-y", &rules),
    ]
}

/// Starts each in the network and tries it from there.
fn try_each(test: &str, limit: (&str, &str), attempt: impl Fn(&Server) + Sync) {
    let Some(networks) = networks(test) else {
        return;
    };
    for setup in each_way(limit) {
        let setup = setup.prefix(&Networks::within(&networks.server));
        let server = setup.host("fd00::1").start();
        Networks::inside(&networks.client, || attempt(&server));
    }
}

#[test]
fn neighbours_of_a_64_share_their_connections_and_the_next_64_has_its_own() {
    let test = "neighbours_of_a_64_share_their_connections_and_the_next_64_has_its_own";
    try_each(test, ("MAXCONIP", "2"), |server| {
        let held = NEIGHBOURS.map(|source| admitted(server, source).expect(source));
        for source in NEIGHBOURS {
            assert!(admitted(server, source).is_none(), "a third of {source}");
        }
        assert!(admitted(server, STRANGER).is_some());
        drop(held);
    });
}

#[test]
fn neighbours_of_a_64_share_their_handshakes_and_the_next_64_has_its_own() {
    let test = "neighbours_of_a_64_share_their_handshakes_and_the_next_64_has_its_own";
    try_each(test, ("HANDSHAKESIP", "2"), |server| {
        let held = NEIGHBOURS.map(|source| silent(server, source, 1));
        for source in NEIGHBOURS {
            assert!(admitted(server, source).is_none(), "a third of {source}");
        }
        assert!(admitted(server, STRANGER).is_some());
        drop(held);
    });
}

#[test]
fn neighbours_of_a_64_share_their_rate_and_the_next_64_has_its_own() {
    let test = "neighbours_of_a_64_share_their_rate_and_the_next_64_has_its_own";
    try_each(test, ("RATE", "2/3600"), |server| {
        for source in NEIGHBOURS {
            assert!(admitted(server, source).is_some(), "{source}");
        }
        for source in NEIGHBOURS {
            assert!(admitted(server, source).is_none(), "a third of {source}");
        }
        assert!(admitted(server, STRANGER).is_some());
    });
}

/// On such a socket all of IPv4 lies in one /64 of IPv6.
#[test]
fn ipv4_clients_of_a_socket_for_both_are_counted_by_their_ipv4_addresses() {
    for (name, value) in [("MAXCONIP", "1"), ("HANDSHAKESIP", "1"), ("RATE", "1/3600")] {
        let server = Setup::new().host(":0").env(name, value).start();
        let address = SocketAddr::from(([127, 0, 0, 1], server.port()));
        let dial = |source| Dial::to(address).from(source);
        let held = ["127.0.0.1", "127.0.0.2"].map(|source| match name {
            "HANDSHAKESIP" => (Some(dial(source).tcp()), None),
            _ => {
                let mut client = dial(source).connect();
                client.assert_echoes();
                (None, Some(client))
            }
        });
        for source in ["127.0.0.1", "127.0.0.2"] {
            assert!(dial(source).try_connect().is_err(), "{name} {source}");
            let line = format!("sslserver: warning: ip * exceeded for: {source}");
            server.log.wait_for(&line);
        }
        drop(held);
    }
}
