//! Which certificate a client is shown.
#![forbid(unsafe_code)]

use crate::common::keys::{Order, Pair, authority, for_addresses, for_names, intermediate};
use crate::common::{Dial, Kind, Running, Serving, Stud};
use openssl::nid::Nid;
use openssl::ssl::SslVersion;

fn pair(label: &str, names: &[&str]) -> Pair {
    for_names(Kind::P256, authority(), label, names)
}

/// A proxy with these PEMs, each a label and names.
fn with(pems: &[(&str, &[&str])], config: &str) -> (Running, Serving) {
    let backend = Serving::echo();
    let mut stud = Stud::without_pem(backend.address).config(config);
    for (label, names) in pems {
        stud = stud.pem(&format!("{label}.pem"), &pair(label, names));
    }
    (stud.start(), backend)
}

fn shown(dial: Dial) -> String {
    let mut client = dial.connect();
    client.assert_echoes();
    client.shown()
}

fn assert_shown(stud: &Running, cases: &[(&str, &str)]) {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (name, label) in cases {
            let found = shown(stud.dial().version(version).name(name));
            assert_eq!(&found, label, "{name} {version:?}");
        }
    }
}

#[test]
fn the_first_listed_that_has_the_name_is_shown() {
    let pems: [(&str, &[&str]); 4] = [
        ("one", &["a.example", "b.example"]),
        ("two", &["b.example", "c.example"]),
        ("three", &["C.Example"]),
        ("last", &["a.example", "d.example"]),
    ];
    let (stud, _backend) = with(&pems, "");
    assert_shown(
        &stud,
        &[
            ("a.example", "one"),
            ("b.example", "one"),
            ("c.example", "two"),
            ("C.EXAMPLE", "two"),
            ("c.example.", "two"),
            ("d.example", "last"),
        ],
    );
}

#[test]
fn the_last_listed_is_for_those_who_name_nobody_we_know() {
    let pems: [(&str, &[&str]); 3] = [
        ("one", &["a.example"]),
        ("two", &["b.example"]),
        ("last", &["c.example"]),
    ];
    let (stud, _backend) = with(&pems, "");
    assert_shown(&stud, &[("unknown.example", "last"), ("example", "last")]);
    assert_eq!(shown(stud.dial()), "last");
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let pems: [(&str, &[&str]); 4] = [
        ("exact", &["www.w.example"]),
        ("wild", &["*.w.example"]),
        ("late", &["late.w.example"]),
        ("last", &["localhost"]),
    ];
    let (stud, _backend) = with(&pems, "");
    assert_shown(
        &stud,
        &[
            ("www.w.example", "exact"),
            ("any.w.example", "wild"),
            ("ANY.W.example.", "wild"),
            ("late.w.example", "wild"),
            ("w.example", "last"),
            ("a.b.w.example", "last"),
            ("xw.example", "last"),
        ],
    );
}

#[test]
fn the_common_name_counts_only_without_alternative_names() {
    let backend = Serving::echo();
    let bare = Order::new("/CN=bare.example", "keyUsage=digitalSignature").signed_by(authority());
    let stud = Stud::without_pem(backend.address)
        .pem("bare.pem", &bare)
        .pem("other.pem", &pair("cn.example", &["san.example"]))
        .pem("addresses.pem", &for_addresses())
        .pem("last.pem", &pair("last", &["localhost"]))
        .start();
    let cases = [
        ("bare.example", "bare.example"),
        ("san.example", "cn.example"),
        ("cn.example", "last"),
        ("addresses", "last"),
    ];
    assert_shown(&stud, &cases);
}

#[test]
fn a_certificate_without_names_is_no_trouble_wherever_it_stands() {
    let backend = Serving::echo();
    let nameless = || Order::new("/O=nameless", "keyUsage=digitalSignature").signed_by(authority());
    let owner = |stud: &Running, dial: Dial| {
        let mut client = dial.connect();
        client.assert_echoes();
        let certificate = client.tls.ssl().peer_certificate().expect("a certificate");
        let subject = certificate.subject_name();
        let worker = stud.role("ssl-worker").pid;
        let named = subject.entries_by_nid(Nid::COMMONNAME).next().is_some();
        (named, worker)
    };
    let first = Stud::without_pem(backend.address)
        .pem("nameless.pem", &nameless())
        .pem("last.pem", &pair("last", &["localhost"]))
        .start();
    let worker = first.role("ssl-worker").pid;
    for name in ["localhost", "unknown.example", "nameless"] {
        assert_eq!(owner(&first, first.dial().name(name)), (true, worker));
    }
    let last = Stud::without_pem(backend.address)
        .pem("named.pem", &pair("named", &["localhost"]))
        .pem("nameless.pem", &nameless())
        .start();
    let worker = last.role("ssl-worker").pid;
    assert_eq!(owner(&last, last.dial().name("localhost")), (true, worker));
    assert_eq!(
        owner(&last, last.dial().name("unknown.example")),
        (false, worker)
    );
    assert_eq!(owner(&last, last.dial()), (false, worker));
}

#[test]
fn a_name_has_a_certificate_of_each_kind_of_key() {
    let backend = Serving::echo();
    let of = |kind, label| for_names(kind, authority(), label, &["both.example"]);
    let stud = Stud::without_pem(backend.address)
        .pem("rsa.pem", &of(Kind::Rsa2048, "rsa"))
        .pem("ecdsa.pem", &of(Kind::P256, "ecdsa"))
        .pem("last.pem", &pair("last", &["localhost"]))
        .start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (able, label) in [("rsa_pss_rsae_sha256", "rsa"), ("ECDSA+SHA256", "ecdsa")] {
            let dial = stud.dial().version(version).name("both.example");
            let dial = dial.set(|settings| settings.set_sigalgs_list(able).expect("a list"));
            assert_eq!(shown(dial), label, "{version:?}");
        }
    }
}

#[test]
fn an_unknown_name_is_refused_if_the_configuration_says_so() {
    let pems: [(&str, &[&str]); 2] = [("one", &["a.example"]), ("last", &["b.example"])];
    let (stud, _backend) = with(&pems, "sni-nomatch-abort = on");
    assert_shown(&stud, &[("a.example", "one"), ("b.example", "last")]);
    assert_eq!(shown(stud.dial()), "last");
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let refused = stud
            .dial()
            .version(version)
            .name("unknown.example")
            .try_connect();
        let error = refused.err().expect("a refusal");
        assert!(error.contains("unrecognized name"), "{error}");
    }
}

#[test]
fn a_name_that_was_found_is_acknowledged_and_another_is_not() {
    let pems: [(&str, &[&str]); 2] = [("one", &["a.example"]), ("last", &["b.example"])];
    let (stud, _backend) = with(&pems, "");
    for version in ["-tls1_2", "-tls1_3"] {
        for (name, found) in [
            ("a.example", true),
            ("b.example", true),
            ("unknown.example", false),
        ] {
            let mut command = std::process::Command::new("openssl");
            command.args([
                "s_client",
                version,
                "-tlsextdebug",
                "-servername",
                name,
                "-connect",
            ]);
            command.arg(stud.address().to_string());
            let outcome = crate::common::run(command, b"", crate::common::LIMIT);
            let line = "TLS server extension \"server name\"";
            assert_eq!(
                outcome.text().contains(line),
                found,
                "{version} {name} {outcome:?}"
            );
        }
    }
}

#[test]
fn a_certificate_comes_with_its_own_chain() {
    let backend = Serving::echo();
    let middle = |label: &str| intermediate(&format!("/CN={label}"), authority());
    let mut stud = Stud::without_pem(backend.address);
    for (label, above) in [("one", "middle one"), ("last", "middle last")] {
        let signer = middle(above);
        let mut pair = for_names(Kind::P256, &signer, label, &[&format!("{label}.example")]);
        pair.certificate.push_str(&signer.certificate);
        stud = stud.pem(&format!("{label}.pem"), &pair);
    }
    let stud = stud.start();
    for (name, chain) in [
        ("one.example", ["one", "middle one"]),
        ("last.example", ["last", "middle last"]),
    ] {
        let client = stud.dial().name(name).connect();
        let sent = client.tls.ssl().peer_cert_chain().expect("a chain");
        let names: Vec<String> = sent
            .iter()
            .map(|certificate| {
                let mut entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
                let entry = entries.next().expect("a name");
                entry.data().to_string().expect("text")
            })
            .collect();
        assert_eq!(names, chain);
    }
}
