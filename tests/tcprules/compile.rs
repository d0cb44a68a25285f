//! What tcprules takes, refuses and warns of.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;

use sslserver::rules::{Client, RulesFile};

use crate::format::records;
use crate::place::{CHECK, Place, TCPRULES};

#[test]
fn a_line_that_is_no_rule_is_named_and_nothing_changes() {
    let place = Place::new("syntax");
    place.compile(":deny\n").quietly();
    let before = fs::metadata(place.join("cdb")).unwrap();
    for (line, said) in [
        ("1.2.3.4", "unable to parse this line"),
        ("deny", "unable to parse this line"),
        ("1.2.3.4:dney", "unable to parse this line"),
        (":allow,A=\"b", "unable to parse this line"),
        ("10.0.0.0/33:deny", "invalid prefix length on line"),
        ("10.0.0.256/24:deny", "invalid IPv4 CIDR address on line"),
        ("2001:db8:deny", "invalid IPv6 address on line"),
        ("2001:db8/32:deny", "invalid IPv6 CIDR address on line"),
        ("2001:db8:/32:deny", "invalid IPv6 CIDR address on line"),
    ] {
        let done = place.compile(format!("1.1.1.1:deny\n# comment\n{line}\n:allow\n"));
        done.failed(101, &format!("tcprules: syntax: line 3: {said}: {line}"));
    }
    let done = place.compile([&b"\n:allow,A=\""[..], &b"x".repeat(65536), b"\"\n"].concat());
    done.failed(101, "tcprules: syntax: line 2: longer than 65536 bytes");
    let done = place.compile(b"1.2.3.4:deny\r\n\n");
    done.failed(
        101,
        "tcprules: syntax: line 1: unable to parse this line: 1.2.3.4:deny?",
    );
    let done = place.compile(b":allow,A=\"b\0D\0\"\n");
    assert_eq!(done.code, Some(101));

    let after = fs::metadata(place.join("cdb")).unwrap();
    assert_eq!(
        (after.ino(), after.ctime_nsec()),
        (before.ino(), before.ctime_nsec())
    );
    assert_eq!(place.names(), ["cdb"]);
}

#[test]
fn a_rule_that_can_never_match_is_compiled_with_a_warning() {
    let place = Place::new("warning");
    let done = place.compile("256.1.1.1:deny\n:allow\n1.2-3:deny\njoe@10.0.0.0/8:deny\n:deny\n");
    assert_eq!(done.code, Some(0));
    let address = "neither an IPv4 address nor a prefix that ends in a dot";
    let lines = [
        format!("line 1: this rule can never match: 256.1.1.1:deny ({address})"),
        format!("line 3: this rule can never match: 1.2-3:deny ({address})"),
        "line 4: this rule can never match: joe@10.0.0.0/8:deny (a user needs a whole IP address or a host)".into(),
        "line 5: this rule can never match: :deny (line 2 has the same address)".into(),
    ];
    let expected: String = lines
        .iter()
        .map(|line| format!("tcprules: warning: {line}\n"))
        .collect();
    assert_eq!(done.stderr, expected);
    let keys: Vec<_> = records(&fs::read(place.join("cdb")).unwrap())
        .into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap())
        .collect();
    assert_eq!(keys, ["256.1.1.1", "", "1.2", "1.3", "joe@10.0.0.0/8", ""]);
    assert_eq!(
        place.check(&["9.9.9.9"]).stdout,
        "default:\nallow connection\n"
    );
}

#[test]
fn wrong_use_is_answered_with_the_usage() {
    let place = Place::new("usage");
    for arguments in [&[][..], &["cdb"], &["cdb", "tmp", "more"]] {
        let done = place.run(&[&[TCPRULES], arguments].concat(), ":deny");
        done.failed(100, "tcprules: usage: tcprules rules.cdb rules.tmp");
    }
    let usage = "tcprulescheck: usage: tcprulescheck rules.cdb [ip [host [info]]]";
    place.run(&[CHECK], "").failed(100, usage);
    place.check(&["1.1.1.1", "a", "b", "c"]).failed(100, usage);
    place
        .check(&["1.1.1"])
        .failed(100, "tcprulescheck: usage: not an IP address: 1.1.1");
    assert!(place.names().is_empty());
}

#[test]
fn a_hundred_thousand_lines_are_compiled_and_found() {
    let place = Place::new("many");
    let address = |n: u32| Ipv4Addr::from_bits(0x0a00_0000 + n);
    let rules: String = (0..100_000)
        .map(|n| format!("{}:deny\n", address(n)))
        .collect();
    place.compile(rules).quietly();
    let mut file = RulesFile::new(place.join("cdb"));
    let mut denied = |ip: Ipv4Addr| {
        let client = Client {
            ip: IpAddr::V4(ip),
            host: None,
            info: None,
        };
        file.lookup(&client).unwrap().deny
    };
    assert!((0..100_000).all(|n| denied(address(n))));
    assert!((100_000..200_000).all(|n| !denied(address(n))));
}
