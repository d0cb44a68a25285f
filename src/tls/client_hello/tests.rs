//! Every row of the alert table, every cut of a hello, and arbitrary bytes.

use std::io::{self, Read, Write};

use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use proptest::prelude::*;

use super::*;

pub(super) fn read(bytes: &[u8]) -> Verdict {
    ClientHello::default().feed(bytes)
}

fn refused(bytes: &[u8]) -> Refusal {
    match read(bytes) {
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?} of {bytes:02x?}"),
    }
}

fn name(text: &str) -> Verdict {
    Verdict::Name(text.into())
}

fn sized(width: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_be_bytes();
    [&length[8 - width..], content].concat()
}

pub(super) fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(2, content)].concat()
}

fn entry(kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind][..], &sized(2, name)].concat()
}

fn server_name(entries: &[u8]) -> Vec<u8> {
    extension(0, &sized(2, entries))
}

pub(super) fn asking_for(name: &str) -> Vec<u8> {
    server_name(&entry(0, name.as_bytes()))
}

/// A ClientHello's body up to the extensions.
fn head() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend(sized(1, &[9; 32]));
    body.extend(sized(2, &[0x13, 1, 0x13, 2]));
    body.extend(sized(1, &[0]));
    body
}

fn message(body: &[u8]) -> Vec<u8> {
    [&[1][..], &sized(3, body)].concat()
}

pub(super) fn with_extensions(extensions: &[u8]) -> Vec<u8> {
    message(&[head(), sized(2, extensions)].concat())
}

fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &sized(2, content)].concat()
}

/// The message in records of so many bytes.
pub(super) fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(record).collect()
}

fn hello(extensions: &[u8]) -> Vec<u8> {
    records(&with_extensions(extensions), LONGEST_RECORD)
}

/// The first flight of OpenSSL.
pub(super) fn openssl_hello(name: Option<&str>, version: SslVersion) -> Vec<u8> {
    /// Takes everything and never answers.
    #[derive(Debug)]
    struct Sink(Vec<u8>);
    impl Read for Sink {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    let mut settings = builder.build().configure().unwrap();
    settings.set_use_server_name_indication(name.is_some());
    settings.set_verify_hostname(false);
    match settings.connect(name.unwrap_or("unused.example"), Sink(Vec::new())) {
        Err(openssl::ssl::HandshakeError::WouldBlock(waiting)) => waiting.get_ref().0.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_name_in_a_hello_of_openssl_is_found() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let hello = openssl_hello(Some("WWW.Example.com"), version);
        assert_eq!(read(&hello), name("www.example.com"));
        let hello = openssl_hello(None, version);
        assert_eq!(refused(&hello), Refusal::NoName);
    }
}

#[test]
fn a_hello_may_come_in_two_pieces_cut_anywhere() {
    let whole = openssl_hello(Some("example.com"), SslVersion::TLS1_3);
    for cut in 0..=whole.len() {
        let mut parser = ClientHello::default();
        let found = match parser.feed(&whole[..cut]) {
            Verdict::NeedMore => parser.feed(&whole[cut..]),
            verdict => verdict,
        };
        assert_eq!(found, name("example.com"), "cut at {cut}");
    }
}

#[test]
fn a_hello_may_come_byte_by_byte_in_records_of_any_size() {
    let whole = openssl_hello(Some("example.com"), SslVersion::TLS1_2);
    for size in 1..whole.len() {
        let wire = records(&whole[5..], size);
        assert_eq!(read(&wire), name("example.com"), "records of {size}");
        let mut parser = ClientHello::default();
        let mut verdicts = wire.iter().map(|&byte| parser.feed(&[byte]));
        let found = verdicts.find(|verdict| *verdict != Verdict::NeedMore);
        assert_eq!(found, Some(name("example.com")), "records of {size}");
    }
}

#[test]
fn a_message_may_be_cut_into_two_records_anywhere() {
    let message = &openssl_hello(Some("example.com"), SslVersion::TLS1_3)[5..];
    for cut in 1..message.len() {
        let wire = [record(&message[..cut]), record(&message[cut..])].concat();
        assert_eq!(read(&wire), name("example.com"), "cut at {cut}");
    }
}

#[test]
fn the_name_is_known_with_its_last_byte_and_not_before() {
    let whole = hello(&[asking_for("a.example"), extension(21, &[0; 100])].concat());
    let end = whole
        .windows(9)
        .position(|part| part == b"a.example")
        .unwrap()
        + 9;
    assert_eq!(read(&whole[..end - 1]), Verdict::NeedMore);
    assert_eq!(read(&whole[..end]), name("a.example"));
    // What follows is the backend's affair.
    let damaged = [&whole[..end], b"anything"].concat();
    assert_eq!(read(&damaged), name("a.example"));
}

#[test]
fn padding_and_key_shares_before_the_name_are_passed_over() {
    let key_shares = extension(51, &[5; 1216]);
    let padding = extension(21, &[0; 60_000]);
    let wire = hello(&[key_shares, padding, asking_for("a.example")].concat());
    assert_eq!(read(&wire), name("a.example"));
    assert_eq!(in_pieces(&wire, &[1448]), name("a.example"));
}

#[test]
fn all_fields_may_be_as_long_as_their_lengths_can_tell() {
    let mut body = vec![0; OPENING];
    body.extend(sized(1, &[1; 255]));
    body.extend(sized(2, &[2; 65535]));
    body.extend(sized(1, &[3; 255]));
    let name_extension = asking_for("a.example");
    let filler = extension(9, &vec![0; 65535 - 4 - name_extension.len()]);
    body.extend(sized(2, &[filler, name_extension].concat()));
    assert_eq!(body.len(), 131_620);
    let wire = records(&message(&body), LONGEST_RECORD);
    assert_eq!(read(&wire), name("a.example"));
}

#[test]
fn odd_versions_and_empty_fields_do_no_harm() {
    let mut body = vec![0; OPENING];
    body.extend(sized(1, b""));
    body.extend(sized(2, b"odd"));
    body.extend(sized(1, b""));
    body.extend(sized(2, &asking_for("a.example")));
    let mut wire = record(&message(&body));
    for version in [[0, 0], [3, 4], [255, 255]] {
        wire[1..3].copy_from_slice(&version);
        assert_eq!(read(&wire), name("a.example"));
    }
}

#[test]
fn the_first_host_name_of_the_first_list_counts() {
    let two = [entry(0, b"a.example"), entry(0, b"b.example")].concat();
    assert_eq!(read(&hello(&server_name(&two))), name("a.example"));
    let other_kind = [entry(7, b"\xff/"), entry(0, b"b.example")].concat();
    assert_eq!(read(&hello(&server_name(&other_kind))), name("b.example"));
    let twice = [asking_for("a.example"), asking_for("b.example")].concat();
    assert_eq!(read(&hello(&twice)), name("a.example"));
    let none_first = [server_name(&entry(7, b"x")), asking_for("b.example")].concat();
    assert_eq!(refused(&hello(&none_first)), Refusal::NoName);
}

#[test]
fn what_is_no_record_of_a_handshake_is_foreign() {
    for bytes in [
        &b"GET / HTTP/1.0\r\n"[..],
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        b"\x15\x03\x01\x00\x02",
        b"\x17\x03\x03\x00\x00",
        b"\x00\x00\x00\xff\xff",
    ] {
        assert_eq!(refused(bytes), Refusal::Foreign, "{bytes:?}");
        assert_eq!(read(&bytes[..4]), Verdict::NeedMore, "{bytes:?}");
    }
    let mut wire = hello(&asking_for("a.example"));
    wire[5] = 2;
    assert_eq!(refused(&wire[..6]), Refusal::Foreign);
}

#[test]
fn another_record_within_the_message_is_foreign() {
    let message = with_extensions(&asking_for("a.example"));
    let change = b"\x14\x03\x03\x00\x01\x01";
    let wire = [
        record(&message[..20]),
        change.to_vec(),
        record(&message[20..]),
    ]
    .concat();
    assert_eq!(refused(&wire), Refusal::Foreign);
}

#[test]
fn the_length_of_a_record_is_between_1_and_16384() {
    assert_eq!(refused(b"\x16\x03\x01\x00\x00"), Refusal::Malformed);
    assert_eq!(refused(b"\x16\x03\x01\x40\x01"), Refusal::RecordTooLong);
    assert_eq!(refused(b"\x16\x03\x01\xff\xff"), Refusal::RecordTooLong);
    assert_eq!(read(b"\x16\x03\x01\x40\x00"), Verdict::NeedMore);
}

#[test]
fn lengths_that_do_not_fit_are_malformed() {
    let body = head();
    // Each field reaches beyond the message.
    for (at, value) in [(34, 255), (67, 255), (73, 255)] {
        let mut body = body.clone();
        body[at] = value;
        assert_eq!(
            refused(&record(&message(&body))),
            Refusal::Malformed,
            "{at}"
        );
    }
    for short in 0..body.len() {
        let wire = record(&message(&body[..short]));
        assert_eq!(refused(&wire), Refusal::Malformed, "{short}");
    }
    // Where the lengths are of: the block, the extension, its list, the name.
    for (at, wrong) in [(0, 1), (0, -1), (4, 1), (4, -1), (6, 1), (6, -1), (9, 1)] {
        let mut block = sized(2, &asking_for("a.example"));
        let right = u16::from_be_bytes([block[at], block[at + 1]]);
        let wrong = right.wrapping_add_signed(wrong);
        block[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
        let wire = record(&message(&[head(), block].concat()));
        assert_eq!(refused(&wire), Refusal::Malformed, "{at} {wrong}");
    }
    for content in [
        &b""[..],
        b"\0",
        b"\0\x01",
        b"\0\x01\0",
        b"\0\x02\0\0",
        b"\0\x03\0\0\x01",
    ] {
        let wire = hello(&extension(0, content));
        assert_eq!(refused(&wire), Refusal::Malformed, "{content:?}");
    }
    let cut_off = extension(10, b"abc");
    for short in 1..cut_off.len() {
        let wire = hello(&cut_off[..short]);
        assert_eq!(refused(&wire), Refusal::Malformed, "{short}");
    }
}

#[test]
fn a_hello_without_a_name_has_none() {
    let old = record(&message(&head()));
    assert_eq!(refused(&old), Refusal::NoName);
    assert_eq!(refused(&hello(b"")), Refusal::NoName);
    assert_eq!(refused(&hello(&extension(10, b"\0\x1d"))), Refusal::NoName);
    assert_eq!(refused(&hello(&server_name(b""))), Refusal::NoName);
    // That there is none is known only when the last extension has come.
    let wire = hello(&extension(10, b"\0\x1d"));
    assert_eq!(read(&wire[..wire.len() - 1]), Verdict::NeedMore);
}

#[test]
fn an_illegal_name_is_refused_at_its_first_wrong_byte() {
    for byte in 0..=255u8 {
        let wire = hello(&server_name(&entry(0, &[b'a', byte, b'b'])));
        let legal = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        match read(&wire) {
            Verdict::Name(_) => assert!(legal, "{byte}"),
            verdict => assert!(!legal && verdict == Verdict::Refused(Refusal::IllegalName)),
        }
        assert_eq!(read(&wire[..wire.len() - 1]) == Verdict::NeedMore, legal);
    }
    for bad in ["", ".", "..", "a.", ".a", "a..b", "-a", "a.-b"] {
        assert_eq!(refused(&hello(&asking_for(bad))), Refusal::IllegalName);
    }
}

#[test]
fn a_name_that_is_too_long_is_refused_without_being_read() {
    let long = "a.".repeat(127) + "a";
    assert_eq!(long.len(), 255);
    for length in [254, 255] {
        let wire = hello(&asking_for(&long[long.len() - length..]));
        assert_eq!(refused(&wire[..wire.len() - length]), Refusal::IllegalName);
    }
    let longest = "a.".repeat(126) + "a";
    assert_eq!(read(&hello(&asking_for(&longest))), name(&longest));
}

#[test]
fn alerts_are_whole_records() {
    for (refusal, code) in [
        (Refusal::Foreign, 10),
        (Refusal::RecordTooLong, 22),
        (Refusal::Malformed, 50),
        (Refusal::NoName, 112),
        (Refusal::IllegalName, 112),
    ] {
        let bytes = [0x15, 3, 3, 0, 2, 2, code];
        assert_eq!(refusal.alert().record(), bytes);
    }
    assert_eq!(Alert::InternalError.record()[6], 80);
    assert_eq!(Alert::UserCanceled.record()[6], 90);
}

/// Feeds pieces of the given sizes, again and again, until there is a verdict or no byte.
pub(super) fn in_pieces(bytes: &[u8], sizes: &[usize]) -> Verdict {
    let mut parser = ClientHello::default();
    let mut rest = bytes;
    let mut verdict = Verdict::NeedMore;
    for &size in sizes.iter().cycle() {
        if rest.is_empty() || verdict != Verdict::NeedMore {
            break;
        }
        verdict = parser.feed(take(&mut rest, size));
        assert!(parser.message.name.len() <= LONGEST);
    }
    verdict
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_the_same_verdict_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        sizes in prop::collection::vec(1usize..40, 1..8),
    ) {
        let bytes = [&[22, 3, 1, 2, 0, 1, 0][..], &bytes].concat();
        prop_assert_eq!(in_pieces(&bytes, &sizes), read(&bytes));
    }

    #[test]
    fn damaged_hellos_have_the_same_verdict_in_any_pieces(
        record_size in 1usize..200,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        sizes in prop::collection::vec(1usize..40, 1..8),
    ) {
        let extensions = [extension(10, b"\0\x1d"), asking_for("a.example"), extension(21, &[0; 9])];
        let mut wire = records(&with_extensions(&extensions.concat()), record_size);
        for (at, byte) in damage {
            *at.get_mut(&mut wire) = byte;
        }
        prop_assert_eq!(in_pieces(&wire, &sizes), read(&wire));
    }

    #[test]
    fn every_legal_name_is_read_as_it_stands(text in "[a-z0-9][a-z0-9-]{0,20}(\\.[a-z0-9][a-z0-9-]{0,20}){0,5}") {
        prop_assert_eq!(read(&hello(&asking_for(&text))), name(&text));
    }
}
