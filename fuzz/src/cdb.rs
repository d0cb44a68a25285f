//! A rules file, which may be anything: what is found in it, and that the search for it ends.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sslserver::rules::cdb::Cdb;
use sslserver::rules::{Client, key, lookup};

const TABLES: usize = 256;
/// An entry here, and in the file.
const SHORT: usize = 4;
const LONG: usize = 8;
/// The rest takes long and shows nothing.
const MOST_RECORDS: usize = 1000;

pub fn run(bytes: &[u8]) -> bool {
    let Some((wanted, file)) = unfold(bytes) else {
        return false;
    };
    let Ok(cdb) = Cdb::new(file) else {
        return false;
    };
    if let Ok(Some((length, data))) = cdb.find_longest(wanted, 0) {
        assert_eq!(cdb.find(&[&wanted[..length]]), Ok(Some(data)));
    }
    let (head, tail) = wanted.split_at(wanted.len() / 2);
    assert_eq!(cdb.find(&[head, tail]), cdb.find(&[wanted]));
    // Tables may lie above each other, and have so many records together.
    if cdb.records().take(MOST_RECORDS + 1).count() <= MOST_RECORDS {
        for (stored, _) in cdb.records().flatten() {
            let _ = cdb.find(&[stored]);
        }
        let _ = lookup::all(&cdb);
    }
    for ip in addresses(wanted) {
        let client = Client {
            ip,
            host: Some(wanted),
            info: Some(head),
        };
        if let Ok(verdict) = lookup::decide(&cdb, &client) {
            verdict.matched.map(|matched| key::describe(&matched));
        }
    }
    true
}

/// A key, and a file that has it if the fuzzer is lucky. The header of 2 kB would take years to be guessed, so there are
/// only the few tables that are not empty: their count, and for each its number, its place behind the header in
/// two bytes, and its slots. Then the length of the key, the key, and what is behind the header.
fn unfold(bytes: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (&count, rest) = bytes.split_first()?;
    let (tables, rest) = rest.split_at_checked(usize::from(count) * SHORT)?;
    let (&length, rest) = rest.split_first()?;
    let (key, records) = rest.split_at_checked(length.into())?;
    let behind = (TABLES * LONG) as u32;
    let mut header = [behind.to_le_bytes(), [0; 4]].concat().repeat(TABLES);
    for table in tables.as_chunks::<SHORT>().0 {
        let [number, low, high, slots] = *table;
        let place = behind.wrapping_add_signed(i16::from_le_bytes([low, high]).into());
        let entry = [place.to_le_bytes(), [slots, 0, 0, 0]].concat();
        header[usize::from(number) * LONG..][..LONG].copy_from_slice(&entry);
    }
    Some((key, [&header, records].concat()))
}

/// Of each family one, with bytes of the key.
fn addresses(wanted: &[u8]) -> [IpAddr; 2] {
    let mut octets = [0; 16];
    let length = wanted.len().min(16);
    octets[..length].copy_from_slice(&wanted[..length]);
    let six = Ipv6Addr::from(octets);
    [Ipv4Addr::from_bits(six.to_bits() as u32).into(), six.into()]
}
