//! The part of a header of version 2 whose length its fixed part tells: addresses and extensions.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Announced, BadHeader, ends};

/// What follows the fixed part of version 2.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// LOCAL, or addresses that nobody can tell: to be passed over whole, whatever it is.
    Opaque,
    Four,
    Six,
    /// A kind of address that is no client's of ours, so many bytes of it.
    Foreign(usize),
}

impl Kind {
    pub(super) fn read(version: u8, family: u8) -> Result<Kind, BadHeader> {
        match version {
            0x20 => return Ok(Kind::Opaque),
            0x21 => {}
            0x22..=0x2f => return Err(BadHeader("unknown command in PROXY header")),
            _ => return Err(BadHeader("unknown version of PROXY header")),
        }
        match family {
            0x00..=0x02 => Ok(Kind::Opaque),
            0x11 => Ok(Kind::Four),
            0x21 => Ok(Kind::Six),
            0x10 | 0x12 => Ok(Kind::Foreign(12)),
            0x20 | 0x22 => Ok(Kind::Foreign(36)),
            0x30..=0x32 => Ok(Kind::Foreign(216)),
            _ => Err(BadHeader("unknown address family in PROXY header")),
        }
    }

    pub(super) fn addresses(self) -> usize {
        match self {
            Kind::Opaque => 0,
            Kind::Four => 12,
            Kind::Six => 36,
            Kind::Foreign(length) => length,
        }
    }

    pub(super) fn parse(self, rest: &[u8]) -> Result<Announced, BadHeader> {
        let short = BadHeader("PROXY header too short for its addresses");
        let (addresses, extensions) = rest.split_at_checked(self.addresses()).ok_or(short)?;
        let mut fields = Fields(addresses);
        let announced = match self {
            Kind::Opaque => return Ok(Announced::Nothing),
            Kind::Foreign(_) => Some(Announced::Nothing),
            Kind::Four => fields.ends(|fields| fields.next().map(Ipv4Addr::from)),
            Kind::Six => fields.ends(|fields| fields.next().map(Ipv6Addr::from)),
        };
        check_extensions(extensions)?;
        announced.ok_or(short)
    }
}

/// Addresses and ports in network order.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn ends<A: Into<IpAddr>>(
        &mut self,
        address: impl Fn(&mut Self) -> Option<A>,
    ) -> Option<Announced> {
        let (remote, local) = (address(self)?.into(), address(self)?.into());
        let remote_port = self.next().map(u16::from_be_bytes)?;
        let local_port = self.next().map(u16::from_be_bytes)?;
        Some(ends((remote, remote_port), (local, local_port)))
    }
}

/// Each extension is a type, a length and as many bytes. What they say is nothing to us, but they must add up.
fn check_extensions(mut bytes: &[u8]) -> Result<(), BadHeader> {
    while !bytes.is_empty() {
        bytes = match *bytes {
            [_, high, low, ref rest @ ..] => {
                rest.get(usize::from(u16::from_be_bytes([high, low]))..)
            }
            _ => None,
        }
        .ok_or(BadHeader("damaged extensions in PROXY header"))?;
    }
    Ok(())
}
