//! Reading keys and certificates, in the keeper alone.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::X509;

use super::client::TrustFiles;
use super::folder;
use super::named;
use super::provider::KeyReader;
use super::settings::Version;
use super::trust::{self, Trust};

use crate::sys::words;

/// No honest PEM file is longer; a wrong path (a log, a device) is not read into memory.
const MAX_FILE: u64 = 1024 * 1024;

/// Longer chains and larger ones are no client's to read.
pub const MOST_CERTIFICATES: usize = 32;
const LARGEST_CHAIN: usize = 96 * 1024;
/// A list goes to terminators in one message.
const LARGEST_LIST: usize = 128 * 1024;

/// The log names so many sets of a folder that something is wrong with; after that it counts.
const MOST_WARNINGS: usize = 100;

/// The files of one certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    pub certificate: PathBuf,
    /// True if CERTCHAINFILE named it; only the error line differs.
    pub is_chain: bool,
    pub key: PathBuf,
}

/// All files of one set of keys, as the keeper sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetFiles {
    pub pairs: Vec<PairFiles>,
    /// CERTDIR: more pairs, chosen by name.
    pub folder: Option<PathBuf>,
    pub dh: Option<PathBuf>,
    pub trust: TrustFiles,
    /// Below TLS 1.2 the handshake is signed with SHA-1.
    pub oldest: Version,
}

impl SetFiles {
    /// The single files that are named, each once for every time it is.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.pairs.iter();
        let trust = &self.trust;
        pairs
            .flat_map(|pair| [&pair.certificate, &pair.key])
            .chain(&self.dh)
            .chain(&trust.anchors)
            .chain(&trust.names)
            .chain(&trust.revoked)
    }
}

/// A private key with its certificates in DER, the server's own first.
pub struct Pair {
    pub chain: Vec<Vec<u8>>,
    pub key: PKey<Private>,
    /// The names that the certificate is for.
    pub names: Vec<String>,
}

/// A set that was loaded and found to fit together.
pub struct Material {
    pub pairs: Vec<Pair>,
    pub named: Vec<Pair>,
    pub dh: Option<DhParameters>,
    pub trust: Trust,
    pub oldest: Version,
    /// Things to say that do not stop us, such as an expired certificate.
    pub warnings: Vec<String>,
}

pub struct DhParameters {
    pub pem: Vec<u8>,
    /// Length of the prime.
    pub bits: u32,
}

/// Which file cannot be used, and why.
#[derive(Debug)]
pub struct Unusable {
    what: &'static str,
    file: PathBuf,
    reason: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "{}: {file}: {}", self.what, self.reason)
    }
}

/// Files by path, or by descriptors that the listener opened while it was root.
#[derive(Default)]
pub struct Files {
    pub opened: HashMap<PathBuf, File>,
}

impl Files {
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found;
        let mut file: &File = match self.opened.get(path) {
            Some(file) => file,
            None => {
                found = File::open(path)?;
                &found
            }
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        // A file that several settings name is one descriptor with one position.
        io::Seek::rewind(&mut file)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::other("longer than a megabyte"));
        }
        Ok(bytes)
    }
}

/// Loads a set. `password` opens protected keys. A damaged pair in the folder costs only itself.
pub fn load(
    files: &Files,
    wanted: &SetFiles,
    password: Option<&[u8]>,
) -> Result<Material, Unusable> {
    let mut reader = KeyReader::default();
    let mut warnings = Vec::new();
    let mut pairs = Vec::new();
    for names in &wanted.pairs {
        let (pair, warning) = load_pair(files, names, &mut reader, password)?;
        warnings.extend(warning);
        pairs.push(pair);
    }
    let mut named = Vec::new();
    if let Some(folder) = &wanted.folder {
        let before = warnings.len();
        for names in folder::scan(folder)? {
            match load_pair(files, &names, &mut reader, password) {
                Ok((pair, warning)) => {
                    warnings.extend(warning);
                    if pair.names.is_empty() {
                        let file = names.certificate.display();
                        warnings.push(format!("certificate has no name to choose it by: {file}"));
                    }
                    named.push(pair);
                }
                Err(unusable) => warnings.push(unusable.to_string()),
            }
        }
        let beyond = (warnings.len() - before).saturating_sub(MOST_WARNINGS);
        if beyond > 0 {
            warnings.truncate(before + MOST_WARNINGS);
            let folder = folder.display();
            warnings.push(format!("and so on: {beyond} more in CERTDIR: {folder}"));
        }
    }
    let trust = trust::load(files, &wanted.trust)?;
    let too_long = |list: &Vec<u8>| list.len() > LARGEST_LIST;
    if let Some(path) = wanted.trust.revoked.first()
        && trust.revoked.iter().any(too_long)
    {
        let bad = unusable("unable to load list of revoked certificates", path);
        return Err(bad(format!("longer than {LARGEST_LIST} bytes")));
    }
    Ok(Material {
        pairs,
        named,
        dh: match &wanted.dh {
            Some(path) => Some(load_dh(files, path)?),
            None => None,
        },
        trust,
        oldest: wanted.oldest,
        warnings,
    })
}

/// Loads a key and its certificates, and finds what may be wrong with them all the same.
fn load_pair(
    files: &Files,
    names: &PairFiles,
    reader: &mut KeyReader,
    password: Option<&[u8]>,
) -> Result<(Pair, Option<String>), Unusable> {
    let what = match names.is_chain {
        true => "unable to load certificate chain file",
        false => "unable to load certificate",
    };
    let bad_certificate = unusable(what, &names.certificate);
    let pem = files
        .read(&names.certificate)
        .map_err(|error| bad_certificate(words::reason(&error)))?;
    let chain = X509::stack_from_pem(&pem).map_err(|stack| bad_certificate(reason(&stack)))?;
    let Some(leaf) = chain.first() else {
        return Err(bad_certificate("no PEM certificate in it".into()));
    };
    let warning = validity(leaf, names);
    let host_names = named::names_of(leaf);
    let encoded: Result<Vec<Vec<u8>>, _> = chain.iter().map(|one| one.to_der()).collect();
    let encoded = encoded.map_err(|stack| bad_certificate(reason(&stack)))?;
    let sizes = encoded.iter().map(Vec::len);
    let size: usize = sizes.chain(host_names.iter().map(String::len)).sum();
    if encoded.len() > MOST_CERTIFICATES || size > LARGEST_CHAIN {
        return Err(bad_certificate("too long for a chain".into()));
    }
    let bad_key = unusable("unable to load key", &names.key);
    let pem = files
        .read(&names.key)
        .map_err(|error| bad_key(words::reason(&error)))?;
    let key = match reader.read(&pem) {
        Some(key) => key,
        None => load_key(&pem, password).map_err(&bad_key)?,
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
    let pair = Pair {
        chain: encoded,
        key,
        names: host_names,
    };
    Ok((pair, warning))
}

/// A password file often ends in a newline that is not meant; a password that does is tried first.
fn load_key(pem: &[u8], password: Option<&[u8]>) -> Result<PKey<Private>, String> {
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
            (true, None) => "it needs a password: give -3 and the password on descriptor 3".into(),
            (true, Some(_)) => format!("wrong password? {}", reason(&stack)),
            (false, _) => reason(&stack),
        })
    };
    let trimmed = password.and_then(|password| password.strip_suffix(b"\n"));
    try_with(password).or_else(|error| match trimmed {
        Some(_) => try_with(trimmed).map_err(|_| error),
        None => Err(error),
    })
}

fn load_dh(files: &Files, path: &Path) -> Result<DhParameters, Unusable> {
    let bad = unusable("unable to set DH parameters", path);
    let pem = files
        .read(path)
        .map_err(|error| bad(words::reason(&error)))?;
    let parameters = Dh::params_from_pem(&pem).map_err(|stack| bad(reason(&stack)))?;
    Ok(DhParameters {
        pem: parameters
            .params_to_pem()
            .map_err(|stack| bad(reason(&stack)))?,
        bits: u32::try_from(parameters.prime_p().num_bits()).unwrap_or(0),
    })
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

pub(super) fn unusable(what: &'static str, file: &Path) -> impl Fn(String) -> Unusable {
    move |reason| Unusable {
        what,
        file: file.to_owned(),
        reason,
    }
}

/// The most telling line of OpenSSL's error stack.
pub fn reason(stack: &ErrorStack) -> String {
    let first = stack.errors().iter().find_map(|error| error.reason());
    match first {
        Some("no start line" | "unsupported") => "no PEM data of this kind in it".into(),
        Some(reason) => reason.into(),
        None => "OpenSSL gives no reason".into(),
    }
}
