//! Reading whom we trust: authorities, the names that clients are told, and who is trusted no more. In the keeper,
//! which alone reads files; all of it is public.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use openssl::x509::{X509, X509Crl};

use super::client::TrustFiles;
use super::material::{Files, Unusable, reason, unusable};
use super::pem;
use super::provider;
use crate::sys::words;

/// A folder of authorities has some hundreds.
const MOST: usize = 10_000;
const LIST: &[u8] = b"X509 CRL";

/// In DER.
#[derive(Default)]
pub struct Trust {
    pub anchors: Vec<Vec<u8>>,
    pub names: Vec<Vec<u8>>,
    pub revoked: Vec<Vec<u8>>,
}

/// Loads all of it; an empty wish is an empty answer.
pub fn load(files: &Files, wanted: &TrustFiles) -> Result<Trust, Unusable> {
    let anchors = "unable to load CA list";
    let names = "unable to load client CA list";
    Ok(Trust {
        anchors: certificates(anchors, files, &wanted.anchors, &wanted.anchor_folders)?,
        names: certificates(names, files, &wanted.names, &wanted.name_folders)?,
        revoked: revoked(files, &wanted.revoked)?,
    })
}

/// The authorities that this system trusts, in DER.
pub fn system(files: &Files) -> Result<Vec<Vec<u8>>, Unusable> {
    let what = "unable to load the system's authorities";
    let (file, folders) = provider::system_authorities();
    certificates(what, files, file.as_slice(), &folders)
        .map_err(|bad| bad.advise("SSL_CERT_FILE can say where they are"))
}

/// Every certificate once. In a folder, what is no certificate is passed over: folders of authorities have a
/// readme, links and lists.
fn certificates(
    what: &'static str,
    files: &Files,
    paths: &[PathBuf],
    folders: &[PathBuf],
) -> Result<Vec<Vec<u8>>, Unusable> {
    let mut found = BTreeSet::new();
    for path in paths {
        let bad = unusable(what, path);
        let pem = files
            .read(path)
            .map_err(|error| bad(words::reason(&error)))?;
        let read = parse(&pem).ok_or_else(|| bad("no PEM certificate in it".into()))?;
        found.extend(read);
    }
    for folder in folders {
        let bad = unusable(what, folder);
        let entries = fs::read_dir(folder).map_err(|error| bad(words::reason(&error)))?;
        for entry in entries.flatten().take(MOST) {
            found.extend(parse_file(files, &entry.path()).into_iter().flatten());
        }
        if found.is_empty() {
            return Err(bad("no certificate in it".into()));
        }
        if found.len() > MOST {
            return Err(bad(format!("more than {MOST} certificates in it")));
        }
    }
    Ok(found.into_iter().collect())
}

fn parse_file(files: &Files, path: &Path) -> Option<Vec<Vec<u8>>> {
    parse(&files.read(path).ok()?)
}

fn parse(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    let certificates = X509::stack_from_pem(pem).ok()?;
    let encoded = certificates.iter().filter_map(|one| one.to_der().ok());
    Some(encoded.collect()).filter(|all: &Vec<_>| !all.is_empty())
}

fn revoked(files: &Files, paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, Unusable> {
    let mut lists = Vec::new();
    for path in paths {
        let bad = unusable("unable to load list of revoked certificates", path);
        let pem = files
            .read(path)
            .map_err(|error| bad(words::reason(&error)))?;
        let before = lists.len();
        for block in pem::blocks(&pem).filter(|block| block.label == LIST) {
            let list = X509Crl::from_pem(block.text).and_then(|list| list.to_der());
            lists.push(list.map_err(|stack| bad(reason(&stack)))?);
        }
        if lists.len() == before {
            return Err(bad("no PEM list in it".into()));
        }
    }
    Ok(lists)
}
