//! The sample script of a mail service with STARTTLS.
#![forbid(unsafe_code)]

use crate::common::keys::{Kind, leaf};
use crate::common::setup::compile;
use crate::common::tempdir::{give, set_mode};
use crate::common::{Server, TempDir, without_root};
use crate::mailfront::{MAILFRONT, NEW, assert_letter, messages, queue, swaks_tls, without};
use nix::unistd::{Gid, Uid, User, chown};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user who is on every such system.
fn user(name: &str) -> (Uid, Gid) {
    let user = User::from_name(name).expect("the user database");
    let user = user.unwrap_or_else(|| panic!("no user {name}"));
    (user.uid, user.gid)
}

#[test]
fn the_sample_script_runs_as_it_stands() {
    let test = "the_sample_script_runs_as_it_stands";
    if without_root(test) || without(&[MAILFRONT, "/usr/bin/swaks", "/usr/bin/chpst"], test) {
        return;
    }
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let dir = TempDir::new();
    queue(&dir);
    let (uid, gid) = user("mail");
    for folder in ["queue", "queue/tmp", NEW] {
        chown(&dir.join(folder), Some(uid), Some(gid)).expect("chown");
    }
    dir.subdirectory("keys");
    dir.write("keys/cert.pem", &leaf(Kind::P256).certificate);
    let key = dir.write("keys/key.pem", &leaf(Kind::P256).key);
    give(&key, user("daemon").0.as_raw());
    let rules = fs::read(samples.join("starttls-smtp.rules")).expect("the sample");
    compile(
        &dir,
        "rules.cdb",
        std::str::from_utf8(&rules).expect("text"),
    );
    // The script finds its sslserver by name; this one also tells the port, and keeps log and port apart again.
    dir.subdirectory("bin");
    let wrapper = dir.write(
        "bin/sslserver",
        format!(
            "#!/bin/sh\nexec {} -1 \"$@\" 2>&9 9>&-\n",
            env!("CARGO_BIN_EXE_sslserver")
        ),
    );
    set_mode(&wrapper, 0o755);
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 9>&2; exec \"$0\""])
        .arg(samples.join("run.starttls-smtp"))
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", dir.text("bin")))
        .envs([
            ("ADDRESS", "127.0.0.1"),
            ("PORT", "0"),
            ("KEYUSER", "daemon"),
        ])
        .stdin(Stdio::null());
    let server = Server::start(dir, command);

    let outcome = swaks_tls(&server, "through the sample");
    assert_eq!(outcome.code(), 0, "{outcome:?} {:?}", server.log.lines());
    let found = messages(&server);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_letter(&found[0], "through the sample");
    server.log.wait_for("sslserver: ended by * status 0");
    server.wait_until_idle();
    server.stop();
}
