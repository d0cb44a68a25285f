use super::*;

const OURS: &[u8] = b"our certificate";

fn framed(content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend(content);
    bytes
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(framed(content));
    bytes
}

fn certificates(list: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = list.iter().flat_map(|one| framed(one)).collect();
    message(CERTIFICATE, &framed(&list))
}

/// One of TLS 1.2 in its parts.
fn transcript() -> Vec<Vec<u8>> {
    vec![
        message(1, b"hello"),
        message(2, b"hello, too"),
        certificates(&[b"theirs", b"an authority"]),
        message(12, b"parameters"),
        message(13, b"who are you?"),
        message(14, b""),
        certificates(&[OURS, b"an authority"]),
        message(16, b"public value"),
    ]
}

fn tls13(context: &[u8], hash: usize) -> Vec<u8> {
    let mut message = vec![b' '; 64];
    message.extend(context);
    message.extend(vec![7; hash]);
    message
}

#[test]
fn a_client_signs_its_hash_and_its_transcript() {
    assert_eq!(recognise(&tls13(CONTEXT, 48), OURS), Some(Handshake::Tls13));
    assert_eq!(
        recognise(&transcript().concat(), OURS),
        Some(Handshake::Older)
    );
}

#[test]
fn key_exchange_by_rsa_and_a_staple_are_parts_of_a_handshake_too() {
    let mut without = transcript();
    without.remove(3);
    assert!(is_transcript(&without.concat(), OURS));
    let mut stapled = transcript();
    stapled.insert(3, message(22, b"good"));
    assert!(is_transcript(&stapled.concat(), OURS));
}

#[test]
fn a_transcript_that_lacks_a_part_or_has_one_more_is_none() {
    for place in [0, 1, 2, 4, 5, 6, 7] {
        let mut parts = transcript();
        parts.remove(place);
        assert!(!is_transcript(&parts.concat(), OURS), "{place}");
    }
    for place in 0..=transcript().len() {
        let mut parts = transcript();
        parts.insert(place, message(20, b"finished"));
        assert!(!is_transcript(&parts.concat(), OURS), "{place}");
    }
    let whole = transcript().concat();
    for end in 0..whole.len() {
        assert!(!is_transcript(&whole[..end], OURS), "{end}");
    }
}

#[test]
fn who_shows_another_certificate_has_another_key() {
    assert!(!is_transcript(&transcript().concat(), b"theirs"));
    let mut parts = transcript();
    parts[6] = certificates(&[]);
    assert!(!is_transcript(&parts.concat(), OURS));
}

#[test]
fn what_a_server_signs_no_client_does() {
    let server = tls13(b"TLS 1.3, server CertificateVerify\0", 32);
    assert_eq!(recognise(&server, OURS), None);
    let mut exchange = vec![9; 64];
    exchange.extend([3, 0, 29, 32]);
    exchange.extend([5; 32]);
    assert_eq!(recognise(&exchange, OURS), None);
    assert_eq!(recognise(b"pay the bearer", OURS), None);
}
