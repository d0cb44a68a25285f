//! What the resolver answers. Its questions it has from its parent's memory.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{MAX_TEXT, clip};
use crate::privsep::channel::{Message, Reader, Writer};

/// The most addresses of one name.
pub const MAX_ADDRESSES: usize = 64;

/// Resolver to parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The place of the name in the list of questions.
    pub place: u16,
    /// At least one; or the resolver's words.
    pub addresses: Result<Vec<IpAddr>, String>,
}

impl Message for Resolved {
    const MAX: usize = 16 + MAX_TEXT + 17 * MAX_ADDRESSES;

    fn encode(&self, out: &mut Writer) {
        out.short(self.place);
        match &self.addresses {
            Err(reason) => {
                out.byte(b'F');
                out.string(clip(reason));
            }
            Ok(addresses) => {
                out.byte(b'A');
                for address in addresses {
                    match address {
                        IpAddr::V4(four) => out.string(&four.octets()),
                        IpAddr::V6(six) => out.string(&six.octets()),
                    }
                }
                out.string(b"");
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let place = input.short()?;
        let addresses = match input.byte()? {
            b'F' => Err(input.text()?),
            b'A' => Ok(addresses(input)?),
            _ => return None,
        };
        Some(Resolved { place, addresses })
    }
}

fn addresses(input: &mut Reader<'_>) -> Option<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    loop {
        let bytes = input.string()?;
        if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            addresses.push(Ipv4Addr::from(four).into());
        } else if let Ok(six) = <[u8; 16]>::try_from(bytes) {
            addresses.push(Ipv6Addr::from(six).into());
        } else {
            return (bytes.is_empty() && !addresses.is_empty()).then_some(addresses);
        }
        if addresses.len() > MAX_ADDRESSES {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privsep::message::ResolverToParent;

    /// What arrives of an answer.
    fn sent(addresses: Result<Vec<IpAddr>, String>) -> Option<Resolved> {
        let (resolver, parent) = ResolverToParent::pair().unwrap();
        let place = 65535;
        resolver.send(&Resolved { place, addresses }, &[]).unwrap();
        parent.receive().ok().map(|(message, _)| message)
    }

    #[test]
    fn an_answer_arrives_as_it_was_given() {
        let both = vec![[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()];
        let most = vec![Ipv6Addr::LOCALHOST.into(); MAX_ADDRESSES];
        for addresses in [Ok(both), Ok(most), Err("no such name".into())] {
            let expected = Resolved {
                place: 65535,
                addresses: addresses.clone(),
            };
            assert_eq!(sent(addresses), Some(expected));
        }
    }

    #[test]
    fn an_answer_without_addresses_or_with_too_many_ends_the_channel() {
        assert_eq!(sent(Ok(Vec::new())), None);
        let many = vec![Ipv4Addr::LOCALHOST.into(); MAX_ADDRESSES + 1];
        assert_eq!(sent(Ok(many)), None);
    }
}
