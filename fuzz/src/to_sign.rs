//! What a keeper is asked to sign, by a session that may have been taken over: a server's part of a handshake, a client's
//! hash, or all messages of a client's handshake so far. Nothing else is signed, and no more than that.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sign::Verifier;
use sslserver::tls::settings::Version;
use sslserver::tls::signing::{self, Refusal, scheme};

type Signed = Result<Vec<u8>, Refusal>;

static KEY: LazyLock<PKey<Private>> = LazyLock::new(|| {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
});

/// Nobody parses it.
const CERTIFICATE: &[u8] = b"our certificate";

/// The first two bytes are the number of the scheme.
pub fn run(bytes: &[u8]) -> bool {
    let Some((number, message)) = bytes.split_first_chunk::<2>() else {
        return false;
    };
    let number = u16::from_be_bytes(*number);
    let sign = |message: &[u8]| signing::sign(&KEY, number, message, Version::Tls12);
    let prove = |message: &[u8]| prove(number, message, CERTIFICATE);
    let (signed, proved) = (sign(message), prove(message));
    if let Ok(signature) = &signed {
        check(number, message, signature, sign);
    }
    if let Ok(signature) = &proved {
        check(number, message, signature, prove);
    }
    if proved.is_ok() && !message.starts_with(&[b' '; 64]) {
        // A client's messages so far have its own certificate among them.
        assert_eq!(messages(message).next(), Some(1));
        assert_eq!(messages(message).last(), Some(16));
        assert!(
            message
                .windows(CERTIFICATE.len())
                .any(|part| part == CERTIFICATE)
        );
        assert!(self::prove(number, message, b"another's").is_err());
    }
    signed.is_ok() || proved.is_ok()
}

fn prove(number: u16, message: &[u8], certificate: &[u8]) -> Signed {
    signing::prove(&KEY, number, message, Version::Tls12, certificate)
}

/// It is a signature of just that, and what is longer or shorter is not signed.
fn check(number: u16, message: &[u8], signature: &[u8], sign: impl Fn(&[u8]) -> Signed) {
    let digest = match number {
        scheme::ECDSA_SHA256 => MessageDigest::sha256(),
        scheme::ECDSA_SHA384 => MessageDigest::sha384(),
        scheme::ECDSA_SHA512 => MessageDigest::sha512(),
        other => panic!("scheme {other:#06x} is none of this key's"),
    };
    let mut verifier = Verifier::new(digest, &KEY).unwrap();
    assert!(verifier.verify_oneshot(signature, message).unwrap());
    let longer = [message, &[0]].concat();
    for other in [&longer, &message[..message.len() - 1]] {
        assert_eq!(sign(other), Err(Refusal::NotAHandshake));
    }
}

/// The kinds of messages that stand one behind the other.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let ([kind, length @ ..], behind) = rest.split_first_chunk::<4>()?;
        let length = length
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        rest = &behind[length..];
        Some(*kind)
    })
}
