//! Paths, made absolute: a reload happens in another directory than the start.
#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;

use super::{At, Value};
use crate::sys::words;

/// A file that has to be there.
#[derive(Clone, Debug, Default)]
pub struct File(pub Option<PathBuf>);

impl Value for File {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        self.0 = Some(existing(text, at, |kind| kind.is_file(), "is no file")?);
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        path_text(&self.0)
    }
}

/// A directory that has to be there.
#[derive(Clone, Debug, Default)]
pub struct Folder(pub Option<PathBuf>);

impl Value for Folder {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        self.0 = Some(existing(text, at, |kind| kind.is_dir(), "is no directory")?);
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        path_text(&self.0)
    }
}

/// A file that we make.
#[derive(Clone, Debug, Default)]
pub struct NewFile(pub Option<PathBuf>);

impl Value for NewFile {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        self.0 = Some(absolute(text, at)?);
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        path_text(&self.0)
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

fn path_text(path: &Option<PathBuf>) -> Option<String> {
    path.as_ref().map(|path| path.display().to_string())
}
