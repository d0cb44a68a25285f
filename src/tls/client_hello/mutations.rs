//! Hellos of OpenSSL and of our own making, damaged in many thousand ways: however the bytes come, the verdict is that of
//! the second reader.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use openssl::ssl::SslVersion;

use super::plain::plainly;
use super::tests::{
    asking_for, extension, in_pieces, openssl_hello, read, records, with_extensions,
};
use super::*;

/// How many damaged hellos there are: a few seconds' worth without optimisation.
const ROUNDS: u32 = 60_000;

/// Always the same numbers, so that what fails once fails again (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        // Bytes that mean something in some place: types, lengths, what names are made of.
        const TELLING: [u8; 12] = [0, 1, 2, 3, 22, 0x40, 0x7f, 0x80, 0xff, b'.', b'-', b'A'];
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(12)).min(bytes.len());
        match self.below(8) {
            _ if bytes.is_empty() => bytes.push(22),
            0 => bytes[at] ^= 1 << self.below(8),
            1 | 2 => bytes[at] = TELLING[self.below(TELLING.len())],
            3 => bytes[at] = bytes[at].wrapping_add(1),
            4 => bytes[at] = bytes[at].wrapping_sub(1),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            _ if self.below(4) == 0 => bytes.truncate(at),
            _ => bytes.insert(at, self.roll() as u8),
        }
    }
}

/// Messages without their records.
fn corpus() -> Vec<Vec<u8>> {
    let mut messages: Vec<_> = [
        openssl_hello(Some("www.example.org"), SslVersion::TLS1_3),
        openssl_hello(Some("a.example"), SslVersion::TLS1_2),
        openssl_hello(None, SslVersion::TLS1_3),
    ]
    .map(|wire| wire[5..].to_vec())
    .into();
    let name = asking_for("a-1.Example.org");
    // As large as a key share of X25519MLKEM768 (codepoint 4588) makes it.
    let share = extension(51, &[&[4, 196, 17, 236, 4, 192][..], &[5; 1216]].concat());
    messages.push(with_extensions(&[share, name.clone()].concat()));
    messages.push(with_extensions(&[name.clone(), name.clone()].concat()));
    // Small ones, in which damage seldom misses.
    messages.push(with_extensions(&name));
    messages.push(with_extensions(&extension(
        0,
        b"\0\x09\x01\0\x01z\0\0\x02b.",
    )));
    messages
}

#[test]
fn damaged_hellos_have_the_verdict_of_a_second_reader_however_they_come() {
    let corpus = corpus();
    let mut dice = Dice(1);
    let mut seen: HashMap<String, u32> = HashMap::new();
    for round in 0..ROUNDS {
        let mut message = corpus[dice.below(corpus.len())].clone();
        let count = 1 + dice.below(4);
        let inside = dice.below(2) == 0;
        if inside {
            for _ in 0..count {
                dice.damage(&mut message);
            }
            // With a length that fits again, so that what is behind it is looked at.
            if dice.below(4) > 0 && message.len() > 4 {
                let length = (message.len() - 4) as u32;
                message[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
            }
        }
        let size = match dice.below(3) {
            0 => 1 + dice.below(40),
            _ => 16384,
        };
        let mut wire = records(&message, size);
        if !inside {
            for _ in 0..count {
                dice.damage(&mut wire);
            }
        }
        let expected = plainly(&wire);
        assert_eq!(read(&wire), expected, "round {round}: {wire:02x?}");
        let sizes = [1 + dice.below(3), 1 + dice.below(60), 1 + dice.below(600)];
        let verdict = in_pieces(&wire, &sizes);
        assert_eq!(verdict, expected, "round {round} in {sizes:?}: {wire:02x?}");
        let kind = match expected {
            Verdict::Name(_) => "name".to_owned(),
            other => format!("{other:?}"),
        };
        *seen.entry(kind).or_default() += 1;
    }
    // Damage that led to one end alone would show little.
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!(seen.values().all(|&times| times > 50), "{seen:?}");
}
