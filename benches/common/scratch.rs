//! A directory for what one run needs: throw-away certificates and keys, settings, logs.
#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Name};

/// Removed with everything in it at the end.
pub struct Scratch {
    pub directory: PathBuf,
}

pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What clients must see.
    pub certificate_der: Vec<u8>,
}

impl Scratch {
    pub fn make() -> Result<Scratch, String> {
        let directory = std::env::temp_dir().join(format!("sslserver-bench-{}", process::id()));
        fs::create_dir(&directory)
            .map_err(|e| format!("unable to make {}: {e}", directory.display()))?;
        let scratch = Scratch { directory };
        set_mode(&scratch.directory, 0o755)?;
        Ok(scratch)
    }

    /// Anybody may read the file, because the servers read it as different users; it lives as long as this run.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, String> {
        let file = self.directory.join(name);
        fs::write(&file, content)
            .map_err(|e| format!("unable to write {}: {e}", file.display()))?;
        set_mode(&file, 0o644)?;
        Ok(file)
    }

    pub fn identity(&self, name: &str, private: &PKey<Private>) -> Result<Identity, String> {
        let trouble = |e: ErrorStack| format!("unable to make a certificate: {e}");
        let x509 = self_signed(private).map_err(trouble)?;
        let certificate_pem = x509.to_pem().map_err(trouble)?;
        let key_pem = private.private_key_to_pem_pkcs8().map_err(trouble)?;
        Ok(Identity {
            certificate: self.write(&format!("{name}-certificate.pem"), &certificate_pem)?,
            key: self.write(&format!("{name}-key.pem"), &key_pem)?,
            certificate_der: x509.to_der().map_err(trouble)?,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.directory) {
            eprintln!("unable to remove {}: {e}", self.directory.display());
        }
    }
}

pub fn p256() -> Result<PKey<Private>, String> {
    EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
        .and_then(|group| EcKey::generate(&group))
        .and_then(PKey::from_ec_key)
        .map_err(|e| format!("unable to make a key: {e}"))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|e| format!("unable to set the mode of {}: {e}", path.display()))
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
