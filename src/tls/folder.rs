//! A directory with one key set per entry (CERTDIR): `NAME.pem` with chain and key, or `NAME/fullchain.pem` and
//! `NAME/privkey.pem` as ACME clients write them.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use super::material::{PairFiles, Unusable, unusable};
use crate::sys::words;

/// The files of all sets, in the order of their names. Other files are passed over, but every directory is taken for a
/// set, so that one which lacks its files is missed.
pub fn scan(folder: &Path) -> Result<Vec<PairFiles>, Unusable> {
    let entries = fs::read_dir(folder)
        .map_err(|error| unusable("unable to read CERTDIR", folder)(words::reason(&error)))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths.into_iter().filter_map(set).collect())
}

fn set(path: PathBuf) -> Option<PairFiles> {
    let name = path.file_name()?;
    if name.as_encoded_bytes().starts_with(b".") {
        return None;
    }
    if path.extension().is_some_and(|ending| ending == "pem") {
        return Some(PairFiles {
            certificate: path.clone(),
            is_chain: false,
            key: path,
        });
    }
    // A link that leads nowhere was meant to be a set.
    let is_folder = fs::metadata(&path).map_or(true, |entry| entry.is_dir());
    is_folder.then(|| PairFiles {
        certificate: path.join("fullchain.pem"),
        is_chain: true,
        key: path.join("privkey.pem"),
    })
}
