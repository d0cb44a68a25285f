//! Programs and scripts side by side, as `make install` puts them.
#![forbid(unsafe_code)]

use super::tempdir::{TempDir, set_mode};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Installed {
    pub dir: TempDir,
}

const PROGRAMS: [(&str, &str); 5] = [
    ("sslserver", env!("CARGO_BIN_EXE_sslserver")),
    ("sslclient", env!("CARGO_BIN_EXE_sslclient")),
    ("sslprint", env!("CARGO_BIN_EXE_sslprint")),
    ("mconnect-io", env!("CARGO_BIN_EXE_mconnect-io")),
    ("tcprules", env!("CARGO_BIN_EXE_tcprules")),
];
const SCRIPTS: [&str; 3] = ["sslcat", "sslconnect", "https@"];

impl Installed {
    pub fn new() -> Installed {
        let dir = TempDir::new();
        dir.subdirectory("bin");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        let programs = PROGRAMS.map(|(name, path)| (name, PathBuf::from(path)));
        let scripts = SCRIPTS.map(|name| (name, scripts.join(name)));
        for (name, path) in programs.into_iter().chain(scripts) {
            symlink(path, dir.join("bin").join(name)).expect("a link");
        }
        Installed { dir }
    }

    /// Another program in the place of one of ours.
    pub fn instead(self, name: &str, script: &str) -> Installed {
        let name = format!("bin/{name}");
        std::fs::remove_file(self.dir.join(&name)).expect("a link");
        set_mode(&self.dir.write(&name, script), 0o755);
        self
    }

    /// Called by its path, and without a way to what is beside it.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.dir.join("bin").join(name));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        command
    }
}
