//! A directory with one key set per entry (CERTDIR): `NAME.pem` with chain and key, or `NAME/fullchain.pem` and
//! `NAME/privkey.pem` as ACME clients write them.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use super::material::{PairFiles, Unusable, unusable};
use crate::sys::words;

/// The files of all sets, in the order of their names. What is neither form is passed over.
pub fn scan(folder: &Path) -> Result<Vec<PairFiles>, Unusable> {
    let entries = fs::read_dir(folder)
        .map_err(|error| unusable("unable to read CERTDIR", folder)(words::reason(&error)))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths.into_iter().filter_map(set).collect())
}

fn set(path: PathBuf) -> Option<PairFiles> {
    if path.extension().is_some_and(|ending| ending == "pem") {
        return Some(PairFiles {
            certificate: path.clone(),
            is_chain: false,
            key: path,
        });
    }
    let (certificate, key) = (path.join("fullchain.pem"), path.join("privkey.pem"));
    certificate.exists().then_some(PairFiles {
        certificate,
        is_chain: true,
        key,
    })
}
