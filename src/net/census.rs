//! Counting the present connections of each client.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::IpAddr;

use crate::net::address::Network;

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
}
