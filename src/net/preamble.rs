//! What a backend is told before the client's first byte: the client's address, or a PROXY header of version 1 or 2
//! (the HAProxy project's "PROXY protocol") with what TLS found out.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A header of version 2 tells the length of what follows its first 16 bytes in two bytes.
const MOST: usize = u16::MAX as usize;
/// Type and length in front of each extension of version 2.
const EXTENSION: usize = 3;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, and the sender speaks for somebody else.
const PROXIED: u8 = 0x21;
/// TCP over each family.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const TLS: u8 = 0x20;
const TLS_VERSION: u8 = 0x21;
const TLS_CIPHER: u8 = 0x23;
/// Of the range that everybody may use as he likes: hitch's number for the client's certificate.
const CERTIFICATE: u8 = 0xe0;

/// Flags of the TLS extension.
const OVER_TLS: u8 = 0x01;
const SHOWN_NOW: u8 = 0x02;
const SHOWN_IN_SESSION: u8 = 0x04;
/// What stands in place of a verdict when there was nothing to judge.
const NOTHING_SHOWN: u32 = 1;

/// The client and the address it reached us at, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Four(SocketAddrV4, SocketAddrV4),
    Six(SocketAddrV6, SocketAddrV6),
}

/// What TLS found out and the backend is to know; the rest is left away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The protocol that was agreed on.
    pub alpn: Option<&'a [u8]>,
    /// The name that the client asked for, as it sent it.
    pub authority: Option<&'a [u8]>,
    /// The client's certificate in plain PEM. One that is too long for the header is left away.
    pub certificate: Option<&'a str>,
    pub session: Option<Session<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// `TLSv1.3`
    pub version: &'a str,
    /// In OpenSSL's spelling.
    pub cipher: &'a str,
    pub client: Client,
}

/// Whether the client showed a certificate, and the library's code for what it is worth: 0 is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Unknown,
    /// On this connection.
    Shown(u32),
    /// On the one whose session this connection resumes.
    Resumed(u32),
}

impl Ends {
    /// IPv4 in the clothing of IPv6, from a socket for both families, is announced as IPv4: nobody who reads a TCP6
    /// header expects it there, and some refuse it. The kernel gives both ends of a connection one family; a pair that
    /// is mixed all the same has only IPv6 to be told in.
    pub fn new(client: SocketAddr, local: SocketAddr) -> Ends {
        let six = |address: SocketAddr| match address {
            SocketAddr::V4(four) => {
                SocketAddrV6::new(four.ip().to_ipv6_mapped(), four.port(), 0, 0)
            }
            SocketAddr::V6(six) => six,
        };
        match [client, local].map(|end| (end.ip().to_canonical(), end.port())) {
            [(IpAddr::V4(client), from), (IpAddr::V4(local), to)] => Ends::Four(
                SocketAddrV4::new(client, from),
                SocketAddrV4::new(local, to),
            ),
            _ => Ends::Six(six(client), six(local)),
        }
    }

    /// `--write-ip`: the number of the client's family on this system, and its address in network order.
    pub fn address(&self) -> Vec<u8> {
        match self {
            Ends::Four(client, _) => [&[libc::AF_INET as u8][..], &client.ip().octets()].concat(),
            Ends::Six(client, _) => [&[libc::AF_INET6 as u8][..], &client.ip().octets()].concat(),
        }
    }

    /// PROXY version 1.
    pub fn line(&self) -> Vec<u8> {
        let (family, client, local): (_, IpAddr, IpAddr) = match self {
            Ends::Four(client, local) => ("TCP4", (*client.ip()).into(), (*local.ip()).into()),
            Ends::Six(client, local) => ("TCP6", (*client.ip()).into(), (*local.ip()).into()),
        };
        let [from, to] = self.ports();
        format!("PROXY {family} {client} {local} {from} {to}\r\n").into_bytes()
    }

    /// PROXY version 2.
    pub fn binary(&self, facts: &Facts) -> Vec<u8> {
        let (family, mut rest) = match self {
            Ends::Four(client, local) => {
                (TCP4, [client.ip().octets(), local.ip().octets()].concat())
            }
            Ends::Six(client, local) => {
                (TCP6, [client.ip().octets(), local.ip().octets()].concat())
            }
        };
        rest.extend(self.ports().map(u16::to_be_bytes).concat());
        // Of all of it only the certificate can be long: it gets the room that the others leave.
        let mut tail = Vec::new();
        if let Some(session) = &facts.session {
            extend(&mut tail, TLS, &session.encode(), 0);
        }
        extend_if(&mut rest, ALPN, facts.alpn, tail.len());
        extend_if(&mut rest, AUTHORITY, facts.authority, tail.len());
        let certificate = facts.certificate.map(as_trusted);
        let certificate = certificate.as_deref().map(str::as_bytes);
        extend_if(&mut rest, CERTIFICATE, certificate, tail.len());
        rest.extend(tail);
        let length = (rest.len() as u16).to_be_bytes();
        [SIGNATURE, &[PROXIED, family], &length, &rest].concat()
    }

    fn ports(&self) -> [u16; 2] {
        match self {
            Ends::Four(client, local) => [client.port(), local.port()],
            Ends::Six(client, local) => [client.port(), local.port()],
        }
    }
}

impl Session<'_> {
    fn encode(&self) -> Vec<u8> {
        let (flags, verdict) = match self.client {
            Client::Unknown => (OVER_TLS, NOTHING_SHOWN),
            Client::Shown(verdict) => (OVER_TLS | SHOWN_NOW | SHOWN_IN_SESSION, verdict),
            Client::Resumed(verdict) => (OVER_TLS | SHOWN_IN_SESSION, verdict),
        };
        let mut value = vec![flags];
        value.extend(verdict.to_be_bytes());
        extend(&mut value, TLS_VERSION, self.version.as_bytes(), 0);
        extend(&mut value, TLS_CIPHER, self.cipher.as_bytes(), 0);
        value
    }
}

/// hitch writes the certificate as OpenSSL writes a trusted one, and its readers expect that label. The rest is as in
/// plain PEM: what comes from a client carries no settings of trust, so the DER within is the same.
fn as_trusted(pem: &str) -> String {
    pem.replace(" CERTIFICATE-----", " TRUSTED CERTIFICATE-----")
}

fn extend_if(out: &mut Vec<u8>, kind: u8, value: Option<&[u8]>, reserved: usize) {
    if let Some(value) = value {
        extend(out, kind, value, reserved);
    }
}

/// Appends an extension, unless it would leave less than the reserved room below the limit.
fn extend(out: &mut Vec<u8>, kind: u8, value: &[u8], reserved: usize) {
    let room = MOST.saturating_sub(out.len() + reserved + EXTENSION);
    if value.len() <= room {
        out.push(kind);
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value);
    }
}

#[cfg(test)]
mod tests;
