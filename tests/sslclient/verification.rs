//! Whose certificate is good: every way to be the wrong one has its line and ends with 110 before a program runs.
#![forbid(unsafe_code)]

use crate::common::keys::{
    self, Kind, Order, Pair, authority, expired, for_names, leaf, revocation_list, root,
};
use crate::common::{Caller, Outcome, Server, Setup};
use crate::{assert_ended, assert_quiet};

/// A server with this certificate that says hello.
fn server(pair: &Pair) -> Server {
    Setup::bare()
        .options(&["-1", "-v", "-H"])
        .file("CERTFILE", "cert.pem", &pair.certificate)
        .file("KEYFILE", "key.pem", &pair.key)
        .program(&["echo", "hello"])
        .start()
}

fn call(server: &Server) -> Caller {
    Caller::of(server).host("localhost").options(&["-4"])
}

fn assert_served(outcome: &Outcome) {
    assert_eq!(
        (outcome.code(), &*outcome.text()),
        (0, "hello\n"),
        "{outcome:?}"
    );
    assert_quiet(outcome);
}

fn assert_refused(outcome: &Outcome, port: u16, reason: &str) {
    let line = format!(
        "sslclient: error: (110) missing credentials (CA) or unable to validate server certificate \
         from: 127.0.0.1 port: {port}: {reason}"
    );
    assert_ended(outcome, 110, &line);
    assert_eq!(outcome.text(), "", "the program ran");
}

#[test]
fn a_good_certificate_for_the_name_and_for_the_address_is_good() {
    let server = server(leaf(Kind::P256));
    assert_served(&call(&server).run());
    for host in ["127.0.0.1", "::ffff:127.0.0.1", "LOCALHOST"] {
        assert_served(&call(&server).host(host).run());
    }
    server.stop();
}

#[test]
fn an_expired_certificate_is_refused() {
    let server = server(&expired());
    let outcome = call(&server).run();
    assert_refused(&outcome, server.port(), "certificate has expired");
    // The server is told as well.
    server
        .log
        .wait_for("sslserver: fatal: (111) unable to accept TLS from: * certificate expired");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let server = server(leaf(Kind::P256));
    let other = root("/CN=Somebody Else");
    let bare = || Caller::bare("localhost", server.port()).options(&["-4", "-H"]);
    for caller in [bare().trusting(&[&other]), bare()] {
        let reason = "unable to get local issuer certificate";
        assert_refused(&caller.run(), server.port(), reason);
    }
}

#[test]
fn a_certificate_that_vouches_for_itself_is_refused_unless_it_is_trusted_itself() {
    let own = root("/CN=localhost");
    let server = server(&own);
    assert_refused(
        &call(&server).run(),
        server.port(),
        "self-signed certificate",
    );
    assert_served(&call(&server).trusting(&[&own]).run());
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let other = for_names(
        Kind::P256,
        authority(),
        "other",
        &["other.example", "*.example"],
    );
    let server = server(&other);
    for host in ["localhost", "127.0.0.1"] {
        let outcome = call(&server).host(host).run();
        let line = format!(
            "sslclient: error: (110) server hostname does not match certificate: {host} <=> other.example"
        );
        assert_ended(&outcome, 110, &line);
        assert_eq!(outcome.text(), "");
    }
    // The chain alone counts.
    assert_served(&call(&server).options(&["-N"]).run());
    assert_ended(&call(&server).options(&["-Nn"]).run(), 110, "*match*");
}

#[test]
fn a_revoked_certificate_is_refused() {
    let pair = Order {
        serial: "0x4242",
        ..Order::new("/CN=localhost", "subjectAltName=DNS:localhost")
    }
    .signed_by(authority());
    let server = server(&pair);
    let with = |serials: &[&str]| {
        call(&server).file("CRLFILE", "crl.pem", revocation_list(authority(), serials))
    };
    assert_refused(&with(&["4242"]).run(), server.port(), "certificate revoked");
    assert_served(&with(&["4243"]).run());
}

#[test]
fn a_chain_may_be_as_long_as_is_said() {
    let chain = keys::chain();
    let whole = Pair {
        certificate: format!("{}{}", chain.leaf.certificate, chain.intermediate),
        key: chain.leaf.key.clone(),
    };
    let server = server(&whole);
    assert_served(&call(&server).options(&["-N"]).run());
    assert_served(&call(&server).options(&["-N", "-V", "1"]).run());
    let reason = "certificate chain too long";
    assert_refused(
        &call(&server).options(&["-N", "-V0"]).run(),
        server.port(),
        reason,
    );
    let outcome = call(&server).options(&["-N"]).env("VERIFYDEPTH", "0").run();
    assert_refused(&outcome, server.port(), reason);
    // The option counts.
    let both = call(&server).options(&["-NV1"]).env("VERIFYDEPTH", "0");
    assert_served(&both.run());
}

#[test]
fn nobody_is_checked_under_capital_x() {
    let own = root("/CN=somebody");
    let server = server(&own);
    for options in [&["-X"][..], &["-X", "-n"], &["-X", "-a", "/nonexistent"]] {
        assert_served(&call(&server).options(options).run());
    }
    assert_ended(&call(&server).options(&["-Xx"]).run(), 110, "*credentials*");
}

#[test]
fn authorities_come_from_options_or_else_from_the_environment_or_else_from_the_system() {
    let server = server(leaf(Kind::P256));
    let bare = || Caller::bare("localhost", server.port()).options(&["-4", "-v", "-H"]);
    let other = root("/CN=Somebody Else");
    let folder = bare();
    folder.dir.subdirectory("ca");
    folder.dir.write("ca/one.pem", &authority().certificate);
    folder.dir.write("ca/other.pem", &other.certificate);
    folder.dir.write("ca/README", "authorities");
    let name = folder.dir.text("ca");
    assert_served(&folder.options(&["-A", &name]).run());
    let named = |variable: &str| bare().file(variable, "ca.pem", &authority().certificate);
    for variable in ["CAFILE", "SSL_CERT_FILE"] {
        assert_served(&named(variable).run());
        let outcome = named(variable).trusting(&[&other]).run();
        assert_refused(
            &outcome,
            server.port(),
            "unable to get local issuer certificate",
        );
    }
    let folder = bare().dir;
    folder.write("one.pem", &authority().certificate);
    let name = folder.path().display().to_string();
    assert_served(&bare().env("SSL_CERT_DIR", &name).run());
    // An empty one is none.
    let none = bare()
        .options(&["-a", ""])
        .env("CAFILE", "")
        .env("CADIR", "");
    let outcome = none
        .file("SSL_CERT_FILE", "ca.pem", &authority().certificate)
        .run();
    assert_served(&outcome);
}

#[test]
fn what_cannot_be_read_is_named() {
    let server = server(leaf(Kind::P256));
    let fails = |caller: Caller, what: &str| {
        let outcome = caller.run();
        assert_ended(&outcome, 111, &format!("sslclient: fatal: (111) {what}"));
    };
    let with = |options: &[&str]| call(&server).options(options);
    fails(
        with(&["-a", "/nonexistent"]),
        "unable to load CA list: /nonexistent: No such file or directory",
    );
    fails(
        with(&["-A", "/nonexistent"]),
        "unable to load CA list: /nonexistent: No such file or directory",
    );
    fails(
        with(&[]).file("CRLFILE", "crl.pem", "nothing"),
        "unable to load list of revoked certificates: *crl.pem: no PEM list in it",
    );
    // The system's own do not stand in for it.
    fails(
        Caller::bare("localhost", server.port()).env("SSL_CERT_FILE", "/nonexistent"),
        "unable to load the system's authorities: /nonexistent: No such file or directory; SSL_CERT_FILE can say where they are",
    );
    fails(
        with(&["-z", "NONSENSE"]),
        "unable to set cipher list: NONSENSE: no cipher match",
    );
}

#[test]
fn a_server_without_a_common_protocol_is_no_server() {
    let server = server(leaf(Kind::P256));
    let outcome = call(&server)
        .env("TLSMAX", "1.2")
        .options(&["-z", "AES128-SHA"])
        .run();
    let line = format!(
        "sslclient: fatal: (111) unable to TLS connect to: 127.0.0.1 port: {} *handshake failure",
        server.port()
    );
    assert_ended(&outcome, 111, &line);
}
