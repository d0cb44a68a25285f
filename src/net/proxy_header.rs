//! The header by which a proxy announces the addresses of the client it speaks for: PROXY protocol, versions 1 and 2.
//!
//! What follows the header is the client's and must stay where it is, so the parser is fed with bytes that are only
//! looked at yet, and says how many of them it took.
#![forbid(unsafe_code)]

mod binary;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use self::binary::Kind;

/// The longest line of version 1.
const MAX_LINE: usize = 107;
/// Before the part of version 2 whose length the header tells, and the most of that.
const FIXED: usize = 16;
const MAX_REST: usize = 2048;
/// As many bytes as any header has.
pub const MAX_HEADER: usize = FIXED + MAX_REST;

const LINE: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// The proxy speaks for itself (LOCAL) or will not or cannot say for whom: the connection's own addresses count.
    Nothing,
    /// Addresses of the client and of the server that it called, IPv4 as IPv4.
    Ends {
        remote: SocketAddr,
        local: SocketAddr,
    },
}

/// What is wrong with a header, in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHeader(&'static str);

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Collects a header until it is whole.
#[derive(Default)]
pub struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    /// Goes on with the bytes that come next. The number says how many of them belong to the header: all, unless it
    /// is whole. Wrong bytes are found as soon as they are there, not when there are enough for a header.
    pub fn take(&mut self, upcoming: &[u8]) -> Result<(usize, Option<Announced>), BadHeader> {
        for (index, &byte) in upcoming.iter().enumerate() {
            self.bytes.push(byte);
            let whole = match self.bytes[0] {
                b'P' => self.line()?,
                _ => self.binary()?,
            };
            if whole.is_some() {
                return Ok((index + 1, whole));
            }
        }
        Ok((upcoming.len(), None))
    }

    /// The header as it came, for somebody else who reads such headers: what it says that is nothing to us is in
    /// there too.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// True if not even a first byte has come.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn line(&self) -> Result<Option<Announced>, BadHeader> {
        let bytes = &self.bytes[..];
        begins(bytes, LINE)?;
        match bytes.last() {
            Some(b'\n') => match bytes[LINE.len()..].strip_suffix(b"\r\n") {
                Some(fields) => parse_line(fields).map(Some),
                None => Err(BadHeader("PROXY line without CR")),
            },
            _ if bytes.len() >= MAX_LINE => Err(BadHeader("PROXY line too long")),
            _ => Ok(None),
        }
    }

    fn binary(&self) -> Result<Option<Announced>, BadHeader> {
        let bytes = &self.bytes[..];
        begins(bytes, SIGNATURE)?;
        let Some(&[.., version, family, high, low]) = bytes.get(..FIXED) else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let kind = Kind::read(version, family)?;
        if length > MAX_REST {
            return Err(BadHeader("PROXY header too long"));
        }
        if length < kind.addresses() {
            return Err(BadHeader("PROXY header too short for its addresses"));
        }
        let rest = &bytes[FIXED..];
        match rest.len() < length {
            true => Ok(None),
            false => kind.parse(rest).map(Some),
        }
    }
}

/// All bytes so far are those that every such header begins with.
fn begins(bytes: &[u8], with: &[u8]) -> Result<(), BadHeader> {
    match bytes.iter().zip(with).all(|(byte, wanted)| byte == wanted) {
        true => Ok(()),
        false => Err(BadHeader("no PROXY header")),
    }
}

/// `TCP4 192.0.2.1 192.0.2.2 56324 443`, without what comes before and after it.
fn parse_line(fields: &[u8]) -> Result<Announced, BadHeader> {
    let text = std::str::from_utf8(fields).unwrap_or_default();
    let mut fields = text.split(' ');
    let family = fields.next();
    if family == Some("UNKNOWN") {
        return Ok(Announced::Nothing);
    }
    let addresses = [fields.next(), fields.next()];
    let ports = [fields.next(), fields.next()];
    let [remote, local] = match family {
        Some("TCP4") => addresses.map(|text| text?.parse::<Ipv4Addr>().ok().map(IpAddr::from)),
        Some("TCP6") => addresses.map(|text| text?.parse::<Ipv6Addr>().ok().map(IpAddr::from)),
        _ => return Err(BadHeader("unknown protocol in PROXY line")),
    };
    let (Some(remote), Some(local)) = (remote, local) else {
        return Err(BadHeader("bad address in PROXY line"));
    };
    let [Some(remote_port), Some(local_port)] = ports.map(|text| port(text?)) else {
        return Err(BadHeader("bad port in PROXY line"));
    };
    match fields.next() {
        Some(_) => Err(BadHeader("too much in PROXY line")),
        None => Ok(ends((remote, remote_port), (local, local_port))),
    }
}

/// `str::parse` would let a sign pass.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 5;
    text.parse().ok().filter(|_| plain)
}

fn ends(remote: (IpAddr, u16), local: (IpAddr, u16)) -> Announced {
    let address = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
    Announced::Ends {
        remote: address(remote),
        local: address(local),
    }
}

#[cfg(test)]
mod tests;
