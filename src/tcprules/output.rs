//! The new rules file: written beside the old one, on the disk before it takes
//! the old one's name, and gone again if anything fails before that.

#![forbid(unsafe_code)]

use super::compile::Error;
use crate::rules::MAX_FILE;
use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(super) struct Output {
    name: Name,
    file: File,
    /// Writes every byte or says so, and refuses what 32 bits cannot address.
    make: cdb2::CDBMake,
    /// How much larger the file may become.
    room: u64,
}

impl Output {
    /// Creates the temporary file. What an earlier run left there goes away,
    /// anything else in its place is somebody's own and is left alone.
    pub fn create(temporary: &Path, destination: &Path) -> Result<Output, Error> {
        let failed = |error| Error::create(temporary, &error);
        if let Ok(stale) = fs::symlink_metadata(temporary) {
            if !stale.is_file() {
                return Err(Error::InTheWay(temporary.to_owned()));
            }
            if fs::metadata(destination).is_ok_and(|live| is_same(&live, &stale)) {
                return Err(Error::SameFile(temporary.to_owned()));
            }
            fs::remove_file(temporary).map_err(failed)?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(temporary)
            .map_err(failed)?;
        let name = Name {
            path: temporary.to_owned(),
            metadata: file.metadata().map_err(failed)?,
        };
        let make = file.try_clone().and_then(cdb2::CDBMake::new);
        Ok(Output {
            make: make.map_err(|error| Error::write(temporary, &error))?,
            file,
            name,
            room: MAX_FILE - 2048,
        })
    }

    pub fn add(&mut self, key: &[u8], data: &[u8]) -> Result<(), Error> {
        // Lengths, key and data, and two slots of 8 bytes in a table.
        let size = 24 + key.len() as u64 + data.len() as u64;
        let too_large = || Error::TooLarge(self.name.path.clone());
        self.room = self.room.checked_sub(size).ok_or_else(too_large)?;
        let added = self.make.add(key, data);
        added.map_err(|error| Error::write(&self.name.path, &error))
    }

    /// Puts the finished file in the place of the old one.
    pub fn publish(self, destination: &Path) -> Result<(), Error> {
        let Output {
            name, file, make, ..
        } = self;
        let written = make.finish().and_then(|()| file.sync_all());
        written.map_err(|error| Error::write(&name.path, &error))?;
        if !name.is_ours() {
            return Err(Error::Replaced(name.path.clone()));
        }
        fs::rename(&name.path, destination)
            .map_err(|error| Error::rename(&name.path, destination, &error))
    }
}

/// The temporary file's name, which ends with it unless it was renamed.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    metadata: Metadata,
}

impl Name {
    /// False once another run has put its own file there, or after renaming.
    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|now| is_same(&now, &self.metadata))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if self.is_ours() {
            // It is only litter, and the reason for failing was given already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_made_that_the_server_would_not_read() {
        let name = format!("tcprules-output-test.{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut output = Output::create(&path, Path::new("none")).unwrap();
        output.room = 2 * (24 + 4 + 4);
        for _ in 0..2 {
            output.add(b"key.", b"data").unwrap();
        }
        assert!(matches!(output.add(b"", b""), Err(Error::TooLarge(_))));
        drop(output);
        assert!(!path.exists());
    }
}
