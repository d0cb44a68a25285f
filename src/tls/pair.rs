//! One private key with its certificates.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::X509;

use super::material::{Files, MOST_CERTIFICATES, PairFiles, Unusable, reason, unusable};
use super::named;
use super::pem;
use super::provider::KeyReader;
use crate::sys::words;

/// A larger chain is no client's to read.
const LARGEST_CHAIN: usize = 96 * 1024;

/// A private key with its certificates in DER, the server's own first.
pub struct Pair {
    pub chain: Vec<Vec<u8>>,
    pub key: PKey<Private>,
    /// The names that the certificate is for.
    pub names: Vec<String>,
}

/// A few signers vouch for thousands, and reading a certificate takes longer than anything else: so many of theirs are
/// read only once.
const KNOWN_SIGNERS: usize = 256;

/// As the library takes it.
const CERTIFICATE: [&[u8]; 2] = [b"CERTIFICATE", b"X509 CERTIFICATE"];

/// Reads keys with their certificates.
pub struct Loader<'a> {
    pub files: &'a Files,
    reader: KeyReader,
    /// DER by PEM.
    signers: HashMap<Vec<u8>, Vec<u8>>,
    /// Opens protected keys.
    password: Option<&'a [u8]>,
    /// What to say of a protected key when there is no password.
    without: &'static str,
}

/// A key with its certificates, and what may be wrong with them all the same.
pub struct Loaded {
    pub pair: Pair,
    pub leaf: X509,
    pub warning: Option<String>,
    /// The file of the certificate, in which there may be more.
    pub pem: Vec<u8>,
}

impl<'a> Loader<'a> {
    pub fn new(files: &'a Files, password: Option<&'a [u8]>, without: &'static str) -> Loader<'a> {
        Loader {
            files,
            reader: KeyReader::default(),
            signers: HashMap::new(),
            password,
            without,
        }
    }

    pub fn load(&mut self, names: &PairFiles) -> Result<Loaded, Unusable> {
        let what = match names.is_chain {
            true => "unable to load certificate chain file",
            false => "unable to load certificate",
        };
        let bad_certificate = unusable(what, &names.certificate);
        let pem = self
            .files
            .read(&names.certificate)
            .map_err(|error| bad_certificate(words::reason(&error)))?;
        let (leaf, encoded) = self.chain(&pem).map_err(&bad_certificate)?;
        let host_names = named::names_of(&leaf);
        let sizes = encoded.iter().map(Vec::len);
        let size: usize = sizes.chain(host_names.iter().map(String::len)).sum();
        if encoded.len() > MOST_CERTIFICATES || size > LARGEST_CHAIN {
            return Err(bad_certificate("too long for a chain".into()));
        }
        let bad_key = unusable("unable to load key", &names.key);
        let apart = match names.key == names.certificate {
            true => None,
            false => Some(
                self.files
                    .read(&names.key)
                    .map_err(|error| bad_key(words::reason(&error)))?,
            ),
        };
        let key_pem = apart.as_deref().unwrap_or(&pem);
        let key = match self.reader.read(key_pem) {
            Some(key) => key,
            None => self.load_key(key_pem).map_err(&bad_key)?,
        };
        let fits = leaf.public_key().is_ok_and(|public| public.public_eq(&key));
        if !fits {
            let certificate = names.certificate.display();
            return Err(unusable("key does not match certificate", &names.key)(
                format!("the certificate is {certificate}"),
            ));
        }
        if !matches!(key.id(), Id::RSA | Id::EC | Id::ED25519) {
            return Err(bad_key(
                "only RSA, ECDSA and Ed25519 keys are served".into(),
            ));
        }
        Ok(Loaded {
            pair: Pair {
                chain: encoded,
                key,
                names: host_names,
            },
            warning: validity(&leaf, names),
            leaf,
            pem,
        })
    }

    /// The first certificate, and all of them in DER.
    fn chain(&mut self, pem: &[u8]) -> Result<(X509, Vec<Vec<u8>>), String> {
        let bad = |stack: ErrorStack| reason(&stack);
        let mut blocks = pem::blocks(pem).filter(|block| CERTIFICATE.contains(&block.label));
        let leaf = blocks.next().ok_or("no PEM certificate in it")?;
        let leaf = X509::from_pem(leaf.text).map_err(bad)?;
        let mut encoded = vec![leaf.to_der().map_err(bad)?];
        for block in blocks {
            if let Some(known) = self.signers.get(block.text) {
                encoded.push(known.clone());
                continue;
            }
            let der = X509::from_pem(block.text).and_then(|signer| signer.to_der());
            let der = der.map_err(bad)?;
            if self.signers.len() < KNOWN_SIGNERS {
                self.signers.insert(block.text.to_vec(), der.clone());
            }
            encoded.push(der);
        }
        Ok((leaf, encoded))
    }

    /// A password file often ends in a newline that is not meant; a password that does is tried first.
    fn load_key(&self, pem: &[u8]) -> Result<PKey<Private>, String> {
        let try_with = |password: Option<&[u8]>| {
            let mut asked = false;
            let key = PKey::private_key_from_pem_callback(pem, |buffer| {
                asked = true;
                let password = password.unwrap_or_default();
                let fits = password.len() <= buffer.len();
                let length = if fits { password.len() } else { 0 };
                buffer[..length].copy_from_slice(&password[..length]);
                Ok(length)
            });
            key.map_err(|stack| match (asked, password) {
                (true, None) => self.without.into(),
                (true, Some(_)) => format!("wrong password? {}", reason(&stack)),
                (false, _) => reason(&stack),
            })
        };
        let trimmed = self
            .password
            .and_then(|password| password.strip_suffix(b"\n"));
        try_with(self.password).or_else(|error| match trimmed {
            Some(_) => try_with(trimmed).map_err(|_| error),
            None => Err(error),
        })
    }
}

fn validity(leaf: &X509, names: &PairFiles) -> Option<String> {
    let now = Asn1Time::days_from_now(0).ok()?;
    let file = names.certificate.display();
    if leaf.not_after() < &*now {
        let end = leaf.not_after();
        return Some(format!("certificate has expired: {file}: since {end}"));
    }
    if leaf.not_before() > &*now {
        let start = leaf.not_before();
        return Some(format!(
            "certificate is not valid yet: {file}: from {start}"
        ));
    }
    None
}
