//! The keys of addresses: how they stand in the file, byte for byte, and how
//! those of networks are shown again to people.
//!
//! A network's key has one byte per bit of its prefix. What a one becomes is not
//! the same for both families: in IPv4 it depends on the bit's position, in IPv6
//! on how many ones stand before it.

#![forbid(unsafe_code)]

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V4_MARK: u8 = b'_';
const V6_MARK: u8 = b'^';
const ZERO: u8 = b'0';
const V4_ONES: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz123456";
const V6_FIRST_ONE: u8 = 0x60;

/// A key on the stack: a look-up makes several and must not allocate.
pub struct Key {
    bytes: [u8; 129],
    len: usize,
}

impl Key {
    fn new() -> Key {
        Key {
            bytes: [0; 129],
            len: 0,
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(free) = self.bytes.get_mut(self.len) {
            *free = byte;
            self.len += 1;
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The key of one address: dotted, or all 32 digits of IPv6 in upper case.
pub fn address(ip: IpAddr) -> Key {
    let mut key = Key::new();
    let mut free = &mut key.bytes[..];
    // Neither text is longer than the buffer.
    let _ = match ip {
        IpAddr::V4(ip) => write!(free, "{ip}"),
        IpAddr::V6(ip) => write_expanded(&mut free, ip),
    };
    key.len = 129 - free.len();
    key
}

fn write_expanded(to: &mut impl Write, ip: Ipv6Addr) -> std::io::Result<()> {
    let [first, rest @ ..] = ip.segments();
    write!(to, "{first:04X}")?;
    rest.iter().try_for_each(|group| write!(to, ":{group:04X}"))
}

/// The key of the network of the first `len` bits.
pub fn network(ip: IpAddr, len: u8) -> Key {
    let mut key = Key::new();
    match ip {
        IpAddr::V4(ip) => {
            key.push(V4_MARK);
            let bits = ip.to_bits();
            for (position, one) in V4_ONES.iter().enumerate().take(len.into()) {
                let set = bits << position >> 31 == 1;
                key.push(if set { *one } else { ZERO });
            }
        }
        IpAddr::V6(ip) => {
            key.push(V6_MARK);
            let bits = ip.to_bits();
            let mut one = V6_FIRST_ONE;
            for position in 0..len.min(128) {
                if bits << position >> 127 == 1 {
                    key.push(one);
                    one += 1;
                } else {
                    key.push(ZERO);
                }
            }
        }
    }
    key
}

/// True of what would pass for the key of a network.
pub fn has_network_mark(key: &[u8]) -> bool {
    matches!(key.first(), Some(&V4_MARK | &V6_MARK))
}

/// A key for people: networks as an address and a length, all else as it is.
pub fn describe(key: &[u8]) -> Vec<u8> {
    let shown = match key.split_first() {
        Some((&V4_MARK, bits)) => describe_v4(bits),
        Some((&V6_MARK, bits)) => describe_v6(bits),
        _ => None,
    };
    shown.map_or_else(|| key.to_vec(), String::into_bytes)
}

/// Only the octets that the prefix touches: `10./8`, `192.168.1.1/32`.
fn describe_v4(bits: &[u8]) -> Option<String> {
    let mut address = 0u32;
    for (position, bit) in bits.iter().enumerate() {
        if bit == V4_ONES.get(position)? {
            address |= 1 << (31 - position);
        } else if *bit != ZERO {
            return None;
        }
    }
    let touched = bits.len().div_ceil(8).max(1);
    let mut text = String::new();
    for octet in &Ipv4Addr::from_bits(address).octets()[..touched] {
        text += &format!("{octet}.");
    }
    if touched == 4 {
        text.pop();
    }
    Some(format!("{text}/{}", bits.len()))
}

fn describe_v6(bits: &[u8]) -> Option<String> {
    if bits.len() > 128 {
        return None;
    }
    let mut address = 0u128;
    let mut one = V6_FIRST_ONE;
    for (position, bit) in bits.iter().enumerate() {
        if *bit == one {
            address |= 1 << (127 - position);
            one += 1;
        } else if *bit != ZERO {
            return None;
        }
    }
    Some(format!("{}/{}", Ipv6Addr::from_bits(address), bits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network_key(ip: &str, len: u8) -> Vec<u8> {
        network(ip.parse().unwrap(), len).as_bytes().to_vec()
    }

    #[test]
    fn networks_become_the_bytes_that_the_original_writes() {
        for (ip, len, key) in [
            ("127.0.0.0", 8, "_0bcdefgh"),
            ("10.1.2.3", 24, "_0000e0g00000000p000000w0"),
            ("1.2.3.4", 32, "_0000000h000000o0000000wx00000400"),
            ("255.255.255.255", 32, "_abcdefghijklmnopqrstuvwxyz123456"),
            ("0.0.0.0", 1, "_0"),
            ("1.2.3.4", 0, "_"),
            ("2001:db8::", 32, "^00`000000000000a0000bc0de0fgh000"),
            ("8000::", 1, "^`"),
            ("::", 0, "^"),
        ] {
            assert_eq!(network_key(ip, len), key.as_bytes(), "{ip}/{len}");
        }
        let all = network_key("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128);
        assert_eq!((all.len(), all[128]), (129, 0xdf));
    }

    #[test]
    fn single_addresses_are_dotted_or_expanded_in_upper_case() {
        let key = |ip: &str| address(ip.parse().unwrap()).as_bytes().to_vec();
        assert_eq!(key("192.168.100.200"), b"192.168.100.200");
        assert_eq!(
            key("2001:db8::abcd"),
            b"2001:0DB8:0000:0000:0000:0000:0000:ABCD"
        );
    }

    #[test]
    fn networks_are_shown_with_the_octets_they_touch() {
        for (ip, len, shown) in [
            ("10.1.2.3", 8, "10./8"),
            ("10.1.2.3", 16, "10.1./16"),
            ("10.1.16.3", 20, "10.1.16./20"),
            ("192.168.1.1", 32, "192.168.1.1/32"),
            ("192.168.1.1", 0, "0./0"),
            ("2001:db8::1", 32, "2001:db8::/32"),
            ("2001:db8::1", 0, "::/0"),
        ] {
            assert_eq!(describe(&network_key(ip, len)), shown.as_bytes());
        }
        for other in [
            "",
            "=host",
            "_b",
            "^a",
            "_000000000000000000000000000000000",
        ] {
            assert_eq!(describe(other.as_bytes()), other.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_network_can_be_read_back(bits in any::<u128>(), len in 0u8..=128) {
            let kept = if len == 0 { 0 } else { bits >> (128 - len) << (128 - len) };
            let shown = format!("{}/{len}", Ipv6Addr::from_bits(kept));
            let key = network(IpAddr::V6(Ipv6Addr::from_bits(bits)), len);
            prop_assert_eq!(describe(key.as_bytes()), shown.into_bytes());
        }

        #[test]
        fn showing_a_key_never_panics(key in any::<Vec<u8>>()) {
            describe(&[b"_", &key[..]].concat());
            describe(&[b"^", &key[..]].concat());
        }
    }
}
