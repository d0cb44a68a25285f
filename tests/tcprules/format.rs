//! The compiled file, byte for byte.

use std::fs;
use std::path::Path;

use crate::place::{CHECK, Place};

/// All records of a cdb in the order of the file.
pub fn records(cdb: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let number = |at: usize| u32::from_le_bytes(cdb[at..at + 4].try_into().unwrap()) as usize;
    let end = (0..256).map(|table| number(table * 8)).min().unwrap();
    let mut at = 2048;
    let mut records = Vec::new();
    while at < end {
        let data = at + 8 + number(at);
        let next = data + number(at + 4);
        records.push((cdb[at + 8..data].to_vec(), cdb[data..next].to_vec()));
        at = next;
    }
    records
}

#[test]
fn the_records_are_those_of_the_original_byte_for_byte() {
    let place = Place::new("records");
    let mut rules = String::new();
    let mut expected: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (rule, keys, data) in [
        ("1.2.3.4:deny", vec!["1.2.3.4"], "D\0"),
        ("1.2.3.:allow", vec!["1.2.3."], ""),
        (
            "2.2.3.4-6:deny",
            vec!["2.2.3.4", "2.2.3.5", "2.2.3.6"],
            "D\0",
        ),
        ("10-12.:deny", vec!["10.", "11.", "12."], "D\0"),
        ("127.0-1.:allow,A=\"b\"", vec!["127.0.", "127.1."], "+A=b\0"),
        ("127.0.0.0/8:deny", vec!["_0bcdefgh"], "D\0"),
        ("10.1.2.3/24:deny", vec!["_0000e0g00000000p000000w0"], "D\0"),
        (
            "1.2.3.4/32:deny",
            vec!["_0000000h000000o0000000wx00000400"],
            "D\0",
        ),
        (
            "255.255.255.255/32:deny",
            vec!["_abcdefghijklmnopqrstuvwxyz123456"],
            "D\0",
        ),
        ("0.0.0.0/1:deny", vec!["_0"], "D\0"),
        (
            "2001:DB8::1:deny",
            vec!["2001:0DB8:0000:0000:0000:0000:0000:0001"],
            "D\0",
        ),
        (
            "2001:db8::/32:deny",
            vec!["^00`000000000000a0000bc0de0fgh000"],
            "D\0",
        ),
        ("8000::/1:deny", vec!["^`"], "D\0"),
        (
            "joe@::1:deny",
            vec!["joe@0000:0000:0000:0000:0000:0000:0000:0001"],
            "D\0",
        ),
        ("joe@=a-b.example:allow", vec!["joe@=a-b.example"], ""),
        ("=:allow,=xvx", vec!["="], "+=v\0"),
        (":allow,X=/q r/,Y=\"\"", vec![""], "+X=q r\0+Y=\0"),
    ] {
        rules += &format!("{rule}\n");
        expected.extend(
            keys.iter()
                .map(|key| (key.as_bytes().to_vec(), data.into())),
        );
    }
    place.compile(&rules).quietly();
    assert_eq!(records(&fs::read(place.join("cdb")).unwrap()), expected);

    let all_ones = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128:deny";
    place.compile(all_ones).quietly();
    let ones: Vec<u8> = (0x60..=0xdf).collect();
    let records = records(&fs::read(place.join("cdb")).unwrap());
    assert_eq!(records, [([b"^", &ones[..]].concat(), b"D\0".to_vec())]);
}

#[test]
fn the_container_is_a_cdb_byte_for_byte() {
    let place = Place::new("container");
    place.compile("").quietly();
    let empty = [0, 8, 0, 0, 0, 0, 0, 0].repeat(256);
    assert_eq!(fs::read(place.join("cdb")).unwrap(), empty);

    // The empty key's hash is 5381: table 5, and slot 21 mod 2 of it.
    place.compile(":deny\n").quietly();
    let cdb = fs::read(place.join("cdb")).unwrap();
    let mut expected = empty;
    for table in 0..256 {
        let position: u32 = if table > 5 { 2058 + 16 } else { 2058 };
        expected[table * 8..table * 8 + 4].copy_from_slice(&position.to_le_bytes());
    }
    expected[5 * 8 + 4] = 2;
    expected.extend_from_slice(b"\0\0\0\0\x02\0\0\0D\0");
    expected.extend_from_slice(&[0; 8]);
    expected.extend_from_slice(&[5, 21, 0, 0, 0, 8, 0, 0]);
    assert_eq!(cdb, expected);
}

#[test]
fn files_are_interchangeable_with_those_of_debian_both_ways() {
    const DEBIAN: &str = "/usr/bin/tcprules";
    if !Path::new(DEBIAN).exists() {
        eprintln!("skipped: {DEBIAN} of ucspi-tcp-ipv6 is not installed");
        return;
    }
    let place = Place::new("debian");
    let mut rules = String::from(
        "# comment\n\n1.2.3.4:deny\n1.2.3.:allow,A=\"b c,d:e\"\n1.2.3.5:allow\n10-12.:deny\n\
         9.8.7.200-255:allow,X=/q/,Y=''\n=host.example:deny\n=.example:allow\n=:allow\n\
         joe@1.2.3.4:allow\njoe@=host.example:deny,A=\"b\"  \n:allow,MAXCONIP=\"3\"",
    );
    for number in 0..5000 {
        rules += &format!("\n10.{}.{}.7:deny", number / 256, number % 256);
    }
    place.compile(&rules).quietly();
    place.run(&[DEBIAN, "theirs", "tmp"], &rules).quietly();
    let ours = fs::read(place.join("cdb")).unwrap();
    assert!(
        ours == fs::read(place.join("theirs")).unwrap(),
        "the files differ"
    );

    let host = [
        ("TCPREMOTEIP", "4.4.4.4"),
        ("TCPREMOTEHOST", "host.example"),
    ];
    for values in [
        &[("TCPREMOTEIP", "10.1.2.7")][..],
        &[("TCPREMOTEIP", "1.2.3.9")],
        &host,
    ] {
        let theirs = place.run_with(&["/usr/bin/tcprulescheck", "cdb"], "", values);
        let ours = place.run_with(&[CHECK, "theirs"], "", values);
        assert_eq!(ours.stdout, theirs.stdout);
    }
}
