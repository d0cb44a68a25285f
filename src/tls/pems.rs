//! What the proxy's keeper reads: every PEM of every frontend, and the authorities that clients' certificates, or the
//! backend's, are traced back to. All of it, or nothing.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::ssl::{SslContext, SslMethod};
use openssl::x509::{X509, X509Ref};

use super::client::TrustFiles;
use super::material::{
    DhParameters, Files, MOST_KEYS, MOST_WARNINGS, PairFiles, Unusable, reason, unusable,
};
use super::pair::{Loaded, Loader, Pair};
use super::pem;
use super::settings::Version;
use super::staple::{self, Staple, Verdict};
use super::trust;
use crate::sys::words;

/// Shorter parameters have been broken, or nearly so; in longer ones there is no sense.
const SHORTEST_DH: u32 = 2048;
const LONGEST_DH: u32 = 8192;

/// A set of PEMs by their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFiles {
    pub pems: Vec<PemFile>,
    /// Every file of authorities that somebody needs, each once.
    pub authorities: Vec<PathBuf>,
    /// The system's authorities as well, behind those.
    pub system: bool,
    /// Below TLS 1.2 the handshake is signed with SHA-1.
    pub oldest: Version,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    pub certificate: PathBuf,
    /// The same file, unless the key has one of its own.
    pub key: PathBuf,
    /// An OCSP response in DER.
    pub staple: Option<PathBuf>,
    /// It is there for clients that name nobody, so that it needs no name.
    pub is_default: bool,
}

/// A PEM that was read and found to fit together.
pub struct Pem {
    pub pair: Pair,
    pub staple: Option<Staple>,
    pub dh: Option<DhParameters>,
}

/// All that was read, in the order of the files.
pub struct Pems {
    pub pems: Vec<Pem>,
    /// Lists of certificates in DER.
    pub authorities: Vec<Vec<Vec<u8>>>,
    /// Things to say that do not stop us.
    pub warnings: Vec<String>,
}

/// Reads all of it.
pub fn load(files: &Files, wanted: &PemFiles) -> Result<Pems, Unusable> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let without =
        "it is encrypted, and nobody is there to give the password; decrypt it with: openssl pkey";
    let mut loader = Loader::new(files, None, without);
    if let Some(file) = wanted.pems.get(MOST_KEYS) {
        let beyond = unusable("too many certificates", &file.certificate);
        return Err(beyond(format!("there is room for {MOST_KEYS} before it")));
    }
    let mut warnings = Vec::new();
    let mut pems = Vec::with_capacity(wanted.pems.len());
    // Takes what any server takes. Without one the first handshake will tell.
    let mut probe = SslContext::builder(SslMethod::tls_server()).ok();
    for file in &wanted.pems {
        let (pem, leaf) = load_pem(&mut loader, file, now, &mut warnings)?;
        pems.push(pem);
        if let Some(Err(stack)) = probe.as_mut().map(|probe| probe.set_certificate(&leaf)) {
            let (path, why) = (file.certificate.display(), reason(&stack));
            warnings.push(format!(
                "certificate is too weak unless ciphers set a lower security level: {path}: {why}"
            ));
        }
    }
    let mut authorities = Vec::new();
    for path in &wanted.authorities {
        let wanted = TrustFiles {
            anchors: vec![path.clone()],
            ..TrustFiles::default()
        };
        authorities.push(trust::load(files, &wanted)?.anchors);
    }
    if wanted.system {
        authorities.push(trust::system(files)?);
    }
    let beyond = warnings.len().saturating_sub(MOST_WARNINGS);
    if beyond > 0 {
        warnings.truncate(MOST_WARNINGS);
        warnings.push(format!("and so on: {beyond} more"));
    }
    Ok(Pems {
        pems,
        authorities,
        warnings,
    })
}

fn load_pem(
    loader: &mut Loader<'_>,
    file: &PemFile,
    now: u64,
    warnings: &mut Vec<String>,
) -> Result<(Pem, X509), Unusable> {
    let Loaded {
        pair,
        leaf,
        warning,
        pem,
    } = loader.load(&PairFiles {
        certificate: file.certificate.clone(),
        is_chain: false,
        key: file.key.clone(),
    })?;
    warnings.extend(warning);
    let path = file.certificate.display();
    if pair.names.is_empty() && !file.is_default {
        warnings.push(format!(
            "certificate has no name, so that nobody is served with it: {path}"
        ));
    }
    let dh = load_dh(file, &pem, warnings)?;
    let staple = match &file.staple {
        None => None,
        Some(path) => load_staple(loader.files, path, &leaf, now, warnings)?,
    };
    Ok((Pem { pair, staple, dh }, leaf))
}

fn load_staple(
    files: &Files,
    path: &Path,
    leaf: &X509Ref,
    now: u64,
    warnings: &mut Vec<String>,
) -> Result<Option<Staple>, Unusable> {
    let bad = unusable("unable to load OCSP response", path);
    let response = files
        .read(path)
        .map_err(|error| bad(words::reason(&error)))?;
    match staple::check(&response, leaf, now).map_err(bad)? {
        Verdict::Good(staple) => Ok(Some(staple)),
        Verdict::Useless(why) => {
            let path = path.display();
            warnings.push(format!("OCSP response is not shown: {path}: {why}"));
            Ok(None)
        }
    }
}

/// DH parameters that stand among the rest, as stud's users put them there.
fn load_dh(
    file: &PemFile,
    pem: &[u8],
    warnings: &mut Vec<String>,
) -> Result<Option<DhParameters>, Unusable> {
    let mut blocks = pem::blocks(pem);
    let Some(block) = blocks.find(|block| block.label.ends_with(b"DH PARAMETERS")) else {
        return Ok(None);
    };
    let bad = unusable("unable to set DH parameters", &file.certificate);
    let dh = DhParameters::parse(block.text).map_err(|stack| bad(reason(&stack)))?;
    if dh.bits > LONGEST_DH {
        return Err(bad(format!("more than {LONGEST_DH} bits")));
    }
    if dh.bits < SHORTEST_DH {
        let (path, bits) = (file.certificate.display(), dh.bits);
        warnings.push(format!(
            "DH parameters are not used: {path}: {bits} bits are fewer than {SHORTEST_DH}"
        ));
        return Ok(None);
    }
    Ok(Some(dh))
}

#[cfg(test)]
mod tests;
