//! OCSP responses that lie in files, to be shown with a certificate (RFC 6066, 8): read and checked in the keeper. Nobody
//! is asked for newer ones; who keeps the files new also reloads.
#![forbid(unsafe_code)]

use openssl::hash::{MessageDigest, hash};
use openssl::ocsp::{OcspCertStatus, OcspResponse, OcspResponseStatus};
use openssl::x509::X509Ref;

use super::material::reason;
use super::provider::{OcspSingle, ocsp_singles};

/// An honest response has one or two thousand bytes.
const LARGEST: usize = 24 * 1024;

/// An OCSP response to show with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staple {
    /// DER.
    pub response: Vec<u8>,
    /// When it is no longer to be shown, in seconds since 1970.
    pub until: u64,
}

/// What a file is good for.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Good(Staple),
    /// It is what it should be, but not worth showing, and why.
    Useless(String),
}

/// Checks a response for a certificate at a time in seconds since 1970. An error is a file that is something else.
pub fn check(der: &[u8], leaf: &X509Ref, now: u64) -> Result<Verdict, String> {
    if der.len() > LARGEST {
        return Err(format!("longer than {LARGEST} bytes"));
    }
    let response = OcspResponse::from_der(der).map_err(|_| "no OCSP response in DER")?;
    if response.status() != OcspResponseStatus::SUCCESSFUL {
        let status = response.status().as_raw();
        return Err(format!("the responder refused to answer: status {status}"));
    }
    let basic = response.basic().map_err(|stack| reason(&stack))?;
    let singles = ocsp_singles(&basic);
    let single = singles
        .iter()
        .find(|single| is_for(single, leaf))
        .ok_or("it is about another certificate")?;
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let is_over = |until: i64| until <= now;
    Ok(if single.status != OcspCertStatus::GOOD {
        let what = match single.status {
            OcspCertStatus::REVOKED => "it says that the certificate is revoked",
            _ => "it says that the certificate is unknown",
        };
        Verdict::Useless(what.into())
    } else if single.until.is_some_and(is_over) {
        Verdict::Useless("it has expired".into())
    } else if single.from > now {
        Verdict::Useless("it is not valid yet".into())
    } else {
        let until = single.until.unwrap_or(i64::MAX);
        Verdict::Good(Staple {
            response: der.to_vec(),
            until: until.try_into().unwrap_or(0),
        })
    })
}

/// Serial number and issuer say which certificate is meant. A digest that the library does not know tells of no issuer.
fn is_for(single: &OcspSingle, leaf: &X509Ref) -> bool {
    let serial = leaf.serial_number().to_bn();
    let same_serial = serial.is_ok_and(|serial| serial == single.serial);
    let issuer = leaf.issuer_name().to_der().ok();
    let digest = MessageDigest::from_nid(single.digest);
    let hashed = digest
        .zip(issuer)
        .and_then(|(digest, issuer)| hash(digest, &issuer).ok());
    same_serial && hashed.is_none_or(|hashed| *hashed == *single.issuer)
}

#[cfg(test)]
pub mod tests {
    use openssl::asn1::{Asn1Integer, Asn1Time};
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::{X509, X509Name};

    use super::*;

    const GOOD: &[u8] = &[0x80, 0];
    const REVOKED: &[u8] = b"\xa1\x11\x18\x0f20200101000000Z";
    const UNKNOWN: &[u8] = &[0x82, 0];
    /// 2020-01-01 and 2030-01-01
    const FROM: u64 = 1_577_836_800;
    pub const UNTIL: u64 = 1_893_456_000;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], &content[..]].concat()
    }

    /// A response about a certificate, signed by nobody.
    pub fn response(leaf: &X509Ref, status: &[u8], limited: bool) -> Vec<u8> {
        let issuer = leaf.issuer_name().to_der().unwrap();
        let issuer = hash(MessageDigest::sha1(), &issuer).unwrap();
        let serial = leaf.serial_number().to_bn().unwrap().to_vec();
        let sha1 = der(0x30, &[&[6, 5, 0x2b, 0x0e, 3, 2, 0x1a]]);
        let key_hash = der(4, &[&[7; 20]]);
        let id = [
            &sha1[..],
            &der(4, &[&issuer]),
            &key_hash,
            &der(2, &[&serial]),
        ];
        let next = der(0xa0, &[&der(0x18, &[b"20300101000000Z"])]);
        let first = der(0x18, &[b"20200101000000Z"]);
        let next = if limited { &next[..] } else { &[] };
        let single = der(0x30, &[&der(0x30, &id), status, &first, next]);
        let responder = der(0xa2, &[&der(4, &[&[7; 20]])]);
        let data = der(0x30, &[&responder, &first, &der(0x30, &[&single])]);
        let algorithm = der(0x30, &[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
        let basic = der(0x30, &[&data, &algorithm, &der(3, &[&[0, 1, 2]])]);
        let kind = [6, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
        let bytes = der(0x30, &[&kind, &der(4, &[&basic])]);
        der(0x30, &[&[0x0a, 1, 0], &der(0xa0, &[&bytes])])
    }

    pub fn good(leaf: &X509Ref) -> Vec<u8> {
        response(leaf, GOOD, true)
    }

    fn certificate(serial: u32, issuer: &str) -> X509 {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut builder = X509::builder().unwrap();
        let serial = BigNum::from_u32(serial).unwrap();
        builder
            .set_serial_number(&Asn1Integer::from_bn(&serial).unwrap())
            .unwrap();
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_nid(Nid::COMMONNAME, issuer).unwrap();
        builder.set_issuer_name(&name.build()).unwrap();
        let (start, end) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
        builder.set_not_before(&start.unwrap()).unwrap();
        builder.set_not_after(&end.unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build()
    }

    #[test]
    fn a_good_response_is_shown_until_the_next_one_is_due() {
        let leaf = certificate(77, "one");
        let file = good(&leaf);
        let staple = |until| {
            let response = file.clone();
            Ok(Verdict::Good(Staple { response, until }))
        };
        assert_eq!(check(&file, &leaf, FROM), staple(UNTIL));
        assert_eq!(check(&file, &leaf, UNTIL - 1), staple(UNTIL));
        let unlimited = response(&leaf, GOOD, false);
        let Ok(Verdict::Good(staple)) = check(&unlimited, &leaf, UNTIL) else {
            panic!("it is good")
        };
        assert_eq!(staple.until, i64::MAX as u64);
    }

    #[test]
    fn one_that_is_over_or_does_not_speak_well_is_useless() {
        let leaf = certificate(77, "one");
        let useless = |file: &[u8], now| match check(file, &leaf, now) {
            Ok(Verdict::Useless(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(useless(&good(&leaf), UNTIL), "it has expired");
        assert_eq!(useless(&good(&leaf), FROM - 1), "it is not valid yet");
        for (status, word) in [(REVOKED, "revoked"), (UNKNOWN, "unknown")] {
            let file = response(&leaf, status, true);
            assert!(useless(&file, FROM).ends_with(word));
        }
    }

    #[test]
    fn whatever_is_no_response_for_this_certificate_is_an_error() {
        let leaf = certificate(77, "one");
        for other in [certificate(78, "one"), certificate(77, "two")] {
            let error = check(&good(&other), &leaf, FROM).unwrap_err();
            assert_eq!(error, "it is about another certificate");
        }
        let file = good(&leaf);
        assert!(check(&file[..file.len() - 1], &leaf, FROM).is_err());
        assert!(check(b"once upon a time", &leaf, FROM).is_err());
        let busy = [0x30, 3, 0x0a, 1, 3];
        let error = check(&busy, &leaf, FROM).unwrap_err();
        assert!(error.ends_with("status 3"), "{error}");
    }
}
