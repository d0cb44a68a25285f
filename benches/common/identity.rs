//! Throw-away certificates and keys, for those benchmarks whose servers speak TLS.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Name};

use crate::common::scratch::Scratch;

pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What clients must see.
    pub certificate_der: Vec<u8>,
}

pub fn make(scratch: &Scratch, name: &str, private: &PKey<Private>) -> Result<Identity, String> {
    let trouble = |e: ErrorStack| format!("unable to make a certificate: {e}");
    let x509 = self_signed(private).map_err(trouble)?;
    let certificate_pem = x509.to_pem().map_err(trouble)?;
    let key_pem = private.private_key_to_pem_pkcs8().map_err(trouble)?;
    Ok(Identity {
        certificate: scratch.write(&format!("{name}-certificate.pem"), &certificate_pem)?,
        key: scratch.write(&format!("{name}-key.pem"), &key_pem)?,
        certificate_der: x509.to_der().map_err(trouble)?,
    })
}

pub fn p256() -> Result<PKey<Private>, String> {
    EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
        .and_then(|group| EcKey::generate(&group))
        .and_then(PKey::from_ec_key)
        .map_err(|e| format!("unable to make a key: {e}"))
}

fn self_signed(key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    certificate.set_not_after(Asn1Time::days_from_now(7)?.as_ref())?;
    certificate.set_pubkey(key)?;
    certificate.sign(key, MessageDigest::sha256())?;
    Ok(certificate.build())
}
