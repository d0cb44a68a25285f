//! Counting connections: all that run, those whose handshake is not done yet, and those of each client.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::IpAddr;

use crate::net::address::Network;

/// Limits of the whole server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `-c`: connections with an application.
    pub running: usize,
    /// Connections before that, so that silent clients do not take the places of others.
    pub unfinished: usize,
    /// MAXCONIP: connections of one client, from accept on. `None`: as many as `-c` has.
    pub per_client: Option<usize>,
}

impl Limits {
    /// Room for a burst of handshakes in proportion to the connections that are wanted.
    pub fn unfinished_for(running: usize) -> usize {
        running.saturating_mul(4).max(512)
    }

    /// The limit per client as the log shows it.
    pub fn shown_per_client(&self) -> usize {
        self.per_client.unwrap_or(self.running)
    }
}

/// A limit that a rule sets for the connection it matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// `MAXCONIP=n`
    pub per_client: Option<usize>,
    /// `MAXCONNET=n/length`
    pub per_network: Option<(usize, u8)>,
}

impl RuleLimits {
    /// Finds the limits among a rule's variables; the second answer is a value that means nothing.
    pub fn read<'a>(
        variables: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> (RuleLimits, Option<&'a [u8]>) {
        let mut limits = RuleLimits::default();
        let mut bad = None;
        for (name, value) in variables {
            let text = std::str::from_utf8(value).unwrap_or_default();
            let understood = match name {
                b"MAXCONIP" => {
                    limits.per_client = text.parse().ok();
                    limits.per_client.is_some()
                }
                b"MAXCONNET" => {
                    limits.per_network = text.split_once('/').and_then(|(most, length)| {
                        Some((most.parse().ok()?, length.parse().ok()?))
                    });
                    limits.per_network.is_some()
                }
                _ => true,
            };
            if !understood {
                bad = Some(value);
            }
        }
        (limits, bad)
    }
}

/// Present connections by client.
#[derive(Default)]
pub struct Census {
    clients: HashMap<Network, usize>,
}

impl Census {
    pub fn enter(&mut self, client: Network) {
        *self.clients.entry(client).or_default() += 1;
    }

    /// Every client that entered leaves once.
    pub fn leave(&mut self, client: Network) {
        if let Some(count) = self.clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&client);
            }
        }
    }

    pub fn of_client(&self, client: Network) -> usize {
        self.clients.get(&client).copied().unwrap_or(0)
    }

    /// How many connections come from the block of that length around an address. Goes through all clients: rules
    /// with MAXCONNET are few, and so are clients compared with what a fork costs.
    pub fn of_network(&self, ip: IpAddr, length: u8) -> usize {
        let network = match ip {
            // Clients are counted by /64; no finer block can be told apart.
            IpAddr::V6(_) => Network::around(ip, length.min(64)),
            IpAddr::V4(_) => Network::around(ip, length),
        };
        let inside = self
            .clients
            .iter()
            .filter(|(client, _)| network.contains(client));
        inside.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Network {
        Network::of_client(text.parse().unwrap())
    }

    #[test]
    fn each_client_has_its_own_count() {
        let mut census = Census::default();
        for _ in 0..3 {
            census.enter(client("192.0.2.1"));
            census.enter(client("192.0.2.2"));
        }
        census.leave(client("192.0.2.1"));
        assert_eq!(census.of_client(client("192.0.2.1")), 2);
        assert_eq!(census.of_client(client("192.0.2.2")), 3);
    }

    #[test]
    fn who_has_left_takes_no_memory() {
        let mut census = Census::default();
        census.enter(client("192.0.2.1"));
        census.leave(client("192.0.2.1"));
        census.leave(client("192.0.2.1"));
        assert!(census.clients.is_empty());
    }

    #[test]
    fn a_network_counts_all_its_clients() {
        let mut census = Census::default();
        for text in [
            "192.0.2.1",
            "192.0.2.1",
            "192.0.2.200",
            "192.0.3.1",
            "2001:db8::1",
        ] {
            census.enter(client(text));
        }
        assert_eq!(census.of_network("192.0.2.7".parse().unwrap(), 24), 3);
        assert_eq!(census.of_network("192.0.2.7".parse().unwrap(), 16), 4);
        assert_eq!(census.of_network("2001:db8::2".parse().unwrap(), 128), 1);
    }

    #[test]
    fn a_rule_sets_limits_and_a_bad_value_is_told() {
        let variables: [(&[u8], &[u8]); 3] =
            [(b"MAXCONIP", b"2"), (b"MAXCONNET", b"10/24"), (b"X", b"y")];
        let (limits, bad) = RuleLimits::read(variables);
        assert_eq!(limits.per_client, Some(2));
        assert_eq!(limits.per_network, Some((10, 24)));
        assert_eq!(bad, None);
        let (limits, bad) = RuleLimits::read([(&b"MAXCONIP"[..], &b"many"[..])]);
        assert_eq!((limits, bad), (RuleLimits::default(), Some(&b"many"[..])));
    }

    #[test]
    fn handshakes_have_room_beside_the_connections() {
        assert_eq!(Limits::unfinished_for(40), 512);
        assert_eq!(Limits::unfinished_for(1000), 4000);
    }
}
