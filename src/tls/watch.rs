//! Whether files have changed since they were looked at: by their size, time and inode.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::folder;
use super::material::SetFiles;

/// Files as they were; those that were not there are remembered as well.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    files: BTreeMap<PathBuf, Option<Stamp>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Seen {
    /// Looks at all files of a set, and at what is in its folders. `place` says where they are for us.
    pub fn set(&mut self, files: &SetFiles, place: impl Fn(&Path) -> PathBuf) {
        for path in files.paths() {
            self.file(&place(path));
        }
        let trust = &files.trust;
        for folder in trust.anchor_folders.iter().chain(&trust.name_folders) {
            let folder = place(folder);
            self.file(&folder);
            // A folder that cannot be read is found out by whoever loads it.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                self.file(&entry.path());
            }
        }
        if let Some(folder) = &files.folder {
            let folder = place(folder);
            self.file(&folder);
            for pair in folder::scan(&folder).into_iter().flatten() {
                self.file(&pair.certificate);
                self.file(&pair.key);
            }
        }
    }

    pub fn file(&mut self, path: &Path) {
        let stamp = fs::metadata(path).ok().map(|found| Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        });
        self.files.insert(path.to_owned(), stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_of_the_same_size_under_the_same_name_is_a_change() {
        let folder = std::env::temp_dir().join(format!("watch-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (path, new) = (folder.join("cert.pem"), folder.join("new.pem"));
        let look = || {
            let mut seen = Seen::default();
            seen.file(&path);
            seen
        };
        let absent = look();
        fs::write(&path, "one").unwrap();
        let before = look();
        assert_ne!(absent, before);
        assert_eq!(before, look());
        fs::write(&new, "two").unwrap();
        fs::rename(&new, &path).unwrap();
        assert_ne!(before, look());
        fs::remove_dir_all(&folder).unwrap();
    }
}
