//! A directory for what one run needs: settings, logs, throw-away certificates and keys.
#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;

/// Removed with everything in it at the end.
pub struct Scratch {
    pub directory: PathBuf,
}

impl Scratch {
    pub fn make() -> Result<Scratch, String> {
        let directory = std::env::temp_dir().join(format!("sslserver-bench-{}", process::id()));
        fs::create_dir(&directory)
            .map_err(|e| format!("unable to make {}: {e}", directory.display()))?;
        let scratch = Scratch { directory };
        set_mode(&scratch.directory, 0o755)?;
        Ok(scratch)
    }

    /// Anybody may read the file, because the servers read it as different users; it lives as long as this run.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, String> {
        let file = self.directory.join(name);
        fs::write(&file, content)
            .map_err(|e| format!("unable to write {}: {e}", file.display()))?;
        set_mode(&file, 0o644)?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.directory) {
            eprintln!("unable to remove {}: {e}", self.directory.display());
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|e| format!("unable to set the mode of {}: {e}", path.display()))
}
