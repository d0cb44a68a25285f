//! Headers of PROXY version 2, read and made.
#![forbid(unsafe_code)]

use crate::common::Accepted;

pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Type and value, in their order.
pub type Extensions = Vec<(u8, Vec<u8>)>;

#[derive(Debug)]
pub struct Header {
    pub family: u8,
    pub addresses: Vec<u8>,
    pub extensions: Extensions,
}

impl Header {
    /// One of the command PROXY, and not a byte more.
    pub fn read(accepted: &mut Accepted) -> Header {
        let start = accepted.receive(16);
        assert_eq!(&start[..12], SIGNATURE);
        assert_eq!(start[12], 0x21, "version 2, command PROXY");
        let family = start[13];
        let length = usize::from(u16::from_be_bytes([start[14], start[15]]));
        let mut addresses = accepted.receive(length);
        let size = match family {
            0x11 => 12,
            0x21 => 36,
            other => panic!("family {other:#x}"),
        };
        let extensions = parts(&addresses.split_off(size));
        Header {
            family,
            addresses,
            extensions,
        }
    }

    pub fn extension(&self, number: u8) -> Option<&[u8]> {
        let mut all = self.extensions.iter();
        all.find(|part| part.0 == number).map(|part| &part.1[..])
    }
}

fn parts(mut bytes: &[u8]) -> Extensions {
    let mut parts = Vec::new();
    while let [number, high, low, rest @ ..] = bytes {
        let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        parts.push((*number, value.to_vec()));
        bytes = rest;
    }
    assert_eq!(bytes, b"", "half a part");
    parts
}

/// The value of the part about TLS.
pub fn tls_part(flags: u8, verdict: u32, version: &str, cipher: &str) -> Vec<u8> {
    let mut value = vec![flags];
    value.extend(verdict.to_be_bytes());
    for (number, text) in [(0x21, version), (0x23, cipher)] {
        value.push(number);
        value.extend((text.len() as u16).to_be_bytes());
        value.extend(text.as_bytes());
    }
    value
}

/// A header of version 2 from 192.0.2.1:56324 to 198.51.100.2:443 with two extensions.
pub fn binary() -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let rest = b"\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb\x02\0\x04host\x05\0\x03abc";
    header.extend([0x21, 0x11]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}
