//! What a handshake signs, and nothing else: the keeper checks each request against this before it touches a key,
//! so that a captured session cannot have a document, a bare digest or, with a server's key, a client's proof signed.
#![forbid(unsafe_code)]

mod client;

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKeyRef, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};

use super::settings::Version;

/// RFC 8446, 4.4.3.
const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
const RANDOMS: usize = 64;

/// Signature schemes by their number in TLS (RFC 8446, 4.2.3). TLS 1.0 and 1.1 sign with RSA over MD5 and SHA-1
/// together, which has no number there; it gets one of the private range.
pub mod scheme {
    pub const RSA_MD5_SHA1: u16 = 0xfe00;
    pub const RSA_PKCS1_SHA1: u16 = 0x0201;
    pub const ECDSA_SHA1: u16 = 0x0203;
    pub const RSA_PKCS1_SHA256: u16 = 0x0401;
    pub const ECDSA_SHA256: u16 = 0x0403;
    pub const RSA_PKCS1_SHA384: u16 = 0x0501;
    pub const ECDSA_SHA384: u16 = 0x0503;
    pub const RSA_PKCS1_SHA512: u16 = 0x0601;
    pub const ECDSA_SHA512: u16 = 0x0603;
    pub const RSA_PSS_SHA256: u16 = 0x0804;
    pub const RSA_PSS_SHA384: u16 = 0x0805;
    pub const RSA_PSS_SHA512: u16 = 0x0806;
    pub const ED25519: u16 = 0x0807;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshake {
    Tls13,
    /// ServerKeyExchange or the client's CertificateVerify of TLS 1.2 and older.
    Older,
}

/// Why nothing was signed.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    NotAHandshake,
    /// The scheme does not go with the key, or is too weak for the protocol versions in use.
    Scheme(u16),
    Library(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NotAHandshake => f.write_str("the message is no server handshake"),
            Refusal::Scheme(number) => {
                write!(f, "signature scheme {number:#06x} is not for this key")
            }
            Refusal::Library(reason) => f.write_str(reason),
        }
    }
}

/// Signs a server's handshake message with the padding and digest that key and message call for.
/// SHA-1 is used only where `oldest` lets a protocol older than TLS 1.2 in.
pub fn sign(
    key: &PKeyRef<Private>,
    number: u16,
    message: &[u8],
    oldest: Version,
) -> Result<Vec<u8>, Refusal> {
    let handshake = recognise(message).ok_or(Refusal::NotAHandshake)?;
    sign_as(handshake, key, number, message, oldest)
}

/// The same for a client that showed this certificate (DER).
pub fn prove(
    key: &PKeyRef<Private>,
    number: u16,
    message: &[u8],
    oldest: Version,
    certificate: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let handshake = client::recognise(message, certificate).ok_or(Refusal::NotAHandshake)?;
    sign_as(handshake, key, number, message, oldest)
}

fn sign_as(
    handshake: Handshake,
    key: &PKeyRef<Private>,
    number: u16,
    message: &[u8],
    oldest: Version,
) -> Result<Vec<u8>, Refusal> {
    let refused = Refusal::Scheme(number);
    let (id, digest, padding) = match number {
        scheme::RSA_MD5_SHA1 => (Id::RSA, md5_sha1(), Some(Padding::PKCS1)),
        scheme::RSA_PKCS1_SHA1 => (Id::RSA, Some(MessageDigest::sha1()), Some(Padding::PKCS1)),
        scheme::RSA_PKCS1_SHA256 => (Id::RSA, Some(MessageDigest::sha256()), Some(Padding::PKCS1)),
        scheme::RSA_PKCS1_SHA384 => (Id::RSA, Some(MessageDigest::sha384()), Some(Padding::PKCS1)),
        scheme::RSA_PKCS1_SHA512 => (Id::RSA, Some(MessageDigest::sha512()), Some(Padding::PKCS1)),
        scheme::RSA_PSS_SHA256 => (
            Id::RSA,
            Some(MessageDigest::sha256()),
            Some(Padding::PKCS1_PSS),
        ),
        scheme::RSA_PSS_SHA384 => (
            Id::RSA,
            Some(MessageDigest::sha384()),
            Some(Padding::PKCS1_PSS),
        ),
        scheme::RSA_PSS_SHA512 => (
            Id::RSA,
            Some(MessageDigest::sha512()),
            Some(Padding::PKCS1_PSS),
        ),
        scheme::ECDSA_SHA1 => (Id::EC, Some(MessageDigest::sha1()), None),
        scheme::ECDSA_SHA256 => (Id::EC, Some(MessageDigest::sha256()), None),
        scheme::ECDSA_SHA384 => (Id::EC, Some(MessageDigest::sha384()), None),
        scheme::ECDSA_SHA512 => (Id::EC, Some(MessageDigest::sha512()), None),
        scheme::ED25519 => (Id::ED25519, None, None),
        _ => return Err(refused),
    };
    let old = matches!(
        number,
        scheme::RSA_MD5_SHA1 | scheme::RSA_PKCS1_SHA1 | scheme::ECDSA_SHA1
    );
    let padded_for_13 = padding != Some(Padding::PKCS1) && !old;
    if key.id() != id
        || old && oldest >= Version::Tls12
        || handshake == Handshake::Tls13 && !padded_for_13
    {
        return Err(refused);
    }
    compute(key, digest, padding, message).map_err(|stack| Refusal::Library(stack.to_string()))
}

fn compute(
    key: &PKeyRef<Private>,
    digest: Option<MessageDigest>,
    padding: Option<Padding>,
    message: &[u8],
) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let Some(digest) = digest else {
        return Signer::new_without_digest(key)?.sign_oneshot_to_vec(message);
    };
    let mut signer = Signer::new(digest, key)?;
    if let Some(padding) = padding {
        signer.set_rsa_padding(padding)?;
        if padding == Padding::PKCS1_PSS {
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            signer.set_rsa_mgf1_md(digest)?;
        }
    }
    signer.sign_oneshot_to_vec(message)
}

fn md5_sha1() -> Option<MessageDigest> {
    MessageDigest::from_nid(Nid::MD5_SHA1)
}

fn recognise(message: &[u8]) -> Option<Handshake> {
    if is_tls13(message, CONTEXT) {
        return Some(Handshake::Tls13);
    }
    let (_, rest) = message.split_at_checked(RANDOMS)?;
    (is_ecdhe(rest) || is_dhe(rest)).then_some(Handshake::Older)
}

/// 64 blanks, who signs, and a hash of the handshake so far.
fn is_tls13(message: &[u8], context: &[u8]) -> bool {
    let hash = message.split_at_checked(64).and_then(|(blanks, rest)| {
        let are_blank = blanks.iter().all(|&byte| byte == b' ');
        rest.strip_prefix(context).filter(|_| are_blank)
    });
    hash.is_some_and(|hash| matches!(hash.len(), 32 | 48))
}

/// ServerECDHParams with a named curve (RFC 8422, 5.4).
fn is_ecdhe(parameters: &[u8]) -> bool {
    match parameters {
        [3, _, _, length, point @ ..] => *length > 0 && point.len() == usize::from(*length),
        _ => false,
    }
}

/// ServerDHParams (RFC 5246, 7.4.3): prime, generator and public value, each behind its length.
fn is_dhe(mut parameters: &[u8]) -> bool {
    for _ in 0..3 {
        let Some((length, rest)) = parameters.split_first_chunk::<2>() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > 1024 || rest.len() < length {
            return false;
        }
        parameters = &rest[length..];
    }
    parameters.is_empty()
}

#[cfg(test)]
mod tests;
