//! Which clients and keys come together, and which do not.
#![forbid(unsafe_code)]

mod common;

use common::keys::{chain, encrypted, leaf};
use common::{Kind, Setup, curl, s_client};
use openssl::ssl::SslVersion;
use std::io::{Read, Write};

/// Answers one line, be it a request of curl or not.
const ANSWER: &str = r"read line; printf 'HTTP/1.0 200 OK\r\n\r\nhello %s\n' $$";

fn openssl_and_curl_succeed_with(kind: Kind) {
    let server = Setup::new().keys(&[kind]).shell(ANSWER).start();
    for (option, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let outcome = s_client(&server, &[option], "hello\n");
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        assert!(
            outcome.text().contains(&format!("New, {name}, ")),
            "{outcome:?}"
        );
        assert!(outcome.text().contains("\nhello "), "{outcome:?}");
    }
    for (version, most) in [("--tlsv1.2", "1.2"), ("--tlsv1.3", "1.3")] {
        let outcome = curl(&server, &[version, "--tls-max", most], "https://{}/");
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        assert!(outcome.text().starts_with("hello "), "{outcome:?}");
    }
    server.wait_until_idle();
    server.stop();
}

#[test]
fn rsa_2048_serves_tls_1_2_and_1_3() {
    openssl_and_curl_succeed_with(Kind::Rsa2048);
}

#[test]
fn rsa_4096_serves_tls_1_2_and_1_3() {
    openssl_and_curl_succeed_with(Kind::Rsa4096);
}

#[test]
fn p_256_serves_tls_1_2_and_1_3() {
    openssl_and_curl_succeed_with(Kind::P256);
}

#[test]
fn ed25519_serves_tls_1_2_and_1_3() {
    openssl_and_curl_succeed_with(Kind::Ed25519);
}

#[test]
fn every_rsa_padding_and_digest_of_tls_is_signed() {
    let server = Setup::new().keys(&[Kind::Rsa2048]).shell(ANSWER).start();
    let schemes = [
        "rsa_pss_rsae_sha256",
        "rsa_pss_rsae_sha384",
        "rsa_pss_rsae_sha512",
    ];
    for scheme in schemes {
        let outcome = s_client(&server, &["-tls1_3", "-sigalgs", scheme], "hello\n");
        assert!(outcome.text().contains("\nhello "), "{scheme}: {outcome:?}");
    }
    for scheme in [
        "RSA+SHA256",
        "RSA+SHA384",
        "RSA+SHA512",
        "rsa_pss_rsae_sha256",
    ] {
        let outcome = s_client(&server, &["-tls1_2", "-sigalgs", scheme], "hello\n");
        assert!(outcome.text().contains("\nhello "), "{scheme}: {outcome:?}");
    }
}

#[test]
fn of_several_keys_each_client_gets_the_one_it_can_verify() {
    let kinds = [Kind::Rsa2048, Kind::P256, Kind::Ed25519];
    let server = Setup::new().keys(&kinds).shell(ANSWER).start();
    let schemes = [
        ("rsa_pss_rsae_sha256", Kind::Rsa2048),
        ("ecdsa_secp256r1_sha256", Kind::P256),
        ("ed25519", Kind::Ed25519),
    ];
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (scheme, kind) in schemes {
            let dial = server.dial().version(version);
            let client = dial
                .set(|settings| settings.set_sigalgs_list(scheme).expect("schemes"))
                .connect();
            let sent = client
                .tls
                .ssl()
                .peer_certificate()
                .expect("a certificate")
                .to_pem()
                .expect("PEM");
            assert_eq!(
                String::from_utf8(sent).expect("PEM"),
                leaf(kind).certificate,
                "{version:?} {scheme}"
            );
        }
    }
}

#[test]
fn ciphers_chooses_for_tls_1_2_and_ciphersuites_for_1_3() {
    let server = Setup::new()
        .keys(&[Kind::Rsa2048])
        .env("CIPHERS", "ECDHE-RSA-AES256-GCM-SHA384")
        .env("CIPHERSUITES", "TLS_CHACHA20_POLY1305_SHA256")
        .start();
    let chosen = |version| {
        let client = server.dial().version(version).connect();
        client
            .tls
            .ssl()
            .current_cipher()
            .expect("a cipher")
            .name()
            .to_owned()
    };
    assert_eq!(chosen(SslVersion::TLS1_2), "ECDHE-RSA-AES256-GCM-SHA384");
    assert_eq!(chosen(SslVersion::TLS1_3), "TLS_CHACHA20_POLY1305_SHA256");

    let other = server.dial().version(SslVersion::TLS1_2);
    let refused = other.set(|settings| {
        settings
            .set_cipher_list("ECDHE-RSA-AES128-GCM-SHA256")
            .expect("a list")
    });
    assert!(refused.try_connect().is_err());
    server.log.wait_for(
        "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *no shared cipher*",
    );
}

#[test]
fn groups_limits_the_key_exchange() {
    let server = Setup::new().env("GROUPS", "P-384").shell(ANSWER).start();
    let outcome = s_client(&server, &["-groups", "X25519:P-384"], "hello\n");
    assert!(
        outcome.text().contains("Temp Key: ECDH, secp384r1"),
        "{outcome:?}"
    );
    let refused = server
        .dial()
        .set(|settings| settings.set_groups_list("X25519").expect("a list"));
    assert!(refused.try_connect().is_err());
    server
        .log
        .wait_for("sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *");
}

#[test]
fn tlsmin_and_tlsmax_limit_the_version() {
    let versions = [SslVersion::TLS1_2, SslVersion::TLS1_3];
    for (name, value, served) in [
        ("TLSMIN", "1.3", [false, true]),
        ("TLSMAX", "1.2", [true, false]),
    ] {
        let server = Setup::new().env(name, value).start();
        let connected =
            versions.map(|version| server.dial().version(version).try_connect().is_ok());
        assert_eq!(connected, served, "{name}={value}");
    }
}

#[test]
fn tls_1_1_is_not_spoken_unless_asked_for() {
    let server = Setup::new()
        .keys(&[Kind::Rsa2048])
        .env("CIPHERS", "ALL:@SECLEVEL=0")
        .start();
    let old = server.dial().version(SslVersion::TLS1_1);
    let old = old.set(|settings| settings.set_cipher_list("ALL:@SECLEVEL=0").expect("a list"));
    assert!(old.try_connect().is_err());
    server.log.wait_for("sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *unsupported protocol*");
}

#[test]
fn a_chain_is_sent_from_certchainfile_and_from_certfile() {
    let chain = chain();
    let whole = format!("{}{}", chain.leaf.certificate, chain.intermediate);
    for variable in ["CERTCHAINFILE", "CERTFILE"] {
        let setup = Setup::new()
            .without("CERTFILE")
            .file(variable, "chain.pem", &whole);
        let server = setup
            .file("KEYFILE", "leaf.key", &chain.leaf.key)
            .shell(ANSWER)
            .start();
        let outcome = s_client(&server, &[], "hello\n");
        assert!(
            outcome.text().contains("Verify return code: 0 (ok)"),
            "{variable}: {outcome:?}"
        );
    }
}

#[test]
fn the_key_may_stand_in_the_certificate_file() {
    let pair = leaf(Kind::P256);
    let both = format!("{}{}", pair.certificate, pair.key);
    let server = Setup::new()
        .without("KEYFILE")
        .file("CERTFILE", "both.pem", both)
        .shell("echo hi")
        .start();
    assert_eq!(server.reply(), "hi\n");
}

#[test]
fn a_key_under_a_password_is_opened_with_descriptor_3() {
    for ending in ["", "\0", "\n", "\0 what comes after NUL"] {
        let key = encrypted(leaf(Kind::Rsa2048), "pass word");
        let setup = Setup::new()
            .keys(&[Kind::Rsa2048])
            .file("KEYFILE", "secret.pem", key)
            .options(&["-3"]);
        let word = setup.dir.write("word", format!("pass word{ending}"));
        let script = format!("exec \"$@\" 3<{}", word.display());
        let server = setup
            .prefix(&["sh", "-c", &script, "sh"])
            .shell("echo hi")
            .start();
        assert_eq!(server.reply(), "hi\n", "password ended by {ending:?}");
    }
}

#[test]
fn a_plain_http_request_on_the_tls_port_is_named_in_the_log() {
    let server = Setup::new().start();
    let mut plain = server.dial().tcp();
    plain.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sending");
    let _ = plain.read_to_end(&mut Vec::new());
    server.log.wait_for(
        "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *http request*",
    );
    assert_eq!(
        server.log.count("sslserver: ok *"),
        0,
        "no application for a client without TLS"
    );
    server.wait_until_idle();
}
