//! The names that the administrator gave in /etc/hosts. They count before the DNS, and were read before the root
//! changed.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::IpAddr;

use hickory_resolver::proto::rr::Name;

const FILE: &str = "/etc/hosts";

#[derive(Default)]
pub struct Hosts {
    /// The first name of the first line of each address.
    names: HashMap<IpAddr, Name>,
    addresses: HashMap<Name, Vec<IpAddr>>,
}

impl Hosts {
    /// A file that is not there has no names.
    pub fn read() -> Hosts {
        let bytes = std::fs::read(FILE).unwrap_or_default();
        Hosts::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Hosts {
        let mut hosts = Hosts::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            let ip = ip.to_canonical();
            for mut name in words.filter_map(|word| Name::from_ascii(word).ok()) {
                name.set_fqdn(true);
                hosts.names.entry(ip).or_insert_with(|| name.clone());
                hosts.addresses.entry(name).or_default().push(ip);
            }
        }
        hosts
    }

    pub fn name(&self, ip: IpAddr) -> Option<&Name> {
        self.names.get(&ip)
    }

    /// `None`: the file does not know the name.
    pub fn addresses(&self, name: &Name) -> Option<&[IpAddr]> {
        self.addresses.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# comment\n127.0.0.1 localhost box # more\n::1\tlocalhost\n\n\
                        ::ffff:192.0.2.1 Mail.example.org mail\n192.0.2.1 other\nnonsense x\n192.0.2.9\n";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_name_of_an_address_counts() {
        let hosts = Hosts::parse(TEXT);
        let name = |ip: IpAddr| hosts.name(ip).map(Name::to_string);
        assert_eq!(name(ip("127.0.0.1")).as_deref(), Some("localhost."));
        assert_eq!(name(ip("192.0.2.1")).as_deref(), Some("Mail.example.org."));
        assert_eq!(name(ip("192.0.2.9")), None);
    }

    #[test]
    fn a_name_has_all_its_addresses_however_it_is_written() {
        let hosts = Hosts::parse(TEXT);
        let addresses = |name: &str| hosts.addresses(&Name::from_ascii(name).unwrap());
        assert_eq!(
            addresses("LOCALHOST."),
            Some(&[ip("127.0.0.1"), ip("::1")][..])
        );
        assert_eq!(addresses("nowhere."), None);
    }
}
