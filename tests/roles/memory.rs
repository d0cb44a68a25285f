//! Looks for a private key in the memory of a process.
#![forbid(unsafe_code)]

use crate::common::Process;
use openssl::pkey::{Id, PKey};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// What the keeper has of a key; its text it may have too, but need not.
pub const NUMBERS: [&str; 5] = ["RSA d", "RSA p", "RSA q", "EC scalar", "Ed25519 seed"];

pub struct Secret {
    pub name: &'static str,
    bytes: Vec<u8>,
}

/// Pieces long enough not to be there by chance, of every part, in both byte orders: big-endian as in the file,
/// little-endian as in the numbers of the library. The text of the file is looked for as well.
pub fn secrets(pem: &str) -> Vec<Secret> {
    let key = PKey::private_key_from_pem(pem.as_bytes()).expect("a key");
    let parts: Vec<(&'static str, Vec<u8>)> = match key.id() {
        Id::RSA => {
            let rsa = key.rsa().expect("an RSA key");
            let (p, q) = (rsa.p().expect("p"), rsa.q().expect("q"));
            vec![
                ("RSA d", rsa.d().to_vec()),
                ("RSA p", p.to_vec()),
                ("RSA q", q.to_vec()),
            ]
        }
        Id::EC => vec![(
            "EC scalar",
            key.ec_key()
                .expect("an EC key")
                .private_key()
                .to_vec_padded(32)
                .expect("32 bytes"),
        )],
        Id::ED25519 => vec![("Ed25519 seed", key.raw_private_key().expect("a seed"))],
        other => panic!("no part known of {other:?}"),
    };
    let mut secrets = Vec::new();
    for (name, mut bytes) in parts {
        for _ in 0..2 {
            let pieces = bytes.chunks_exact(32).map(<[u8]>::to_vec);
            secrets.extend(pieces.map(|bytes| Secret { name, bytes }));
            bytes.reverse();
        }
    }
    // The first line of the text is the same for every key of its kind, the last one short.
    let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let telling = if lines.len() > 2 {
        &lines[1..lines.len() - 1]
    } else {
        &lines[..]
    };
    secrets.extend(telling.iter().map(|line| Secret {
        name: "PEM text",
        bytes: line.as_bytes().to_vec(),
    }));
    secrets
}

/// The names of the parts that are found, each once.
pub fn found(process: &Process, secrets: &[Secret]) -> Vec<&'static str> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.pid)).expect("the maps");
    let memory = File::open(format!("/proc/{}/mem", process.pid)).expect("the memory");
    let mut starts = vec![Vec::new(); 1 << 16];
    for (number, secret) in secrets.iter().enumerate() {
        starts[start(&secret.bytes)].push(number);
    }
    let (mut found, mut searched) = (Vec::new(), 0);
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let range = fields
            .next()
            .and_then(|range| range.split_once('-'))
            .expect("a range");
        let rights = fields.next().unwrap_or_default();
        // What is a file's and cannot be written is as in the file.
        let of_a_file = line.contains(" /") && !rights.contains('w');
        if !rights.starts_with('r') || of_a_file || line.contains("[v") {
            continue;
        }
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = (address(range.0), address(range.1));
        let mut bytes = vec![0; usize::try_from(to - from).expect("it fits")];
        // A session that has been quiet for a while gives memory back meanwhile.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        searched += bytes.len();
        for at in 0..bytes.len() - 1 {
            for &number in &starts[start(&bytes[at..])] {
                let secret = &secrets[number];
                if bytes[at..].starts_with(&secret.bytes) && !found.contains(&secret.name) {
                    found.push(secret.name);
                }
            }
        }
    }
    assert!(searched > 1 << 18, "{} bytes of {process:?}", searched);
    found
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}
