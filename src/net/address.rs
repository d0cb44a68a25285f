//! The forms in which an administrator names an address, and the addresses by which clients are counted.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    pub ip: IpAddr,
    /// One IPv6 socket for both families.
    pub dual: bool,
}

/// `-4` and `-6`: which addresses of a name count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

#[derive(Debug, PartialEq, Eq)]
pub enum HostError {
    /// The resolver's words.
    Unresolved(String),
    NoAddress,
}

impl BindAddress {
    /// `0`: all of IPv4; `::`: all of IPv6; `:0`: both; a literal; or a name, of which the first address of the
    /// wanted family counts.
    pub fn parse(host: &str, family: Option<Family>) -> Result<BindAddress, HostError> {
        let single = |ip: IpAddr| BindAddress {
            ip: ip.to_canonical(),
            dual: false,
        };
        match host {
            "0" => return Ok(single(Ipv4Addr::UNSPECIFIED.into())),
            ":0" => {
                return Ok(BindAddress {
                    ip: Ipv6Addr::UNSPECIFIED.into(),
                    dual: true,
                });
            }
            _ => {}
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(single(ip));
        }
        if is_mistyped(host) {
            return Err(HostError::NoAddress);
        }
        let fits = |ip: &IpAddr| match family {
            None => true,
            Some(Family::V4) => ip.is_ipv4(),
            Some(Family::V6) => ip.is_ipv6(),
        };
        let found = (host, 0).to_socket_addrs();
        found
            .map_err(|error| HostError::Unresolved(error.to_string()))?
            .map(|address| address.ip())
            .find(fits)
            .map(single)
            .ok_or(HostError::NoAddress)
    }
}

/// A number with dots that is no address is a slip of the pen, not a name: no resolver shall guess.
pub fn is_mistyped(host: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    host.bytes().all(is_part) && host.parse::<IpAddr>().is_err()
}

/// A block of addresses, `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    ip: IpAddr,
    length: u8,
}

impl Network {
    /// The block of that many leading bits around an address; a length beyond the address is the address alone.
    pub fn around(ip: IpAddr, length: u8) -> Network {
        match ip {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Network {
                    ip: Ipv4Addr::from_bits(v4.to_bits() & mask).into(),
                    length,
                }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Network {
                    ip: Ipv6Addr::from_bits(v6.to_bits() & mask).into(),
                    length,
                }
            }
        }
    }

    /// `192.0.2.0/24`, or an address alone.
    pub fn parse(text: &str) -> Option<Network> {
        let (ip, length) = match text.split_once('/') {
            Some((ip, length)) => (ip, Some(length.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(most);
        (length <= most).then(|| Network::around(ip, length))
    }

    /// Whom a limit per address means: one IPv4 address, or the /64 that a single IPv6 customer has.
    pub fn of_client(ip: IpAddr) -> Network {
        match ip {
            IpAddr::V4(_) => Network::around(ip, 32),
            IpAddr::V6(_) => Network::around(ip, 64),
        }
    }

    /// True if all of `other` lies in this block.
    pub fn contains(&self, other: &Network) -> bool {
        self.length <= other.length && Network::around(other.ip, self.length) == *self
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_of_a_host_has_its_address() {
        for (host, address, dual) in [
            ("0", "0.0.0.0", false),
            ("::", "::", false),
            (":0", "::", true),
            ("127.0.0.1", "127.0.0.1", false),
            ("::ffff:127.0.0.1", "127.0.0.1", false),
            ("::1", "::1", false),
        ] {
            let expected = BindAddress {
                ip: ip(address),
                dual,
            };
            assert_eq!(BindAddress::parse(host, None), Ok(expected), "{host}");
        }
    }

    #[test]
    fn what_only_looks_like_an_address_is_no_address() {
        for host in ["300.1.1.1", "1.2.3", "127.0.0.1.", "1"] {
            assert_eq!(BindAddress::parse(host, None), Err(HostError::NoAddress));
        }
    }

    #[test]
    fn a_name_gives_its_first_address_of_the_wanted_family() {
        let address = BindAddress::parse("localhost", Some(Family::V4)).unwrap();
        assert_eq!(address.ip, ip("127.0.0.1"));
    }

    #[test]
    fn a_network_is_read_as_it_is_written() {
        for text in ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Network::parse("127.0.0.1").unwrap().to_string(),
            "127.0.0.1/32"
        );
        for text in ["", "x", "192.0.2.0/33", "192.0.2.0/", "::1/129", "1.2.3/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn neighbours_in_a_slash_64_are_one_client() {
        let one = Network::of_client(ip("2001:db8::1"));
        assert_eq!(one, Network::of_client(ip("2001:db8::ffff:1")));
        assert_ne!(one, Network::of_client(ip("2001:db8:0:1::1")));
        assert_ne!(
            Network::of_client(ip("192.0.2.1")),
            Network::of_client(ip("192.0.2.2"))
        );
    }

    #[test]
    fn a_network_contains_its_clients_and_no_other() {
        let network = Network::around(ip("192.0.2.77"), 24);
        assert_eq!(network.to_string(), "192.0.2.0/24");
        assert!(network.contains(&Network::of_client(ip("192.0.2.1"))));
        assert!(!network.contains(&Network::of_client(ip("192.0.3.1"))));
        assert!(Network::around(ip("::1"), 0).contains(&Network::of_client(ip("2001:db8::1"))));
    }
}
