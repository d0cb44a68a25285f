use openssl::ec::{EcGroup, EcKey};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Verifier;

use super::*;

fn tls13(hash: usize) -> Vec<u8> {
    let mut message = vec![b' '; 64];
    message.extend(CONTEXT);
    message.extend(vec![7; hash]);
    message
}

fn ecdhe() -> Vec<u8> {
    let mut message = vec![9; 64];
    message.extend([3, 0, 29, 32]);
    message.extend([5; 32]);
    message
}

fn dhe() -> Vec<u8> {
    let mut message = vec![9; 64];
    for part in [&[1u8; 256][..], &[2], &[3; 256]] {
        message.extend((part.len() as u16).to_be_bytes());
        message.extend(part);
    }
    message
}

fn ec() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

#[test]
fn the_three_kinds_of_handshake_are_recognised() {
    assert_eq!(recognise(&tls13(32)), Some(Handshake::Tls13));
    assert_eq!(recognise(&tls13(48)), Some(Handshake::Tls13));
    assert_eq!(recognise(&ecdhe()), Some(Handshake::Older));
    assert_eq!(recognise(&dhe()), Some(Handshake::Older));
}

#[test]
fn whatever_is_no_handshake_is_refused() {
    let client = {
        let mut message = vec![b' '; 64];
        message.extend(b"TLS 1.3, client CertificateVerify\0");
        message.extend([7; 32]);
        message
    };
    let mut longer = ecdhe();
    longer.push(0);
    let mut unfinished = dhe();
    unfinished.pop();
    let key = ec();
    for message in [
        &b""[..],
        b"pay the bearer",
        &[0; 32],
        &tls13(20),
        &client,
        &longer,
        &unfinished,
        &ecdhe()[..64],
    ] {
        let refused = sign(&key, scheme::ECDSA_SHA256, message, Version::Tls12);
        assert_eq!(refused, Err(Refusal::NotAHandshake), "{message:?}");
    }
}

#[test]
fn a_signature_verifies_with_the_public_half() {
    let key = ec();
    let signature = sign(&key, scheme::ECDSA_SHA256, &tls13(32), Version::Tls12).unwrap();
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
    assert!(verifier.verify_oneshot(&signature, &tls13(32)).unwrap());
}

#[test]
fn a_scheme_of_another_kind_of_key_is_refused() {
    for number in [scheme::RSA_PSS_SHA256, scheme::ED25519, 0x1234] {
        let refused = sign(&ec(), number, &tls13(32), Version::Tls12);
        assert_eq!(refused, Err(Refusal::Scheme(number)));
    }
}

#[test]
fn tls_1_3_is_never_signed_with_the_old_rsa_padding() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let number = scheme::RSA_PKCS1_SHA256;
    let refused = sign(&key, number, &tls13(32), Version::Tls12);
    assert_eq!(refused, Err(Refusal::Scheme(number)));
    assert!(sign(&key, number, &ecdhe(), Version::Tls12).is_ok());
    assert!(sign(&key, scheme::RSA_PSS_SHA256, &tls13(32), Version::Tls12).is_ok());
}

#[test]
fn sha_1_is_only_for_those_who_let_old_protocols_in() {
    let number = scheme::ECDSA_SHA1;
    let refused = sign(&ec(), number, &ecdhe(), Version::Tls12);
    assert_eq!(refused, Err(Refusal::Scheme(number)));
    assert!(sign(&ec(), number, &ecdhe(), Version::Tls10).is_ok());
}
