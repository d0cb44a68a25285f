//! Which set a name gets.

use crate::common::{Kind, Setup, Shown, without_root};
use crate::sets::{acme, one_file, pair, server};

fn several() -> Setup {
    let setup = one_file(
        server(),
        "mail",
        Kind::P256,
        0,
        "exact",
        &["Mail.example.org", "smtp.example.org"],
    );
    let setup = one_file(setup, "any", Kind::P256, 1, "wild", &["*.example.org"]);
    one_file(setup, "other", Kind::Ed25519, 1, "other", &["example.net"])
}

/// Name asked for, common name of the certificate, how long the chain is.
const ASKED: [(&str, &str, &[&str]); 12] = [
    ("mail.example.org", "exact", &["Middle 0"]),
    ("smtp.example.org", "exact", &["Middle 0"]),
    ("MAIL.Example.ORG", "exact", &["Middle 0"]),
    ("mail.example.org.", "exact", &["Middle 0"]),
    ("www.example.org", "wild", &["Middle 1"]),
    ("WWW.example.org.", "wild", &["Middle 1"]),
    ("example.net", "other", &["Middle 1"]),
    ("a.b.example.org", "localhost", &[]),
    ("example.org", "localhost", &[]),
    ("www.example.net", "localhost", &[]),
    ("192.0.2.1", "localhost", &[]),
    ("unknown.example", "localhost", &[]),
];

#[test]
fn a_name_gets_its_set_with_the_whole_chain_and_an_unknown_one_the_default() {
    let server = several().start();
    for version in ["-tls1_2", "-tls1_3"] {
        for (asked, certificate, signers) in ASKED {
            let shown = Shown::to(&server, &[version, "-servername", asked]);
            assert_eq!(shown.server(), certificate, "{asked}");
            assert_eq!(shown.chain[1..], *signers, "{asked}");
            assert_eq!(shown.variable("SSL_TLS_SNI").as_deref(), Some(asked));
        }
    }
}

#[test]
fn a_client_that_names_nobody_gets_the_default() {
    for strict in ["0", "1"] {
        let server = several().env("SNI_STRICT", strict).start();
        let shown = Shown::to(&server, &["-noservername"]);
        assert_eq!(shown.server(), "localhost");
        assert_eq!(shown.variable("SSL_TLS_SNI"), None);
    }
}

#[test]
fn with_sni_strict_a_name_that_nobody_has_is_an_alert() {
    let server = several().env("SNI_STRICT", "1").start();
    for version in ["-tls1_2", "-tls1_3"] {
        for (asked, certificate, _) in ASKED {
            let shown = Shown::to(&server, &[version, "-servername", asked]);
            match certificate {
                "localhost" => shown.assert_alert(112),
                _ => assert_eq!(shown.server(), certificate),
            }
        }
    }
    server
        .log
        .wait_for("sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *");
}

#[test]
fn with_sni_strict_the_names_of_the_default_certificate_are_known() {
    let server = several().env("SNI_STRICT", "1").start();
    for asked in ["localhost", "LOCALHOST."] {
        let shown = Shown::to(&server, &["-servername", asked]);
        assert_eq!(shown.server(), "localhost");
    }
    let alone = Setup::new().options(&["-s"]).program(&["env"]);
    let server = alone.env("SNI_STRICT", "1").start();
    let shown = Shown::to(&server, &["-servername", "localhost"]);
    assert_eq!(shown.server(), "localhost");
    Shown::to(&server, &["-servername", "example.org"]).assert_alert(112);
}

#[test]
fn sni_strict_is_0_or_1() {
    let outcome = several().env("SNI_STRICT", "yes").run();
    assert_eq!(outcome.code(), 100);
    assert!(
        outcome.stderr.contains("SNI_STRICT: \"yes\" is not 0 or 1"),
        "{outcome:?}"
    );
}

#[test]
fn of_rsa_and_ecdsa_for_one_name_the_client_has_the_one_it_can_use() {
    let names = &["mail.example.org"];
    let setup = one_file(server(), "one", Kind::P256, 0, "ecdsa", names);
    let setup = one_file(setup, "two", Kind::Rsa2048, 1, "rsa", names);
    let server = setup.start();
    let cases = [
        ("ECDSA+SHA256", "ecdsa", "Middle 0"),
        ("RSA-PSS+SHA256:RSA+SHA256", "rsa", "Middle 1"),
        ("ECDSA+SHA256:RSA-PSS+SHA256", "ecdsa", "Middle 0"),
    ];
    for version in ["-tls1_2", "-tls1_3"] {
        for (algorithms, certificate, signer) in cases {
            let asked = ["-servername", "mail.example.org", "-sigalgs", algorithms];
            let shown = Shown::to(&server, &[&[version][..], &asked].concat());
            assert_eq!(shown.chain, [certificate, signer], "{algorithms}");
        }
    }
}

#[test]
fn what_an_acme_client_keeps_is_read_through_its_links_inside_the_root() {
    if without_root("an ACME client's directory") {
        return;
    }
    let setup = Setup::new().options(&["-s"]).program(&["env"]);
    let setup = setup.jailed(Kind::P256).env("CERTDIR", "/live");
    for (label, signer) in [("first", 0), ("second", 1)] {
        let name = format!("{label}.example.org");
        let pair = pair(Kind::P256, signer, label, &[&name]);
        acme(&setup.dir.join("jail"), &name, &pair);
    }
    let server = setup.start();
    for (label, signer) in [("first", "Middle 0"), ("second", "Middle 1")] {
        let name = format!("{label}.example.org");
        let shown = Shown::to(&server, &["-servername", &name]);
        assert_eq!(shown.server(), label);
        assert_eq!(shown.chain, [label, signer]);
    }
    assert_eq!(server.log.count("*warning*"), 0, "{:?}", server.log.lines());
}

#[test]
fn a_directory_that_cannot_be_read_is_fatal() {
    let setup = Setup::new().env("CERTDIR", "/nowhere/at/all");
    let outcome = setup.run();
    assert_eq!(outcome.code(), 111);
    let line = "sslserver: error: (111) unable to read CERTDIR: /nowhere/at/all: ";
    assert!(outcome.stderr.contains(line), "{outcome:?}");
}

#[test]
fn an_empty_directory_changes_nothing() {
    let server = server().start();
    let shown = Shown::to(&server, &["-servername", "mail.example.org"]);
    assert_eq!(shown.server(), "localhost");
}
