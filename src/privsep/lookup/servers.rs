//! Which name servers are asked: those of DNSCACHEIP, or the system's.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::system_conf;

/// The port of name servers.
pub const PORT: u16 = 53;
const MAX_SERVERS: usize = 16;

/// DNSCACHEIP is not a list of addresses.
#[derive(Debug, PartialEq, Eq)]
pub enum BadServers {
    Address(String),
    Interface(String),
    TooMany,
}

impl fmt::Display for BadServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadServers::Address(word) => write!(
                f,
                "DNSCACHEIP: not an IP address: {word} (addresses with blanks between them are wanted)"
            ),
            BadServers::Interface(word) => write!(
                f,
                "DNSCACHEIP: name servers with an interface are not supported: {word}"
            ),
            BadServers::TooMany => {
                write!(f, "DNSCACHEIP: more than {MAX_SERVERS} addresses")
            }
        }
    }
}

/// Reads DNSCACHEIP: addresses with blanks between them, `192.0.2.53 2001:db8::53`. A port may be there too,
/// `192.0.2.53:5353`, `[2001:db8::53]:5353`. An empty list is the system's.
pub fn parse(text: &str) -> Result<Vec<SocketAddr>, BadServers> {
    let servers: Result<Vec<SocketAddr>, _> = text.split_ascii_whitespace().map(server).collect();
    servers.and_then(|servers| match servers.len() > MAX_SERVERS {
        true => Err(BadServers::TooMany),
        false => Ok(servers),
    })
}

fn server(word: &str) -> Result<SocketAddr, BadServers> {
    if word.contains('%') {
        return Err(BadServers::Interface(word.into()));
    }
    let alone = word.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    alone
        .or_else(|_| word.parse())
        .map_err(|_| BadServers::Address(word.into()))
}

/// The servers and how patient to be with them. Without a list and without /etc/resolv.conf it is the one on this
/// machine, as resolv.conf(5) has it.
pub fn configure(servers: &[SocketAddr]) -> (Vec<NameServerConfig>, ResolverOpts) {
    let (listed, mut options) = match system_conf::read_system_conf() {
        Ok((config, options)) => (config.name_servers().to_vec(), options),
        Err(_) => (
            vec![at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT))],
            ResolverOpts::default(),
        ),
    };
    // No wish of that file may mean not to ask at all.
    options.timeout = options.timeout.max(Duration::from_secs(1));
    let chosen = match servers.is_empty() {
        true => listed,
        false => servers.iter().copied().map(at).collect(),
    };
    (chosen, options)
}

fn at(server: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (server.port(), server.port());
    NameServerConfig::new(server.ip(), true, vec![udp, tcp])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_addresses_with_blanks_between_them() {
        let servers = parse(" 192.0.2.53  2001:db8::53 127.0.0.1:5353 [::1]:5353 ").unwrap();
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let expected = [
            "192.0.2.53:53",
            "[2001:db8::53]:53",
            "127.0.0.1:5353",
            "[::1]:5353",
        ];
        assert_eq!(servers, expected);
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_address_is_named() {
        for word in ["dns.example.org", "192.0.2.1,192.0.2.2", "1.2.3", "::1:x"] {
            let error = parse(&format!("192.0.2.1 {word}")).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(
            parse("fe80::1%eth0"),
            Err(BadServers::Interface("fe80::1%eth0".into()))
        );
        assert_eq!(parse(&"::1 ".repeat(17)), Err(BadServers::TooMany));
    }
}
