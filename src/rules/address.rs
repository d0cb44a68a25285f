//! The address before a rule's colon: which keys it becomes, and whether a
//! client can ever have one of them.

#![forbid(unsafe_code)]

use super::key;
use super::language::{Mistake, until};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Keys, and why no client can have any of them if that is so.
pub(super) type Keys = (Vec<Vec<u8>>, Option<Pointless>);

pub(super) fn parse(address: &[u8]) -> Result<Keys, Mistake> {
    if address.contains(&b'=') {
        Ok((vec![address.to_vec()], doubt_host(address)))
    } else if let Some(at) = address.iter().rposition(|byte| *byte == b'@') {
        let (user, ip) = address.split_at(at + 1);
        parse_user(user, ip)
    } else if address.contains(&b':') {
        parse_ipv6(address)
    } else if address.contains(&b'/') {
        parse_ipv4_network(address)
    } else if address.contains(&b'-') {
        parse_range(address)
    } else if key::has_network_mark(address) {
        // Would be stored as what the file uses for networks.
        Err(Mistake::Line)
    } else {
        Ok((vec![address.to_vec()], doubt_ipv4(address)))
    }
}

/// `=host`, `=.domain`, `=`, `user@=host`; stored as they are.
fn doubt_host(address: &[u8]) -> Option<Pointless> {
    let host = if let Some(host) = address.strip_prefix(b"=") {
        host
    } else {
        let at = address.windows(2).position(|two| two == b"@=");
        match at.map(|at| &address[at + 2..]) {
            None | Some(b"") => return Some(Pointless::NotAHost),
            Some(host) => host,
        }
    };
    let upper = host.iter().any(u8::is_ascii_uppercase);
    upper.then_some(Pointless::UpperCaseHost)
}

fn parse_user(user: &[u8], ip: &[u8]) -> Result<Keys, Mistake> {
    if ip.contains(&b':') && !ip.contains(&b'/') {
        let ip: Ipv6Addr = parse_text(ip).ok_or(Mistake::Ipv6Address)?;
        let expanded = key::address(ip.into());
        let doubt = ip.to_ipv4_mapped().map(|_| Pointless::MappedAddress);
        return Ok((vec![[user, expanded.as_bytes()].concat()], doubt));
    }
    let whole = parse_text::<Ipv4Addr>(ip).is_some();
    let doubt = (!whole).then_some(Pointless::UserWithoutAddress);
    Ok((vec![[user, ip].concat()], doubt))
}

fn parse_ipv6(address: &[u8]) -> Result<Keys, Mistake> {
    let (ip, key) = if let Some((ip, len)) = until(address, b'/') {
        let len = parse_prefix_length(len, 128)?;
        let ip: Ipv6Addr = parse_text(ip).ok_or(Mistake::Ipv6Network)?;
        let within_mapped = ip.to_ipv4_mapped().filter(|_| len >= 96);
        (within_mapped, key::network(ip.into(), len))
    } else {
        let ip: Ipv6Addr = parse_text(address).ok_or(Mistake::Ipv6Address)?;
        (ip.to_ipv4_mapped(), key::address(ip.into()))
    };
    let doubt = ip.map(|_| Pointless::MappedAddress);
    Ok((vec![key.as_bytes().to_vec()], doubt))
}

/// `10.1.2.3/24`; octets at the end may be left out: `127./8`, `127/8`.
fn parse_ipv4_network(address: &[u8]) -> Result<Keys, Mistake> {
    let (ip, len) = until(address, b'/').ok_or(Mistake::Ipv4Network)?;
    let len = parse_prefix_length(len, 32)?;
    let ip = match ip.strip_suffix(b".") {
        Some(shorter) if octet_count(shorter) < 4 => shorter,
        _ => ip,
    };
    let missing = 4usize.checked_sub(octet_count(ip));
    let whole = [ip, &b".0".repeat(missing.ok_or(Mistake::Ipv4Network)?)].concat();
    let ip: Ipv4Addr = parse_text(&whole).ok_or(Mistake::Ipv4Network)?;
    let key = key::network(IpAddr::V4(ip), len);
    Ok((vec![key.as_bytes().to_vec()], None))
}

/// `1.2.3.4-7`, `10-12.`, `127.0-5.`: a record for each number up to 255.
fn parse_range(address: &[u8]) -> Result<Keys, Mistake> {
    let (left, right) = until(address, b'-').ok_or(Mistake::Line)?;
    let start = left.iter().rposition(|byte| *byte == b'.');
    let (before, first) = left.split_at(start.map_or(0, |dot| dot + 1));
    let end = right.iter().position(|byte| *byte == b'.');
    let (last, after) = right.split_at(end.unwrap_or(right.len()));
    let range = parse_number(first)?..=parse_number(last)?.min(255);
    let keys: Vec<_> = range
        .map(|number| [before, number.to_string().as_bytes(), after].concat())
        .collect();
    let doubt = keys
        .first()
        .map_or(Some(Pointless::EmptyRange), |key| doubt_ipv4(key));
    Ok((keys, doubt))
}

/// Without a mark of another form only `1.2.3.4`, `1.2.3.`, `1.2.`, `1.` and
/// the empty address are ever looked up.
fn doubt_ipv4(address: &[u8]) -> Option<Pointless> {
    let whole = match address.strip_suffix(b".") {
        Some(prefix) if octet_count(prefix) < 4 => {
            [prefix, &b".0".repeat(4 - octet_count(prefix))].concat()
        }
        _ => address.to_vec(),
    };
    let good = address.is_empty() || parse_text::<Ipv4Addr>(&whole).is_some();
    (!good).then_some(Pointless::NotAnAddress)
}

fn octet_count(ip: &[u8]) -> usize {
    1 + ip.iter().filter(|byte| **byte == b'.').count()
}

fn parse_prefix_length(text: &[u8], longest: u8) -> Result<u8, Mistake> {
    let len = parse_number(text).map_err(|_| Mistake::PrefixLength)?;
    let len = u8::try_from(len).map_err(|_| Mistake::PrefixLength)?;
    if len > longest {
        return Err(Mistake::PrefixLength);
    }
    Ok(len)
}

/// Digits alone: std would take a sign as well.
fn parse_number(text: &[u8]) -> Result<u32, Mistake> {
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(Mistake::Line);
    }
    parse_text(text).ok_or(Mistake::Line)
}

fn parse_text<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// Why a rule can never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointless {
    NotAnAddress,
    EmptyRange,
    NotAHost,
    UpperCaseHost,
    UserWithoutAddress,
    MappedAddress,
}

impl fmt::Display for Pointless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pointless::NotAnAddress => "neither an IPv4 address nor a prefix that ends in a dot",
            Pointless::EmptyRange => "the range is empty",
            Pointless::NotAHost => "a host begins with = and a user's host with @=",
            Pointless::UpperCaseHost => "host names are looked up in lower case",
            Pointless::UserWithoutAddress => "a user needs a whole IP address or a host",
            Pointless::MappedAddress => "IPv4 clients are looked up in dotted form",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(address: &str) -> Vec<String> {
        let (keys, _) = parse(address.as_bytes()).unwrap();
        let keys = keys.into_iter();
        keys.map(|key| String::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn ranges_become_one_key_per_number() {
        assert_eq!(
            keys("1.2.3.4-7"),
            ["1.2.3.4", "1.2.3.5", "1.2.3.6", "1.2.3.7"]
        );
        assert_eq!(keys("10-12."), ["10.", "11.", "12."]);
        assert_eq!(keys("127.0-1."), ["127.0.", "127.1."]);
        assert_eq!(keys("1.2-4"), ["1.2", "1.3", "1.4"]);
        assert_eq!(keys("1.2.3.254-999"), ["1.2.3.254", "1.2.3.255"]);
        assert!(keys("1.2.3.7-4").is_empty());
    }

    #[test]
    fn users_hosts_and_ipv6_keep_their_forms() {
        assert_eq!(keys("joe@1.2.3.4"), ["joe@1.2.3.4"]);
        assert_eq!(
            keys("joe@::1"),
            ["joe@0000:0000:0000:0000:0000:0000:0000:0001"]
        );
        assert_eq!(
            keys("2001:DB8::a"),
            ["2001:0DB8:0000:0000:0000:0000:0000:000A"]
        );
        for same in ["joe@=host.example", "=a-b.example", "=.example", "=", ""] {
            assert_eq!(keys(same), [same]);
        }
    }

    #[test]
    fn networks_may_leave_out_octets_and_may_have_no_bits_at_all() {
        for same in ["127.0.0.0/8", "127.1.2.3/8", "127./8", "127/8"] {
            assert_eq!(keys(same), ["_0bcdefgh"]);
        }
        assert_eq!(keys("0.0.0.0/0"), ["_"]);
        assert_eq!(keys("::/0"), ["^"]);
        assert_eq!(keys("8000::/1"), ["^`"]);
    }

    #[test]
    fn rules_that_no_client_can_meet_are_known() {
        for (address, reason) in [
            ("256.1.1.1", Pointless::NotAnAddress),
            ("01.2.3.4", Pointless::NotAnAddress),
            (" 1.2.3.4", Pointless::NotAnAddress),
            ("1.2.3", Pointless::NotAnAddress),
            ("1.2.3.4.", Pointless::NotAnAddress),
            ("1.2-4", Pointless::NotAnAddress),
            ("1-2.3-4.", Pointless::NotAnAddress),
            ("foo", Pointless::NotAnAddress),
            (".", Pointless::NotAnAddress),
            ("1.2.3.7-4", Pointless::EmptyRange),
            ("foo=bar", Pointless::NotAHost),
            ("joe@=", Pointless::NotAHost),
            ("=Host.example", Pointless::UpperCaseHost),
            ("joe@10.0.0.0/8", Pointless::UserWithoutAddress),
            ("joe@2001:db8::/32", Pointless::UserWithoutAddress),
            ("joe@1.2.3.", Pointless::UserWithoutAddress),
            ("::ffff:1.2.3.4", Pointless::MappedAddress),
            ("::ffff:1.2.3.0/120", Pointless::MappedAddress),
        ] {
            assert_eq!(
                parse(address.as_bytes()).unwrap().1,
                Some(reason),
                "{address}"
            );
        }
        for address in [
            "",
            "1.2.3.4",
            "1.",
            "1.2.",
            "1.2.3.",
            "1.2.3.4-7",
            "10-12.",
            "127./8",
            "::1",
            "::/0",
            "::/95",
            "=",
            "=host",
            "=.example",
            "joe@=host",
            "joe@1.2.3.4",
            "joe@::1",
        ] {
            assert_eq!(parse(address.as_bytes()).unwrap().1, None, "{address}");
        }
    }
}
