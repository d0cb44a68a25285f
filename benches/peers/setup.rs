//! What every run needs before the first server starts: a directory with a throw-away certificate
//! and key, rules, enough descriptors, and what is to be said about the machine.
#![forbid(unsafe_code)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Name};

/// Removed with everything in it at the end.
pub struct Materials {
    pub directory: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What clients must see.
    pub certificate_der: Vec<u8>,
}

impl Materials {
    pub fn make() -> Result<Materials, String> {
        let directory = std::env::temp_dir().join(format!("sslserver-bench-{}", process::id()));
        fs::create_dir(&directory)
            .map_err(|e| format!("unable to make {}: {e}", directory.display()))?;
        let trouble = |e: ErrorStack| format!("unable to make a certificate: {e}");
        let (x509, private) = self_signed().map_err(trouble)?;
        let certificate_pem = x509.to_pem().map_err(trouble)?;
        let key_pem = private.private_key_to_pem_pkcs8().map_err(trouble)?;
        let certificate_der = x509.to_der().map_err(trouble)?;
        let certificate = directory.join("certificate.pem");
        let key = directory.join("key.pem");
        for (file, content) in [(&certificate, certificate_pem), (&key, key_pem)] {
            fs::write(file, content)
                .map_err(|e| format!("unable to write {}: {e}", file.display()))?;
        }
        // Anybody may read the key, because the servers read it as different users; it lives as long as this run.
        for (path, mode) in [(&directory, 0o755), (&certificate, 0o644), (&key, 0o644)] {
            fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(|e| format!("unable to set the mode of {}: {e}", path.display()))?;
        }
        Ok(Materials {
            directory,
            certificate,
            key,
            certificate_der,
        })
    }

    /// Rules that turn away whoever comes from this machine.
    pub fn deny_rules(&self, tcprules: &Path, name: &str) -> Result<PathBuf, String> {
        let compiled = self.directory.join(name);
        let source = self.directory.join("deny.rules");
        let trouble =
            |e: std::io::Error| format!("unable to compile rules with {}: {e}", tcprules.display());
        fs::write(&source, "127.0.0.1:deny\n:allow\n").map_err(trouble)?;
        let status = Command::new(tcprules)
            .arg(&compiled)
            .arg(self.directory.join("rules.tmp"))
            .stdin(File::open(&source).map_err(trouble)?)
            .status()
            .map_err(trouble)?;
        if !status.success() {
            return Err(format!(
                "unable to compile rules with {}: {status}",
                tcprules.display()
            ));
        }
        fs::set_permissions(&compiled, Permissions::from_mode(0o644)).map_err(trouble)?;
        Ok(compiled)
    }
}

impl Drop for Materials {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.directory) {
            eprintln!("unable to remove {}: {e}", self.directory.display());
        }
    }
}

fn self_signed() -> Result<(X509, PKey<Private>), ErrorStack> {
    let key = PKey::from_ec_key(EcKey::generate(
        EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?.as_ref(),
    )?)?;
    let mut name = X509Name::builder()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    certificate.set_not_after(Asn1Time::days_from_now(7)?.as_ref())?;
    certificate.set_pubkey(&key)?;
    certificate.sign(&key, MessageDigest::sha256())?;
    Ok((certificate.build(), key))
}

/// Room for every client and server descriptor of the idle row.
pub fn raise_descriptor_limit() {
    const WANTED: u64 = 4096;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < WANTED
        && let Err(e) = setrlimit(Resource::RLIMIT_NOFILE, WANTED.min(hard), hard)
    {
        eprintln!("unable to raise the limit of descriptors: {e}");
    }
}

/// Name and value, in the order to be printed.
pub fn machine() -> Vec<(&'static str, String)> {
    let line = |file: &str| {
        fs::read_to_string(file).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
    };
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        text.lines().find_map(|line| {
            line.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, model)| model.to_owned())
        })
    });
    vec![
        (
            "cores",
            std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string()),
        ),
        ("processor", model.unwrap_or_else(|| "?".to_owned())),
        ("kernel", line("/proc/sys/kernel/osrelease")),
        ("openssl", openssl::version::version().to_owned()),
        ("load at start", line("/proc/loadavg")),
    ]
}

/// Debian's version of a package.
pub fn package_version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", package])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !version.is_empty()).then_some(version)
}
