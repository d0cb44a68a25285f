//! The log's own file.
#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sys::words;

/// How often it is looked whether the name still means the same file.
const LOOK: Duration = Duration::from_secs(60);

pub struct LogFile {
    /// Absolute: a process in the background is in another directory.
    path: PathBuf,
    file: File,
    looked: Option<Instant>,
}

impl LogFile {
    /// Opens the file to append to, or makes it with mode 0644. The error names it.
    pub fn open(path: &Path) -> Result<LogFile, String> {
        let failed = |error: io::Error| unusable(path, &error);
        let path = std::path::absolute(path).map_err(failed)?;
        let file = append_to(&path).map_err(failed)?;
        let looked = None;
        Ok(LogFile { path, file, looked })
    }

    /// Opens the file of that name again; on an error the old one stays.
    pub fn reopen(&mut self) -> Result<(), String> {
        let opened = append_to(&self.path);
        self.file = opened.map_err(|error| unusable(&self.path, &error))?;
        Ok(())
    }

    /// Appends a line, after a look whether somebody moved the file away.
    pub fn write(&mut self, line: &[u8], now: Instant) -> io::Result<()> {
        if now >= *self.looked.get_or_insert(now) + LOOK {
            self.looked = Some(now);
            if self.was_moved()
                && let Err(reason) = self.reopen()
            {
                let _ = writeln!(self.file, "{reason}");
            }
        }
        self.file.write_all(line)
    }

    fn was_moved(&self) -> bool {
        let which = |file: &Metadata| (file.dev(), file.ino());
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(named), Ok(ours)) => which(&named) != which(&ours),
            _ => true,
        }
    }
}

/// Never waits: the name may be a pipe's that nobody reads.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true).mode(0o644);
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}

fn unusable(path: &Path, error: &io::Error) -> String {
    let reason = words::reason(error);
    format!("unable to open log file {}: {reason}", path.display())
}
