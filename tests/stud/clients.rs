//! Clients that may or have to show a certificate.
#![forbid(unsafe_code)]

use crate::common::keys::{Order, Pair, authority, for_names, root};
use crate::common::{Dial, Kind, Outcome, Running, Serving, Stud, showing};
use openssl::ssl::SslVersion;
use std::io::Read;

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

fn joe() -> Pair {
    Order::new("/CN=joe", "extendedKeyUsage=clientAuth").signed_by(authority())
}

/// One whom only an authority of its own trusts.
fn eve() -> Pair {
    Order::new("/CN=eve", "extendedKeyUsage=clientAuth").signed_by(&root("/CN=False Root"))
}

/// Whether the client gets an answer.
fn is_served(dial: Dial) -> bool {
    // Under TLS 1.3 a client is done before the server has looked at the certificate.
    let Ok(mut client) = dial.try_connect() else {
        return false;
    };
    if client.tls.ssl_write(b"x").is_err() {
        return false;
    }
    let mut answer = [0; 6];
    let heard = client.tls.read_exact(&mut answer);
    heard.is_ok_and(|()| answer == *b"answer")
}

/// Lines that ask for certificates of the authority.
fn demand(stud: &Stud, demand: &str) -> String {
    let ca = stud.dir.write("ca.pem", &authority().certificate);
    format!(
        "client-verify = {demand}\nclient-verify-ca = \"{}\"",
        ca.display()
    )
}

fn asking(word: &str) -> (Running, Serving) {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address);
    let lines = demand(&stud, word);
    (stud.config(&lines).start(), backend)
}

#[test]
fn required_means_a_good_certificate_or_nothing() {
    let (stud, backend) = asking("required");
    for version in VERSIONS {
        let dial = || stud.dial().version(version);
        assert!(is_served(showing(dial(), &joe(), &[])), "{version:?}");
        let before = backend.count();
        assert!(!is_served(dial()), "{version:?}");
        assert!(!is_served(showing(dial(), &eve(), &[])), "{version:?}");
        assert_eq!(backend.count(), before);
    }
}

#[test]
fn optional_means_a_good_certificate_or_none() {
    let (stud, backend) = asking("optional");
    for version in VERSIONS {
        let dial = || stud.dial().version(version);
        assert!(is_served(showing(dial(), &joe(), &[])), "{version:?}");
        assert!(is_served(dial()), "{version:?}");
        let before = backend.count();
        assert!(!is_served(showing(dial(), &eve(), &[])), "{version:?}");
        assert_eq!(backend.count(), before);
    }
}

#[test]
fn none_means_that_nobody_is_asked() {
    let (stud, _backend) = asking("none");
    for version in VERSIONS {
        assert!(is_served(showing(
            stud.dial().version(version),
            &eve(),
            &[]
        )));
    }
    let outcome = stud.s_client(&[], "x\n");
    assert!(
        outcome
            .text()
            .contains("No client certificate CA names sent"),
        "{outcome:?}"
    );
}

#[test]
fn a_client_is_told_whom_the_server_trusts() {
    let (stud, _backend) = asking("optional");
    for version in ["-tls1_2", "-tls1_3"] {
        let text = stud.s_client(&[version], "x\n").text();
        let (_, list) = text
            .split_once("Acceptable client certificate CA names\n")
            .expect("a list");
        assert!(list.starts_with("CN = Test Root\n"), "{list}");
    }
}

#[test]
fn a_demand_without_an_authority_is_fatal() {
    let stud = Stud::to(([127, 0, 0, 1], 9).into()).config("client-verify = required");
    for options in [&[][..], &["-t"]] {
        let outcome = stud.run_with(options);
        assert_eq!(outcome.code(), 1, "{outcome:?}");
        assert!(outcome.stderr.contains("client-verify-ca"), "{outcome:?}");
    }
}

#[test]
fn each_frontend_may_have_its_own_demand() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address);
    let lines = demand(&stud, "required");
    let block = format!("frontend = {{\n host = \"127.0.0.2\"\n port = \"0\"\n {lines}\n}}");
    let stud = stud.config(&block).start();
    assert!(is_served(Dial::to(stud.addresses[0])));
    assert!(!is_served(Dial::to(stud.addresses[1])));
    assert!(is_served(showing(Dial::to(stud.addresses[1]), &joe(), &[])));
}

/// A certificate for free.example without a demand, one for guarded.example with one, and the default without.
fn guarded() -> (Running, Serving) {
    let backend = Serving::answering(b"answer");
    let mut stud = Stud::without_pem(backend.address);
    let lines = demand(&stud, "required");
    for (label, lines) in [("free", ""), ("guarded", &lines), ("last", "")] {
        let names = [format!("{label}.example")];
        let pair = for_names(Kind::P256, authority(), label, &[&names[0]]);
        let file = stud.file(&format!("{label}.pem"), &pair);
        stud = stud.config(&format!("pem-file = {{\n cert = \"{file}\"\n {lines}\n}}"));
    }
    (stud.start(), backend)
}

#[test]
fn each_certificate_may_have_its_own_demand() {
    let (stud, _backend) = guarded();
    for version in VERSIONS {
        let dial = |name: &str| stud.dial().version(version).name(name);
        assert!(is_served(dial("free.example")));
        assert!(is_served(dial("unknown.example")));
        assert!(!is_served(dial("guarded.example")));
        assert!(is_served(showing(dial("guarded.example"), &joe(), &[])));
    }
}

fn s_client(stud: &Running, version: &str, name: &str, more: &[&str]) -> Outcome {
    let options = [&[version, "-servername", name], more].concat();
    stud.s_client(&options, "x\n")
}

#[test]
fn a_session_from_where_nobody_was_asked_does_not_get_in_where_somebody_is() {
    let (stud, _backend) = guarded();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = stud.dir.text("session");
        let outcome = s_client(&stud, version, "free.example", &["-sess_out", &session]);
        assert!(outcome.text().contains("answer"), "{outcome:?}");
        let outcome = s_client(&stud, version, "free.example", &["-sess_in", &session]);
        assert!(outcome.text().contains("\nReused, "), "{outcome:?}");
        let outcome = s_client(&stud, version, "guarded.example", &["-sess_in", &session]);
        assert!(!outcome.text().contains("answer"), "{version} {outcome:?}");
    }
}

#[test]
fn a_session_of_a_client_that_showed_its_certificate_resumes_without_it() {
    let (stud, _backend) = guarded();
    let pair = joe();
    let cert = stud
        .dir
        .write("own.pem", &pair.certificate)
        .display()
        .to_string();
    let key = stud.dir.write("own.key", &pair.key).display().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = stud.dir.text("session");
        let own = ["-cert", &cert, "-key", &key, "-sess_out", &session];
        let outcome = s_client(&stud, version, "guarded.example", &own);
        assert!(outcome.text().contains("answer"), "{outcome:?}");
        let outcome = s_client(&stud, version, "guarded.example", &["-sess_in", &session]);
        let text = outcome.text();
        assert!(
            text.contains("answer") && text.contains("\nReused, "),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_refused_client_is_said_with_the_reason() {
    let (stud, _backend) = asking("required");
    let dial = showing(stud.dial().from("127.0.0.9"), &eve(), &[]);
    if let Ok(mut client) = dial.try_connect() {
        let _ = client.tls.read(&mut [0; 1]);
    }
    stud.log.wait_for("*127.0.0.9:*certificate*");
}
