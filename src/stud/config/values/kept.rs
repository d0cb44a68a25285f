//! Values that are kept as they are given or nearly so, each sort after a check of its own. Paths are made absolute: a
//! reload happens in another directory than the start.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use nix::unistd::{Group, User};

use super::{At, Value};
use crate::privsep::store;
use crate::sys::words;
use crate::tls::settings;

/// A value of this sort, if there is any.
#[derive(Clone, Debug)]
pub struct Kept<S: Sort>(pub Option<S::Value>);

pub trait Sort {
    type Value: Clone + AsRef<OsStr>;

    /// What is kept of the text, or what is wrong with it.
    fn check(text: &str, at: &At) -> Result<Self::Value, String>;
}

impl<S: Sort> Kept<S> {
    /// This, or another if it is missing.
    pub fn or(&self, other: &Self) -> Self {
        Kept(self.0.clone().or_else(|| other.0.clone()))
    }
}

impl<S: Sort> Default for Kept<S> {
    fn default() -> Self {
        Kept(None)
    }
}

impl<S: Sort> Value for Kept<S> {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        self.0 = Some(S::check(text, at)?);
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        let value = self.0.as_ref()?;
        Some(value.as_ref().to_string_lossy().into_owned())
    }
}

/// Words that the library or a client reads, or nobody: what old configurations may say and we do not do is kept for a
/// note.
pub type Text = Kept<AnyText>;
/// Protocols for ALPN with commas between them.
pub type Alpn = Kept<ProtocolNames>;
/// A user or a group that exists.
pub type Name = Kept<UserOrGroup>;
/// The address of a store of sessions for all machines.
pub type Store = Kept<StoreAddress>;
/// A file that has to be there.
pub type File = Kept<ExistingFile>;
/// A directory that has to be there.
pub type Folder = Kept<ExistingFolder>;
/// A file that we make.
pub type NewFile = Kept<AnyPath>;

#[derive(Clone, Debug)]
pub struct AnyText;

impl Sort for AnyText {
    type Value = String;

    fn check(text: &str, _: &At) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

#[derive(Clone, Debug)]
pub struct ProtocolNames;

impl Sort for ProtocolNames {
    type Value = String;

    fn check(text: &str, _: &At) -> Result<String, String> {
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        let list = names.join(",");
        match settings::protocols(&list) {
            Some(_) => Ok(list),
            None => Err(format!(
                "wants names of 1 to 255 bytes with commas between them, not \"{text}\""
            )),
        }
    }
}

#[derive(Clone, Debug)]
pub struct UserOrGroup;

impl Sort for UserOrGroup {
    type Value = String;

    fn check(text: &str, at: &At) -> Result<String, String> {
        let found = match at.name {
            "group" => Group::from_name(text).map(|group| group.is_some()),
            _ => User::from_name(text).map(|user| user.is_some()),
        };
        match found {
            Ok(true) => Ok(text.to_owned()),
            Ok(false) => Err(format!("\"{text}\" does not exist on this system")),
            Err(errno) => Err(format!("\"{text}\" cannot be looked up: {}", errno.desc())),
        }
    }
}

#[derive(Clone, Debug)]
pub struct StoreAddress;

impl Sort for StoreAddress {
    type Value = String;

    fn check(text: &str, _: &At) -> Result<String, String> {
        store::Backend::from_address(text).map_err(|bad| format!("cannot be used: {bad}"))?;
        Ok(text.to_owned())
    }
}

#[derive(Clone, Debug)]
pub struct ExistingFile;

impl Sort for ExistingFile {
    type Value = PathBuf;

    fn check(text: &str, at: &At) -> Result<PathBuf, String> {
        existing(text, at, |kind| kind.is_file(), "is no file")
    }
}

#[derive(Clone, Debug)]
pub struct ExistingFolder;

impl Sort for ExistingFolder {
    type Value = PathBuf;

    fn check(text: &str, at: &At) -> Result<PathBuf, String> {
        existing(text, at, |kind| kind.is_dir(), "is no directory")
    }
}

#[derive(Clone, Debug)]
pub struct AnyPath;

impl Sort for AnyPath {
    type Value = PathBuf;

    fn check(text: &str, at: &At) -> Result<PathBuf, String> {
        absolute(text, at)
    }
}

/// The path of something that is there and of the right kind.
pub fn existing(
    text: &str,
    at: &At,
    fits: impl Fn(&fs::Metadata) -> bool,
    otherwise: &str,
) -> Result<PathBuf, String> {
    let path = absolute(text, at)?;
    let found = fs::metadata(&path);
    let found = found.map_err(|error| format!("{}: {}", path.display(), words::reason(&error)))?;
    match fits(&found) {
        true => Ok(path),
        false => Err(format!("{} {otherwise}", path.display())),
    }
}

fn absolute(text: &str, at: &At) -> Result<PathBuf, String> {
    let path = std::path::absolute(at.directory.join(text));
    path.ok()
        .filter(|path| {
            path.to_str()
                .is_some_and(|text| !text.contains(char::is_control))
        })
        .ok_or_else(|| format!("{text} lies in a directory whose name is no plain text"))
}
