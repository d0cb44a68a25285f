//! Sessions as OpenSSL's tools keep them in files: read, taken apart, changed and written.
#![forbid(unsafe_code)]

use crate::common::Server;
use openssl::base64::{decode_block, encode_block};

const BEGIN: &str = "-----BEGIN SSL SESSION PARAMETERS-----\n";
const END: &str = "-----END SSL SESSION PARAMETERS-----\n";

/// The session of a file, in DER.
pub fn read(file: &str) -> Vec<u8> {
    let pem = std::fs::read_to_string(file).expect("written");
    let (_, rest) = pem.split_once(BEGIN).expect("PEM");
    let (text, _) = rest.split_once(END).expect("PEM");
    decode_block(&text.replace('\n', "")).expect("base64")
}

/// A file of a session.
pub fn write(server: &Server, der: &[u8]) -> String {
    let mut pem = BEGIN.to_owned();
    for line in encode_block(der).as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64"));
        pem.push('\n');
    }
    pem.push_str(END);
    server.dir.write("changed", pem).display().to_string()
}

/// A value of DER: its tag, where its content begins, and where it ends.
fn element(der: &[u8], at: usize) -> (u8, usize, usize) {
    let (tag, length) = (der[at], usize::from(der[at + 1]));
    if length < 128 {
        return (tag, at + 2, at + 2 + length);
    }
    let bytes = &der[at + 2..at + 2 + (length - 128)];
    let size = bytes
        .iter()
        .fold(0, |size, &byte| size << 8 | usize::from(byte));
    let start = at + 2 + bytes.len();
    (tag, start, start + size)
}

/// Where the ticket lies in a session as OpenSSL writes it: an OCTET STRING under the tag [10].
pub fn ticket(der: &[u8]) -> std::ops::Range<usize> {
    let (_, mut at, end) = element(der, 0);
    while at < end {
        let (tag, start, next) = element(der, at);
        if tag == 0xaa {
            let (_, start, end) = element(der, start);
            return start..end;
        }
        at = next;
    }
    panic!("no ticket in the session");
}

/// The session as if the server had allowed early data with it: [15] says how much.
pub fn with_early_data(der: &[u8]) -> Vec<u8> {
    let (_, mut at, end) = element(der, 0);
    let mut fields = Vec::new();
    let mut allowed = false;
    while at < end {
        let (tag, _, next) = element(der, at);
        assert_ne!(tag, 0xaf, "the server allows early data");
        if tag > 0xaf && !std::mem::replace(&mut allowed, true) {
            fields.extend([0xaf, 4, 2, 2, 0x40, 0]);
        }
        fields.extend(&der[at..next]);
        at = next;
    }
    if !allowed {
        fields.extend([0xaf, 4, 2, 2, 0x40, 0]);
    }
    let size = u16::try_from(fields.len()).expect("small").to_be_bytes();
    [&[0x30, 0x82, size[0], size[1]], &fields[..]].concat()
}
