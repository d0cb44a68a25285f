//! What every run needs before the first server starts: a throw-away certificate and key, and rules.
#![forbid(unsafe_code)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::scratch::Scratch;
use crate::identity::{self, Identity};

pub struct Materials {
    pub scratch: Scratch,
    pub identity: Identity,
}

impl Materials {
    pub fn make() -> Result<Materials, String> {
        let scratch = Scratch::make()?;
        let identity = identity::make(&scratch, "p256", &identity::p256()?)?;
        Ok(Materials { scratch, identity })
    }

    /// Rules that turn away whoever comes from this machine.
    pub fn deny_rules(&self, tcprules: &Path, name: &str) -> Result<PathBuf, String> {
        let source = self
            .scratch
            .write("deny.rules", b"127.0.0.1:deny\n:allow\n")?;
        let compiled = self.scratch.directory.join(name);
        let trouble =
            |e: std::io::Error| format!("unable to compile rules with {}: {e}", tcprules.display());
        let status = Command::new(tcprules)
            .arg(&compiled)
            .arg(self.scratch.directory.join("rules.tmp"))
            .stdin(File::open(&source).map_err(trouble)?)
            .status()
            .map_err(trouble)?;
        if !status.success() {
            return Err(format!(
                "unable to compile rules with {}: {status}",
                tcprules.display()
            ));
        }
        fs::set_permissions(&compiled, Permissions::from_mode(0o644)).map_err(trouble)?;
        Ok(compiled)
    }
}
