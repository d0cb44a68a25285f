//! The sample rules compile and mean what they say.

use std::fs;
use std::path::Path;

use crate::place::Place;

#[test]
fn every_sample_compiles_without_a_word() {
    let place = Place::new("samples");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let expected: &[(&str, &[&str], &str)] = &[
        ("open", &["192.0.2.1"], "default:\nallow connection\n"),
        (
            "deny",
            &["203.0.113.127"],
            "rule 203.0.113.0/25:\ndeny connection\n",
        ),
        ("deny", &["203.0.113.128"], "default:\nallow connection\n"),
        (
            "deny",
            &["2001:db8:bad:1::"],
            "rule 2001:db8:bad::/48:\ndeny connection\n",
        ),
        (
            "mixed",
            &["10.20.30.40"],
            "rule 10.20.30.40:\ndeny connection\n",
        ),
        (
            "mixed",
            &["192.0.2.9", "kiosk.partner.example"],
            "rule =kiosk.partner.example:\ndeny connection\n",
        ),
        (
            "maxconip",
            &["198.51.100.1"],
            "rule 198.51.100./24:\nset environment variable MAXCONIP=100\nallow connection\n",
        ),
        (
            "maxconip",
            &["2001:db8:bad::1"],
            "rule 2001:db8:bad::/48:\nset environment variable MAXCONIP=2\nset environment variable MAXCONNET=20/48\nallow connection\n",
        ),
        (
            "rate",
            &["203.0.113.9"],
            "rule 203.0.113./24:\nset environment variable RATE=1/300\nset environment variable HANDSHAKESIP=2\nallow connection\n",
        ),
        (
            "example",
            &["127.0.0.1"],
            "rule 127.:\nset environment variable GREETING=Hello, IPv4 client of this machine\nset environment variable MAXCONIP=20\nallow connection\n",
        ),
        ("example", &["192.0.2.1"], "default:\ndeny connection\n"),
        (
            "starttls-smtp",
            &["192.0.2.25"],
            "rule 192.0.2.25:\nallow connection\n",
        ),
        (
            "starttls-smtp",
            &["192.0.2.1"],
            "default:\nset environment variable UCSPITLS=\nset environment variable MAXCONIP=10\nallow connection\n",
        ),
    ];
    let mut seen = Vec::new();
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "rules")
        {
            continue;
        }
        place.compile(fs::read(&path).unwrap()).quietly();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for (_, values, answer) in expected.iter().filter(|(sample, ..)| *sample == name) {
            assert_eq!(place.check(values).stdout, *answer, "{name} {values:?}");
        }
        seen.push(name);
    }
    seen.sort();
    let all = [
        "deny",
        "example",
        "maxconip",
        "mixed",
        "open",
        "rate",
        "starttls-smtp",
    ];
    assert_eq!(seen, all);
}
