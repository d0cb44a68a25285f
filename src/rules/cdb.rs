//! A reader for cdb files that are already in memory. The bytes may be anything
//! at all: nothing here computes with them unchecked, every loop is bounded by
//! the size of the file, and what does not fit is reported, not skipped.

#![forbid(unsafe_code)]

use std::fmt;

const HEADER: usize = 2048;
const HASH_START: u32 = 5381;

/// Where a file stopped making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    NoHeader,
    Table,
    Record,
    Rule,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::NoHeader => "damaged: too short for a cdb",
            Damage::Table => "damaged or no cdb: table outside the file",
            Damage::Record => "damaged: record beyond the end of the file",
            Damage::Rule => "damaged: rule without its end",
        })
    }
}

#[derive(Debug)]
pub struct Cdb {
    bytes: Vec<u8>,
}

impl Cdb {
    /// Takes a file's content after checking that all 256 tables lie within it.
    /// The tables are at the end, so this finds every truncation.
    pub fn new(bytes: Vec<u8>) -> Result<Cdb, Damage> {
        if bytes.len() < HEADER {
            return Err(Damage::NoHeader);
        }
        let cdb = Cdb { bytes };
        for number in 0..=255 {
            cdb.table(number)?;
        }
        Ok(cdb)
    }

    /// The data of the first record whose key is these parts put together.
    pub fn find(&self, key: &[&[u8]]) -> Result<Option<&[u8]>, Damage> {
        let hash = key.iter().fold(HASH_START, |h, part| hash_on(h, part));
        self.find_hashed(hash, key)
    }

    /// The longest prefix of `key`, of at least `shortest` bytes, that is a
    /// key here: its length and its data. The hash of a prefix is a step on the
    /// way to the hash of the whole, so all of them cost one pass.
    pub fn find_longest(
        &self,
        key: &[u8],
        shortest: usize,
    ) -> Result<Option<(usize, &[u8])>, Damage> {
        let mut hashes = [HASH_START; LONGEST_PREFIXED + 1];
        let mut hash = HASH_START;
        for (byte, slot) in key.iter().zip(&mut hashes[1..]) {
            hash = hash_step(hash, *byte);
            *slot = hash;
        }
        for len in (shortest..=key.len().min(LONGEST_PREFIXED)).rev() {
            if let Some(data) = self.find_hashed(hashes[len], &[&key[..len]])? {
                return Ok(Some((len, data)));
            }
        }
        Ok(None)
    }

    /// Every record, as its key and its data.
    pub fn records(&self) -> impl Iterator<Item = Result<(&[u8], &[u8]), Damage>> {
        let positions = (0..=255).flat_map(|number| {
            // They were all looked at when the file was.
            let slots = self.table(number).unwrap_or_default().chunks_exact(8);
            slots.filter_map(|slot| slot.first_chunk().map(two_numbers))
        });
        positions
            .filter(|(_, position)| *position != 0)
            .map(|(_, position)| self.record(position).ok_or(Damage::Record))
    }

    fn find_hashed(&self, hash: u32, key: &[&[u8]]) -> Result<Option<&[u8]>, Damage> {
        let (slots, []) = self.table(hash as u8)?.as_chunks::<8>() else {
            return Err(Damage::Table);
        };
        if slots.is_empty() {
            return Ok(None);
        }
        let (before, from) = slots.split_at((hash >> 8) as usize % slots.len());
        for slot in from.iter().chain(before) {
            let (stored, position) = two_numbers(slot);
            if position == 0 {
                return Ok(None);
            }
            if stored == hash {
                let (found, data) = self.record(position).ok_or(Damage::Record)?;
                if is_joined(found, key) {
                    return Ok(Some(data));
                }
            }
        }
        Ok(None)
    }

    fn table(&self, number: u8) -> Result<&[u8], Damage> {
        let at = usize::from(number) * 8;
        let entry = self.bytes[..HEADER][at..].first_chunk();
        let (position, slots) = two_numbers(entry.ok_or(Damage::NoHeader)?);
        // No writer places a table in the header; a file of zeros would
        // otherwise pass for one without rules, which lets everybody in.
        if (position as usize) < HEADER {
            return Err(Damage::Table);
        }
        let size = (slots as usize).checked_mul(8).ok_or(Damage::Table)?;
        let rest = self.bytes.get(position as usize..).ok_or(Damage::Table)?;
        rest.get(..size).ok_or(Damage::Table)
    }

    fn record(&self, position: u32) -> Option<(&[u8], &[u8])> {
        let (lengths, rest) = self.bytes.get(position as usize..)?.split_first_chunk()?;
        let (key_len, data_len) = two_numbers(lengths);
        let (key, rest) = rest.split_at_checked(key_len as usize)?;
        Some((key, rest.get(..data_len as usize)?))
    }
}

/// Room for the bits of an IPv6 address and the mark before them.
const LONGEST_PREFIXED: usize = 129;

fn hash_step(hash: u32, byte: u8) -> u32 {
    hash.wrapping_mul(33) ^ u32::from(byte)
}

fn hash_on(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |h, byte| hash_step(h, *byte))
}

fn two_numbers(bytes: &[u8; 8]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    )
}

fn is_joined(whole: &[u8], parts: &[&[u8]]) -> bool {
    let rest = parts
        .iter()
        .try_fold(whole, |rest, part| rest.strip_prefix(*part));
    rest.is_some_and(<[u8]>::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Writes with cdb2 and hands back the bytes and cdb2's own reader.
    fn written(records: &[(Vec<u8>, Vec<u8>)]) -> (Vec<u8>, cdb2::CDB) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cdb-reader-test.{}.{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut make = cdb2::CDBMake::new(fs::File::create(&path).unwrap()).unwrap();
        for (key, data) in records {
            make.add(key, data).unwrap();
        }
        make.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        let other = cdb2::CDB::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        (bytes, other)
    }

    #[test]
    fn agrees_with_another_reader_about_every_key() {
        let records: Vec<_> = (0..5000u32)
            .map(|n| {
                (
                    // Every third key is there several times, the first counts.
                    format!("key {}", if n % 3 == 0 { n / 30 } else { n }).into_bytes(),
                    n.to_string().into_bytes(),
                )
            })
            .collect();
        let (bytes, other) = written(&records);
        let ours = Cdb::new(bytes).unwrap();
        for n in 0..10_000 {
            let key = format!("key {n}");
            let (head, tail) = key.as_bytes().split_at(3);
            let theirs = other.get(key.as_bytes()).map(Result::unwrap);
            assert_eq!(ours.find(&[head, tail]).unwrap(), theirs.as_deref(), "{n}");
        }
    }

    #[test]
    fn the_longest_stored_prefix_is_found_and_short_ones_only_if_asked_for() {
        let record = |key: &str| (key.as_bytes().to_vec(), key.as_bytes().to_vec());
        let (bytes, _) = written(&[record("_0b"), record("_0bcd"), record("_")]);
        let cdb = Cdb::new(bytes).unwrap();
        let find = |key: &str, shortest| cdb.find_longest(key.as_bytes(), shortest);
        assert_eq!(find("_0bcdefg", 1), Ok(Some((5, &b"_0bcd"[..]))));
        assert_eq!(find("_0bc", 1), Ok(Some((3, &b"_0b"[..]))));
        assert_eq!(find("_a", 1), Ok(Some((1, &b"_"[..]))));
        assert_eq!(find("_a", 2), Ok(None));
    }

    #[test]
    fn a_file_of_zeros_is_not_taken_for_one_without_rules() {
        assert_eq!(Cdb::new(vec![0; 4096]).unwrap_err(), Damage::Table);
        assert_eq!(Cdb::new(vec![0; 100]).unwrap_err(), Damage::NoHeader);
        assert_eq!(Cdb::new(Vec::new()).unwrap_err(), Damage::NoHeader);
    }

    #[test]
    fn a_record_that_ends_beyond_the_file_is_damage_and_not_a_miss() {
        let (mut bytes, _) = written(&[(b"key".to_vec(), b"data".to_vec())]);
        bytes[HEADER + 4] = 0xff;
        bytes[HEADER + 7] = 0xff;
        let cdb = Cdb::new(bytes).unwrap();
        assert_eq!(cdb.find(&[b"key"]), Err(Damage::Record));
        assert_eq!(cdb.find(&[b"other"]), Ok(None));
    }

    #[test]
    fn a_table_without_an_empty_slot_ends_the_search() {
        let (mut bytes, _) = written(&[(b"key".to_vec(), b"data".to_vec())]);
        let table = bytes.len() - 16;
        for slot in [table, table + 8] {
            bytes[slot..slot + 8].fill(1);
        }
        assert_eq!(Cdb::new(bytes).unwrap().find(&[b"key"]), Ok(None));
    }

    proptest! {
        #[test]
        fn reads_what_another_program_wrote(
            records in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..40),
            absent in any::<Vec<u8>>(),
        ) {
            let (bytes, other) = written(&records);
            let cdb = Cdb::new(bytes).unwrap();
            for key in records.iter().map(|(key, _)| key).chain([&absent]) {
                let theirs = other.get(key).map(Result::unwrap);
                prop_assert_eq!(cdb.find(&[key]).unwrap(), theirs.as_deref());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 2048..3000), key in any::<Vec<u8>>()) {
            // Tables that lie in the file, or the search would never begin.
            for entry in bytes[..HEADER].as_chunks_mut::<8>().0 {
                *entry = [0, 8, 0, 0, entry[0] % 100, 0, 0, 0];
            }
            if let Ok(cdb) = Cdb::new(bytes) {
                let _ = cdb.find(&[&key]);
                let _ = cdb.find_longest(&key, 0);
            }
        }
    }
}
