//! A service directory with all that the samples want, and everybody who works in there.
#![forbid(unsafe_code)]

use crate::common::keys::leaf;
use crate::common::setup::compile;
use crate::common::tempdir::give;
use crate::common::{Kind, Process, TempDir, eventually, say, without_root};
use nix::unistd::User;
use std::fs;
use std::path::{Path, PathBuf};

/// A user that every Debian has, for the key.
pub const KEY_USER: &str = "daemon";

pub const PAGE: &str = "hello from the directory";

/// What a client says to see the page, all but its end.
pub const REQUEST: &str = "GET /page.txt HTTP/1.0\r\n";

pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("rules")
        .join(name)
}

/// True, said, without root or a program.
pub fn without(test: &str, programs: &[&str]) -> bool {
    let lacks = |program: &&&str| !Path::new("/usr/bin").join(program).exists();
    let lacking = programs.iter().find(lacks);
    if let Some(program) = lacking {
        say(&format!("{test}: skipped: needs {program}"));
    }
    lacking.is_some() || without_root(test)
}

/// The server's key and certificate, rules for everybody, and a page.
pub fn directory() -> TempDir {
    let dir = TempDir::new();
    dir.subdirectory("keys");
    let pair = leaf(Kind::P256);
    dir.write("keys/cert.pem", &pair.certificate);
    let user = User::from_name(KEY_USER).expect("users").expect(KEY_USER);
    give(&dir.write("keys/key.pem", &pair.key), user.uid.as_raw());
    compile(&dir, "rules.cdb", ":allow\n");
    dir.write("page.txt", format!("{PAGE}\n"));
    dir
}

/// Whoever has its current or its root directory there, which everybody has who was started there.
pub fn inhabitants(dir: &Path) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let lives = |pid: &i32| {
        let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}"));
        ["cwd", "root"]
            .iter()
            .any(|name| link(name).is_ok_and(|path| path.starts_with(dir)))
    };
    pids.filter(lives).filter_map(Process::read).collect()
}

pub fn assert_deserted(dir: &Path) {
    eventually("everybody to be gone", || {
        inhabitants(dir).is_empty().then_some(())
    });
}
