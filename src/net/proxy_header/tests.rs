use super::*;
use proptest::prelude::*;

/// A header of version 2 around what comes after its fixed part.
fn binary(version: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([version, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

/// 192.0.2.1 port 56324 calls 198.51.100.2 port 443.
const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

fn six(remote: &str, local: &str) -> Vec<u8> {
    let mut rest = Vec::new();
    for ip in [remote, local] {
        rest.extend(ip.parse::<Ipv6Addr>().unwrap().octets());
    }
    rest.extend([0xdc, 0x04, 0x01, 0xbb]);
    rest
}

fn announced(remote: &str, local: &str) -> Announced {
    Announced::Ends {
        remote: remote.parse().unwrap(),
        local: local.parse().unwrap(),
    }
}

/// Feeds a header whole, with bytes behind it, which must be left alone.
fn parse(header: &[u8]) -> Result<Announced, BadHeader> {
    let mut stream = header.to_vec();
    stream.extend(b"\x16\x03\x01");
    let (taken, whole) = Parser::default().take(&stream)?;
    assert_eq!(taken, header.len(), "{header:?}");
    Ok(whole.expect("a whole header"))
}

fn wrong(header: &[u8]) -> String {
    parse(header).unwrap_err().to_string()
}

fn good() -> Vec<(Vec<u8>, Announced)> {
    let ends = announced("192.0.2.1:56324", "198.51.100.2:443");
    let ends6 = announced("[2001:db8::1]:56324", "[2001:db8::2]:443");
    let mut extended = FOUR.to_vec();
    // An authority and an empty extension.
    extended.extend(b"\x02\x00\x04host\x04\x00\x00");
    let line = |line: &str| line.as_bytes().to_vec();
    vec![
        (
            line("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
            ends,
        ),
        (
            line("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"),
            ends6,
        ),
        (line("PROXY UNKNOWN\r\n"), Announced::Nothing),
        (
            line("PROXY UNKNOWN and what \r\t ever\r\n"),
            Announced::Nothing,
        ),
        (binary(0x21, 0x11, &FOUR), ends),
        (binary(0x21, 0x11, &extended), ends),
        (
            binary(0x21, 0x21, &six("2001:db8::1", "2001:db8::2")),
            ends6,
        ),
        (binary(0x20, 0x00, b""), Announced::Nothing),
        (binary(0x20, 0xff, b"not for us"), Announced::Nothing),
        (binary(0x21, 0x00, b"?"), Announced::Nothing),
        (binary(0x21, 0x31, &[0; 216]), Announced::Nothing),
        (binary(0x21, 0x12, &FOUR), Announced::Nothing),
    ]
}

#[test]
fn every_kind_of_header_is_understood_and_nothing_behind_it_is_taken() {
    for (header, expected) in good() {
        assert_eq!(parse(&header), Ok(expected), "{header:?}");
    }
}

#[test]
fn a_header_may_come_in_any_two_pieces() {
    for (header, expected) in good() {
        for split in 1..header.len() {
            let mut parser = Parser::default();
            assert_eq!(parser.take(&header[..split]), Ok((split, None)));
            let rest = parser.take(&header[split..]);
            assert_eq!(rest, Ok((header.len() - split, Some(expected))));
        }
    }
}

#[test]
fn a_header_in_pieces_is_handed_on_as_it_came_and_without_what_follows() {
    for (header, _) in good() {
        let stream = [&header[..], b"\x16\x03\x01"].concat();
        for size in [1, 5, 20, stream.len()] {
            let mut parser = Parser::default();
            let mut pieces = stream.chunks(size);
            while parser.take(pieces.next().unwrap()).unwrap().1.is_none() {}
            assert_eq!(parser.into_bytes(), header);
        }
    }
}

#[test]
fn ipv4_in_the_clothing_of_ipv6_is_ipv4() {
    let expected = Ok(announced("192.0.2.1:56324", "198.51.100.2:443"));
    let line = b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 56324 443\r\n";
    assert_eq!(parse(line), expected);
    let mapped = six("::ffff:192.0.2.1", "::ffff:198.51.100.2");
    assert_eq!(parse(&binary(0x21, 0x21, &mapped)), expected);
}

#[test]
fn a_client_that_speaks_for_itself_is_found_out_at_its_first_wrong_byte() {
    for bytes in [&b"\x16"[..], b"GET", b"PROXI", b"\r\n\r\n\0\r\nQUIX", b"\n"] {
        let (last, begin) = bytes.split_last().unwrap();
        let mut parser = Parser::default();
        if !begin.is_empty() && begin != b"GE" {
            assert_eq!(parser.take(begin), Ok((begin.len(), None)), "{bytes:?}");
            assert_eq!(parser.take(&[*last]), Err(BadHeader("no PROXY header")));
        } else {
            assert_eq!(parser.take(bytes), Err(BadHeader("no PROXY header")));
        }
    }
}

#[test]
fn a_bad_line_is_told_for_what_it_is() {
    for (line, why) in [
        (
            "TCP4 192.0.2.1 198.51.100.2 1 443\n",
            "PROXY line without CR",
        ),
        (
            "TCP5 192.0.2.1 198.51.100.2 1 443\r\n",
            "unknown protocol in PROXY line",
        ),
        ("\r\n", "unknown protocol in PROXY line"),
        ("UNKNOWNS\r\n", "unknown protocol in PROXY line"),
        (
            "TCP4 192.0.2.300 198.51.100.2 1 443\r\n",
            "bad address in PROXY line",
        ),
        (
            "TCP4 2001:db8::1 2001:db8::2 1 443\r\n",
            "bad address in PROXY line",
        ),
        (
            "TCP6 192.0.2.1 198.51.100.2 1 443\r\n",
            "bad address in PROXY line",
        ),
        (
            "TCP4  192.0.2.1 198.51.100.2 1 443\r\n",
            "bad address in PROXY line",
        ),
        ("TCP4 192.0.2.1\r\n", "bad address in PROXY line"),
        (
            "TCP4 192.0.2.1 198.51.100.2 1\r\n",
            "bad port in PROXY line",
        ),
        (
            "TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
            "bad port in PROXY line",
        ),
        (
            "TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
            "bad port in PROXY line",
        ),
        (
            "TCP4 192.0.2.1 198.51.100.2 1 443 \r\n",
            "too much in PROXY line",
        ),
    ] {
        assert_eq!(wrong(format!("PROXY {line}").as_bytes()), why, "{line}");
    }
}

#[test]
fn a_line_has_at_most_107_bytes() {
    let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16));
    assert_eq!(parse(line(107).as_bytes()), Ok(Announced::Nothing));
    assert_eq!(wrong(line(108).as_bytes()), "PROXY line too long");
}

#[test]
fn a_binary_header_has_at_most_2064_bytes() {
    assert_eq!(parse(&binary(0x20, 0, &[7; 2048])), Ok(Announced::Nothing));
    // The length alone is enough to tell.
    let long = &binary(0x21, 0x11, &[0; 2049])[..FIXED];
    assert_eq!(wrong(long), "PROXY header too long");
}

#[test]
fn a_bad_binary_header_is_told_for_what_it_is() {
    let mut damaged = FOUR.to_vec();
    damaged.extend(b"\x02\x00\x05host");
    for (header, why) in [
        (binary(0x11, 0x11, &FOUR), "unknown version of PROXY header"),
        (binary(0x22, 0x11, &FOUR), "unknown command in PROXY header"),
        (
            binary(0x21, 0x41, &FOUR),
            "unknown address family in PROXY header",
        ),
        (
            binary(0x21, 0x13, &FOUR),
            "unknown address family in PROXY header",
        ),
        (
            binary(0x21, 0x11, &FOUR[..11]),
            "PROXY header too short for its addresses",
        ),
        (
            binary(0x21, 0x21, &FOUR),
            "PROXY header too short for its addresses",
        ),
        (
            binary(0x21, 0x11, &damaged),
            "damaged extensions in PROXY header",
        ),
        (
            binary(0x21, 0x11, &[&FOUR[..], b"\x02\0"].concat()),
            "damaged extensions in PROXY header",
        ),
    ] {
        assert_eq!(wrong(&header), why);
    }
}

proptest! {
    /// However the bytes are cut, the outcome is the same, and never a panic.
    #[test]
    fn any_bytes_are_judged_alike_however_they_are_cut(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            "PROXY (TCP4|TCP6|UNKNOWN) [0-9a-f:. ]{0,60}(\r\n)?.{0,4}".prop_map(String::into_bytes),
            (any::<[u8; 4]>(), proptest::collection::vec(any::<u8>(), 0..300)).prop_map(|(head, rest)| {
                let mut bytes = SIGNATURE.to_vec();
                bytes.extend([0x20 | head[0] & 1, [0x11, 0x21, 0x31, 0][usize::from(head[1] & 3)], 0, head[3]]);
                bytes.extend(rest);
                bytes
            }),
        ],
        cuts in proptest::collection::vec(1_usize..9, 1..40),
    ) {
        let at_once = Parser::default().take(&bytes);
        let mut parser = Parser::default();
        let mut total = 0;
        let mut in_pieces = Ok((0, None));
        let mut cuts = cuts.iter().cycle();
        while total < bytes.len() {
            let piece = bytes[total..].chunks(*cuts.next().unwrap()).next().unwrap();
            match parser.take(piece) {
                Ok((taken, whole)) => {
                    total += taken;
                    in_pieces = Ok((total, whole));
                    if whole.is_some() {
                        break;
                    }
                    prop_assert_eq!(taken, piece.len());
                }
                Err(bad) => {
                    in_pieces = Err(bad);
                    break;
                }
            }
        }
        prop_assert_eq!(at_once, in_pieces);
    }

    /// What a proxy writes is what is read.
    #[test]
    fn addresses_survive_both_versions(remote: [u8; 4], local: [u8; 4], ports: [u16; 2]) {
        let (remote_ip, local_ip) = (Ipv4Addr::from(remote), Ipv4Addr::from(local));
        let expected = ends((remote_ip.into(), ports[0]), (local_ip.into(), ports[1]));
        let line = format!("PROXY TCP4 {remote_ip} {local_ip} {} {}\r\n", ports[0], ports[1]);
        prop_assert_eq!(parse(line.as_bytes()), Ok(expected));
        let [a, b] = ports.map(u16::to_be_bytes);
        let rest = [&remote[..], &local[..], &a[..], &b[..]].concat();
        prop_assert_eq!(parse(&binary(0x21, 0x11, &rest)), Ok(expected));
    }
}
