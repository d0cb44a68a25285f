//! A set that is damaged costs only itself, and is named in the log.

use crate::common::setup::JAIL_UID;
use crate::common::tempdir::set_mode;
use crate::common::{Kind, Server, Setup, Shown, without_root};
use crate::sets::{one_file, pair, server};
use std::fs::create_dir;

/// One good set, beside the damaged ones that the test makes.
fn with_good(setup: Setup) -> Setup {
    one_file(setup, "zz", Kind::P256, 0, "good", &["good.example.org"])
}

fn assert_serves(server: &Server) {
    let shown = Shown::to(server, &["-servername", "good.example.org"]);
    assert_eq!(shown.server(), "good");
    let shown = Shown::to(server, &["-servername", "bad.example.org"]);
    assert_eq!(shown.server(), "localhost");
}

#[test]
fn each_damaged_set_is_named_and_costs_only_itself() {
    let setup = with_good(server());
    let (chain, key) = pair(Kind::P256, 0, "bad", &["bad.example.org"]);
    let (_, other) = pair(Kind::P256, 0, "bad", &["bad.example.org"]);
    let dir = &setup.dir;
    dir.write("certs/a-no-pem.pem", "once upon a time");
    dir.write("certs/b-cut.pem", &chain[..chain.len() / 4]);
    dir.write("certs/c-no-key.pem", &chain);
    dir.write("certs/d-other-key.pem", format!("{chain}{other}"));
    dir.write("certs/e-empty.pem", "");
    create_dir(dir.join("certs/f-empty")).expect("a directory");
    create_dir(dir.join("certs/g-half")).expect("a directory");
    dir.write("certs/g-half/fullchain.pem", &chain);
    create_dir(dir.join("certs/h-folder.pem")).expect("a directory");
    std::os::unix::fs::symlink("nowhere", dir.join("certs/i-link")).expect("a link");
    dir.write(
        "certs/j-long.pem",
        format!("{}{}{key}", chain, chain.repeat(20)),
    );
    dir.write("certs/README", "passed over");
    dir.write("certs/.hidden.pem", "passed over");
    let server = setup.start();
    assert_serves(&server);
    let expected = [
        "unable to load certificate: *a-no-pem.pem: no PEM certificate in it",
        "unable to load certificate: *b-cut.pem: *",
        "unable to load key: *c-no-key.pem: no PEM data of this kind in it",
        "key does not match certificate: *d-other-key.pem: *",
        "unable to load certificate: *e-empty.pem: no PEM certificate in it",
        "unable to load certificate chain file: *f-empty/fullchain.pem: No such file or directory",
        "unable to load key: *g-half/privkey.pem: No such file or directory",
        "unable to load certificate: *h-folder.pem: not a regular file",
        "unable to load certificate chain file: *i-link/fullchain.pem: *",
        "unable to load certificate: *j-long.pem: too long for a chain",
    ];
    for line in expected {
        server.log.wait_for(&format!("sslserver: warning: {line}"));
    }
    let warnings = server.log.count("sslserver: warning: *");
    assert_eq!(warnings, expected.len(), "{:?}", server.log.lines());
}

#[test]
fn what_the_keepers_user_may_not_read_is_named() {
    if without_root("unreadable key sets") {
        return;
    }
    let setup = with_good(server());
    let (chain, key) = pair(Kind::P256, 0, "bad", &["bad.example.org"]);
    let file = setup.dir.write("certs/a.pem", format!("{chain}{key}"));
    set_mode(&file, 0o600);
    let folder = setup.dir.subdirectory("certs/b");
    set_mode(&folder, 0o700);
    let server = setup
        .env("SSL_UID", &JAIL_UID.to_string())
        .env("SSL_GID", &JAIL_UID.to_string())
        .start();
    assert_serves(&server);
    server
        .log
        .wait_for("sslserver: warning: unable to load certificate: *a.pem: Permission denied");
    server
        .log
        .wait_for("sslserver: warning: unable to load certificate chain file: *b/fullchain.pem: Permission denied");
}

#[test]
fn a_directory_full_of_damage_does_not_fill_the_log() {
    let setup = with_good(server());
    for number in 0..130 {
        setup.dir.write(&format!("certs/{number:03}.pem"), "damage");
    }
    let server = setup.start();
    assert_serves(&server);
    server
        .log
        .wait_for("sslserver: warning: and so on: 30 more in CERTDIR: *");
    assert_eq!(server.log.count("sslserver: warning: *"), 101);
}

#[test]
fn an_expired_set_and_one_without_a_name_are_said() {
    let setup = with_good(server());
    let expired = crate::common::keys::expired();
    setup.dir.write(
        "certs/a.pem",
        format!("{}{}", expired.certificate, expired.key),
    );
    let nameless = crate::common::keys::for_addresses();
    setup.dir.write(
        "certs/b.pem",
        format!("{}{}", nameless.certificate, nameless.key),
    );
    let server = setup.start();
    assert_serves(&server);
    server
        .log
        .wait_for("sslserver: warning: certificate has expired: *a.pem: since *");
    server
        .log
        .wait_for("sslserver: warning: certificate has no name to choose it by: *b.pem");
}
