//! Clients that have to show a certificate: `-m` any valid one, `-z` one in their own name.
#![forbid(unsafe_code)]

#[path = "client_certificates/chains.rs"]
mod chains;
mod common;
#[path = "client_certificates/names.rs"]
mod names;
#[path = "client_certificates/settings.rs"]
mod settings;
#[path = "client_certificates/told.rs"]
mod told;

use common::keys::{Order, Pair, authority, intermediate, root};
use common::{Dial, Outcome, Server, Setup, peers, showing};
use openssl::ssl::SslVersion;
use std::io::Read;

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// Says on the log that it was started: whoever is refused must not come so far.
const HELLO: &str = "echo application >&2; echo hello";

/// A server that trusts the authority for clients.
fn asking(option: &str) -> Setup {
    let certificate = &authority().certificate;
    Setup::new()
        .options(&[option])
        .file("CAFILE", "ca.pem", certificate)
        .shell(HELLO)
}

/// A client's certificate from the authority, and what the log should know of it.
fn client(subject: &str) -> Pair {
    Order::new(subject, "extendedKeyUsage=clientAuth").signed_by(authority())
}

fn served(dial: Dial) {
    assert_eq!(dial.connect().text(), "hello\n");
}

/// The client gets no word from the application, and the log has this line. Returns the line.
fn refused(server: &Server, dial: Dial, line: &str) -> String {
    let before = server.log.count(line);
    // Under TLS 1.3 a client is done before the server has looked at the certificate.
    if let Ok(mut client) = dial.try_connect() {
        let mut said = Vec::new();
        let _ = client.tls.read_to_end(&mut said);
        assert_eq!(String::from_utf8_lossy(&said), "", "{line}");
    }
    let found = server.log.wait_for_nth(line, before + 1);
    server.wait_until_idle();
    for pattern in [
        "application",
        "sslserver: pid *",
        "sslserver: ok *",
        "sslserver: tls *",
    ] {
        assert_eq!(
            server.log.count(pattern),
            0,
            "{pattern} {:?}",
            server.log.lines()
        );
    }
    found
}

/// How the log says that a handshake failed.
fn failed(reason: &str) -> String {
    format!("sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: * {reason}")
}

/// `openssl s_client` with this certificate.
fn s_client(server: &Server, pair: &Pair, options: &[&str]) -> Outcome {
    let certificate = server.dir.write("own.pem", &pair.certificate);
    let key = server.dir.write("own.key", &pair.key);
    let mut words = vec!["-cert", certificate.to_str().expect("plain"), "-key"];
    words.push(key.to_str().expect("plain"));
    peers::s_client(server, &[&words[..], options].concat(), "hello\n")
}

#[test]
fn a_client_with_a_valid_certificate_is_served() {
    let joe = client("/CN=joe");
    let server = asking("-m").start();
    for version in VERSIONS {
        served(showing(server.dial().version(version), &joe, &[]));
    }
    let info = "sslserver: info: valid client cert received from: 127.0.0.1 for pid: *";
    server.log.wait_for_nth(info, 2);
    server.stop();
}

#[test]
fn every_kind_of_key_is_good_for_a_client() {
    let server = asking("-m").start();
    for kind in common::keys::KINDS {
        let mut order = Order::new("/CN=joe", "keyUsage=digitalSignature");
        order.kind = kind;
        served(showing(server.dial(), &order.signed_by(authority()), &[]));
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    for option in ["-m", "-z"] {
        let server = asking(option).start();
        for version in VERSIONS {
            let line = failed("peer did not return a certificate");
            refused(&server, server.dial().version(version), &line);
        }
    }
}

#[test]
fn a_client_is_told_by_an_alert_that_its_certificate_is_missing() {
    let server = asking("-m").start();
    let outcome = peers::s_client(&server, &["-tls1_3"], "hello\n");
    assert!(
        outcome.stderr.contains("certificate required"),
        "{outcome:?}"
    );
    let outcome = peers::s_client(&server, &["-tls1_2"], "hello\n");
    assert!(outcome.stderr.contains("handshake failure"), "{outcome:?}");
}

#[test]
fn an_expired_certificate_is_refused() {
    let mut order = Order::new("/CN=joe", "keyUsage=digitalSignature");
    order.days = "-1";
    let joe = order.signed_by(authority());
    let server = asking("-m").start();
    for version in VERSIONS {
        let line = failed("certificate verify failed: certificate has expired");
        refused(
            &server,
            showing(server.dial().version(version), &joe, &[]),
            &line,
        );
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let other = root("/CN=Another Root");
    let joe = Order::new("/CN=joe", "keyUsage=digitalSignature").signed_by(&other);
    let server = asking("-m").start();
    for version in VERSIONS {
        let line = failed("certificate verify failed: unable to get local issuer certificate");
        refused(
            &server,
            showing(server.dial().version(version), &joe, &[]),
            &line,
        );
        // Bringing the authority along does not make it known.
        let line =
            failed("certificate verify failed: self*signed certificate in certificate chain");
        let dial = showing(server.dial().version(version), &joe, &[&other.certificate]);
        refused(&server, dial, &line);
    }
}

#[test]
fn an_authority_of_the_same_name_with_another_key_is_not_the_authority() {
    let false_root = root("/CN=Test Root");
    let joe = Order::new("/CN=joe", "keyUsage=digitalSignature").signed_by(&false_root);
    let server = asking("-m").start();
    let line = failed("certificate verify failed: *");
    refused(
        &server,
        showing(server.dial(), &joe, &[&false_root.certificate]),
        &line,
    );
    refused(&server, showing(server.dial(), &joe, &[]), &line);
}

#[test]
fn a_certificate_that_signed_itself_is_refused() {
    let joe = root("/CN=joe");
    let server = asking("-m").start();
    let line = failed("certificate verify failed: self*signed certificate");
    refused(&server, showing(server.dial(), &joe, &[]), &line);
}

#[test]
fn a_certificate_that_is_for_servers_only_is_refused() {
    let joe = Order::new("/CN=joe", "extendedKeyUsage=serverAuth").signed_by(authority());
    let server = asking("-m").start();
    // The library has two spellings.
    let line = failed("certificate verify failed: uns* certificate purpose");
    refused(&server, showing(server.dial(), &joe, &[]), &line);
}

#[test]
fn a_certificate_below_one_that_is_no_authority_is_refused() {
    let joe = client("/CN=joe");
    let ann = Order::new("/CN=ann", "keyUsage=digitalSignature").signed_by(&joe);
    let server = asking("-m").start();
    let line = failed("certificate verify failed: *");
    refused(
        &server,
        showing(server.dial(), &ann, &[&joe.certificate]),
        &line,
    );
}

/// A client below so many intermediates, and these, the nearest first.
fn below(number: usize) -> (Pair, Vec<Pair>) {
    let mut chain: Vec<Pair> = Vec::new();
    for level in 0..number {
        let signer = chain.first().unwrap_or(authority());
        let next = intermediate(&format!("/CN=Level {level}"), signer);
        chain.insert(0, next);
    }
    let signer = chain.first().unwrap_or(authority());
    let joe = Order::new("/CN=joe", "keyUsage=digitalSignature").signed_by(signer);
    (joe, chain)
}

#[test]
fn capital_z_and_ccafile_minus_ask_nobody() {
    for setup in [
        asking("-mZ"),
        asking("-zZ"),
        asking("-m").env("CCAFILE", "-"),
        asking("-z").env("CCAFILE", "-").without("CAFILE"),
    ] {
        let server = setup.start();
        served(server.dial());
        let outcome = peers::s_client(&server, &["-tls1_2"], "hello\n");
        assert!(outcome.text().contains("\nhello"), "{outcome:?}");
        assert_eq!(server.log.count("sslserver: info: valid client cert *"), 0);
    }
}

#[test]
fn refused_clients_cost_no_place_and_the_next_is_served() {
    let server = asking("-m").options(&["-c", "1"]).start();
    let joe = client("/CN=joe");
    for _ in 0..5 {
        let line = failed("peer did not return a certificate");
        refused(&server, server.dial(), &line);
    }
    served(showing(server.dial(), &joe, &[]));
    server.log.wait_for("sslserver: ended by *");
    server.wait_until_idle();
    server.stop();
}

#[test]
fn curl_shows_its_certificate() {
    let joe = client("/CN=joe");
    let server = asking("-m")
        .shell("read line; printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello\\n'")
        .start();
    let certificate = server.dir.write("own.pem", &joe.certificate);
    let key = server.dir.write("own.key", &joe.key);
    let words = [
        "--cert",
        certificate.to_str().expect("plain"),
        "--key",
        key.to_str().expect("plain"),
    ];
    let outcome = common::curl(&server, &words, "https://{}/");
    assert_eq!(outcome.text(), "hello\n", "{outcome:?}");
    let outcome = common::curl(&server, &[], "https://{}/");
    assert_ne!(outcome.code(), 0, "{outcome:?}");
}

#[test]
fn with_starttls_a_refused_client_ends_the_application_without_a_word_from_it() {
    let script = "printf y >&3; cat <&4 >&2; exec sleep 600";
    let server = asking("-m").options(&["-n"]).shell(script).start();
    let plain = server.dial().plain();
    if let Ok(mut client) = plain.try_tls() {
        let _ = client.tls.read_to_end(&mut Vec::new());
    }
    server
        .log
        .wait_for(&failed("peer did not return a certificate"));
    server.log.wait_for("sslserver: ended by * status 15");
    assert_eq!(server.log.count("sslserver: tls *"), 0);
    let joe = client("/CN=joe");
    let server = asking("-m")
        .options(&["-n"])
        .shell("printf y >&3; echo hello >&5")
        .start();
    let client = showing(server.dial(), &joe, &[]).plain().tls();
    assert_eq!(client.text(), "hello\n");
}
