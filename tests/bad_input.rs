//! Certificates, keys and settings that are not what they should be: a line, a code, and no crash.
#![forbid(unsafe_code)]

mod common;

use common::keys::{encrypted, expired, leaf};
use common::{Kind, Setup, glob, without_root};

/// The server ends with 111 and one line that fits.
fn fatal(setup: Setup, pattern: &str) {
    let outcome = setup.run();
    assert_eq!(outcome.code(), 111, "{pattern}: {outcome:?}");
    let lines: Vec<&str> = outcome
        .lines()
        .into_iter()
        .filter(|line| !line.starts_with("sslserver: info:"))
        .collect();
    assert!(
        lines.last().is_some_and(|line| glob(pattern, line)),
        "{pattern}: {outcome:?}"
    );
    assert_eq!(lines.len(), 1, "{pattern}: {outcome:?}");
    assert_eq!(outcome.stdout, b"", "no readiness");
}

/// Errors only, so that the one line is the only one.
fn setup() -> Setup {
    Setup::bare().options(&["-1"]).keys(&[Kind::Rsa2048])
}

#[test]
fn without_any_certificate_the_line_says_what_to_set() {
    fatal(
        Setup::bare().options(&["-1"]),
        "sslserver: *: (111) *CERTFILE*",
    );
    fatal(
        setup().without("CERTFILE").without("KEYFILE"),
        "sslserver: *: (111) *CERTFILE*",
    );
}

#[test]
fn a_chain_file_without_a_key_is_fatal() {
    let pair = leaf(Kind::Rsa2048);
    let chain = setup().without("CERTFILE").without("KEYFILE").file(
        "CERTCHAINFILE",
        "chain.pem",
        &pair.certificate,
    );
    fatal(chain, "sslserver: error: (111) unable to load key: *");
}

#[test]
fn a_certificate_that_cannot_be_read_is_fatal() {
    for path in ["/nonexistent/cert.pem", "/etc"] {
        fatal(
            setup().env("CERTFILE", path),
            &format!("sslserver: error: (111) unable to load certificate: {path}: *"),
        );
        let chain = setup().env("CERTCHAINFILE", path);
        fatal(
            chain,
            &format!("sslserver: error: (111) unable to load certificate chain file: {path}: *"),
        );
    }
    for content in [
        "",
        "not a certificate\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let bad = setup().file("CERTFILE", "bad.pem", content);
        let line = format!(
            "sslserver: error: (111) unable to load certificate: {}: *",
            bad.dir.text("bad.pem")
        );
        fatal(bad, &line);
    }
}

#[test]
fn a_key_that_cannot_be_read_is_fatal() {
    fatal(
        setup().env("KEYFILE", "/nonexistent/key.pem"),
        "sslserver: error: (111) unable to load key: /nonexistent/key.pem: *",
    );
    for content in [
        "",
        "no key\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        let bad = setup().file("KEYFILE", "bad.pem", content);
        let line = format!(
            "sslserver: error: (111) unable to load key: {}: *",
            bad.dir.text("bad.pem")
        );
        fatal(bad, &line);
    }
}

#[test]
fn a_key_that_belongs_to_another_certificate_is_fatal() {
    let same_kind = common::keys::chain().leaf;
    let cases = [
        (Kind::Rsa2048, &leaf(Kind::P256).key),
        (Kind::Rsa2048, &leaf(Kind::Rsa4096).key),
        (Kind::P256, &same_kind.key),
    ];
    for (kind, key) in cases {
        let mismatch = setup().keys(&[kind]).file("KEYFILE", "other.pem", key);
        let line = format!(
            "sslserver: error: (111) *{}*",
            mismatch.dir.text("other.pem")
        );
        fatal(mismatch, &line);
    }
}

#[test]
fn as_many_keys_as_certificates_are_needed() {
    let two = setup().keys(&[Kind::Rsa2048, Kind::P256]);
    let one = two.dir.text("key0.pem");
    fatal(two.env("KEYFILE", &one), "sslserver: *: (111) *");
}

#[test]
fn wrong_missing_and_unreadable_passwords_are_fatal() {
    let locked = || {
        setup()
            .file(
                "KEYFILE",
                "secret.pem",
                encrypted(leaf(Kind::Rsa2048), "right"),
            )
            .options(&["-3"])
    };
    for word in ["wrong", "", "wrong\n", "right\n\n", " right"] {
        let setup = locked();
        let line = format!(
            "sslserver: error: (111) unable to load key: {}: *",
            setup.dir.text("secret.pem")
        );
        let script = format!("exec \"$@\" 3<{}", setup.dir.write("word", word).display());
        fatal(setup.prefix(&["sh", "-c", &script, "sh"]), &line);
    }
    let closed = locked().prefix(&["sh", "-c", "exec \"$@\" 3<&-", "sh"]);
    fatal(
        closed,
        "sslserver: error: (111) unable to read password from FD3*",
    );
}

#[test]
fn an_encrypted_key_without_a_password_is_fatal_and_nobody_is_asked() {
    let locked = setup().file(
        "KEYFILE",
        "secret.pem",
        encrypted(leaf(Kind::Rsa2048), "right"),
    );
    let line = format!(
        "sslserver: error: (111) unable to load key: {}: *",
        locked.dir.text("secret.pem")
    );
    fatal(locked, &line);
}

#[test]
fn a_key_the_keeper_may_not_read_is_fatal() {
    if without_root("a_key_the_keeper_may_not_read_is_fatal") {
        return;
    }
    let jailed = setup().jailed(Kind::P256);
    common::tempdir::give(&jailed.dir.join("jail/key.pem"), 0);
    fatal(
        jailed,
        "sslserver: error: (111) unable to load key: */key.pem: Permission denied*",
    );
}

#[test]
fn an_expired_certificate_is_a_warning() {
    let pair = expired();
    let old = Setup::bare()
        .options(&["-1"])
        .file("CERTFILE", "old.pem", &pair.certificate);
    let server = old
        .file("KEYFILE", "old.key", &pair.key)
        .program(&["echo", "hi"])
        .start();
    assert_eq!(server.reply(), "hi\n");
    server
        .log
        .wait_for("sslserver: warning: certificate has expired: */old.pem: since *");
    assert_eq!(server.log.lines().len(), 1, "{:?}", server.log.lines());
}

#[test]
fn bad_tls_settings_are_fatal() {
    let line = "sslserver: error: (111) unable to set cipher list*";
    fatal(setup().env("CIPHERS", "NOSUCHCIPHER"), line);
    for (name, value) in [("CIPHERSUITES", "NOSUCHSUITE"), ("GROUPS", "nosuchgroup")] {
        fatal(
            setup().env(name, value),
            &format!("sslserver: error: (111) *{value}*"),
        );
    }
    for (name, value) in [("TLSMIN", "9"), ("TLSMAX", "x"), ("TLSMIN", "SSLv3")] {
        let outcome = setup().env(name, value).run();
        assert_eq!(outcome.code(), 100, "{name}={value}: {outcome:?}");
        assert!(
            glob(
                &format!("sslserver: usage: {name}: \"{value}\" *"),
                outcome.lines()[0]
            ),
            "{outcome:?}"
        );
    }
    for path in ["/nonexistent/dh.pem", "/etc"] {
        fatal(
            setup().env("DHFILE", path),
            "sslserver: error: (111) unable to set DH parameters*",
        );
    }
}
