//! Reading keys and certificates, in the keeper alone.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use openssl::dh::Dh;
use openssl::error::ErrorStack;

use super::client::TrustFiles;
use super::folder;
use super::pair::{Loaded, Loader, Pair};
use super::settings::Version;
use super::trust::{self, Trust};

use crate::sys::words;

/// No honest PEM file is longer; a wrong path (a log, a device) is not read into memory.
const MAX_FILE: u64 = 1024 * 1024;

/// Keys have numbers of two bytes between processes.
pub const MOST_KEYS: usize = u16::MAX as usize;

/// A longer chain is no client's to read.
pub const MOST_CERTIFICATES: usize = 32;
/// A list goes to terminators in one message.
const LARGEST_LIST: usize = 128 * 1024;

/// The log names so many sets of a folder that something is wrong with; after that it counts.
pub const MOST_WARNINGS: usize = 100;

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

/// A set that was loaded and found to fit together.
pub struct Material {
    pub pairs: Vec<Pair>,
    pub folder: Option<Folder>,
    pub dh: Option<DhParameters>,
    pub trust: Trust,
    pub oldest: Version,
    /// Things to say that do not stop us, such as an expired certificate.
    pub warnings: Vec<String>,
}

/// What a folder (CERTDIR) has.
pub struct Folder {
    pub path: PathBuf,
    /// By the file of the certificate, in the order of their names. Or why an entry cannot be used.
    pub entries: Vec<(PathBuf, Result<Pair, Unusable>)>,
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

impl Unusable {
    /// With what to do about it.
    pub(super) fn advise(mut self, advice: &str) -> Unusable {
        self.reason = format!("{}; {advice}", self.reason);
        self
    }
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
        self.read_with_mode(path).map(|(bytes, _)| bytes)
    }

    /// And who may do what with it (chmod(2)).
    pub(super) fn read_with_mode(&self, path: &Path) -> io::Result<(Vec<u8>, u32)> {
        let found;
        let mut file: &File = match self.opened.get(path) {
            Some(file) => file,
            None => {
                found = open(path)?;
                &found
            }
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        // A file that several settings name is one descriptor with one position.
        io::Seek::rewind(&mut file)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::other("longer than a megabyte"));
        }
        Ok((bytes, metadata.mode()))
    }
}

/// Opens a file to be read, and does not wait for somebody to write if it is a pipe.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Loads a set. `password` opens protected keys. A damaged pair in the folder costs only itself.
pub fn load(
    files: &Files,
    wanted: &SetFiles,
    password: Option<&[u8]>,
) -> Result<Material, Unusable> {
    let without = "it needs a password: give -3 and the password on descriptor 3";
    let mut loader = Loader::new(files, password, without);
    let mut warnings = Vec::new();
    let mut pairs = Vec::new();
    for names in &wanted.pairs {
        let loaded = loader.load(names)?;
        warnings.extend(loaded.warning);
        pairs.push(loaded.pair);
    }
    let folder = wanted.folder.as_deref();
    let folder = folder.map(|path| load_folder(&mut loader, path, &mut warnings));
    let folder = folder.transpose()?;
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
        folder,
        dh: match &wanted.dh {
            Some(path) => Some(load_dh(files, path)?),
            None => None,
        },
        trust,
        oldest: wanted.oldest,
        warnings,
    })
}

fn load_folder(
    loader: &mut Loader,
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<Folder, Unusable> {
    let mut entries = Vec::new();
    let mut more = Vec::new();
    for names in folder::scan(path)? {
        let loaded = loader.load(&names);
        let pair = loaded.map(|Loaded { pair, warning, .. }| {
            more.extend(warning);
            if pair.names.is_empty() {
                let file = names.certificate.display();
                more.push(format!("certificate has no name to choose it by: {file}"));
            }
            pair
        });
        entries.push((names.certificate, pair));
    }
    let beyond = more.len().saturating_sub(MOST_WARNINGS);
    more.truncate(MOST_WARNINGS);
    warnings.extend(more);
    warnings.extend(and_so_on(beyond, path));
    Ok(Folder {
        path: path.to_owned(),
        entries,
    })
}

/// Says that there are more.
pub fn and_so_on(beyond: usize, folder: &Path) -> Option<String> {
    let folder = folder.display();
    (beyond > 0).then(|| format!("and so on: {beyond} more in CERTDIR: {folder}"))
}

fn load_dh(files: &Files, path: &Path) -> Result<DhParameters, Unusable> {
    let bad = unusable("unable to set DH parameters", path);
    let pem = files
        .read(path)
        .map_err(|error| bad(words::reason(&error)))?;
    DhParameters::parse(&pem).map_err(|stack| bad(reason(&stack)))
}

impl DhParameters {
    /// The first in PEM.
    pub(super) fn parse(pem: &[u8]) -> Result<DhParameters, ErrorStack> {
        let parameters = Dh::params_from_pem(pem)?;
        Ok(DhParameters {
            pem: parameters.params_to_pem()?,
            bits: u32::try_from(parameters.prime_p().num_bits()).unwrap_or(0),
        })
    }
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
