//! Handshakes that were asked for and came to nothing: the application hears of it everywhere and is ended.
#![forbid(unsafe_code)]

use crate::common::{Plain, Server, without_own_processes};
use crate::{LINES, delayed, up_to_tls};
use nix::sys::signal::Signal;
use openssl::ssl::SslVersion;

const FAILED: &str = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *";

/// Not to be ended by signals; says on the log what it sees.
const STUBBORN: &str = "\
    trap '' TERM PIPE; printf y >&3; \
    cat <&4; echo input ended >&2; \
    cat <&3; echo control ended >&2; \
    echo hello >&5 || echo output broken >&2; \
    exit 5";

/// Each way for a client to fail, and what the log says of it.
type Failure = (&'static str, fn(Server) -> Server);

const FAILURES: [Failure; 4] = [
    ("rubbish", |server| {
        let mut plain = server.dial().plain();
        plain.send(b"GET / HTTP/1.0\r\n\r\n");
        plain.rest();
        server.log.wait_for(&format!("{FAILED}http request"));
        server
    }),
    ("hanging up", |server| {
        server.dial().plain().fin();
        server.log.wait_for(FAILED);
        server
    }),
    ("a reset", |server| {
        server.dial().plain().reset();
        server.log.wait_for(FAILED);
        server
    }),
    ("no common version", |server| {
        let plain: Plain = server.dial().version(SslVersion::TLS1_2).plain();
        assert!(plain.try_tls().is_err());
        server
            .log
            .wait_for(&format!("{FAILED}unsupported protocol"));
        server
    }),
];

#[test]
fn the_application_sees_the_end_of_every_channel() {
    for (failure, fail) in FAILURES {
        let server = delayed().env("TLSMIN", "1.3").shell(STUBBORN).start();
        let server = fail(server);
        server.log.wait_for("sslserver: ended by * status 1280");
        for word in ["input ended", "control ended", "output broken"] {
            assert_eq!(
                server.log.count(word),
                1,
                "{failure}: {:?}",
                server.log.lines()
            );
        }
        server.wait_until_idle();
        assert_eq!(server.log.count("sslserver: tls *"), 0, "{failure}");
    }
}

#[test]
fn the_application_gets_sigterm() {
    for (failure, fail) in FAILURES {
        let server = delayed()
            .env("TLSMIN", "1.3")
            .shell("printf y >&3; exec sleep 600")
            .start();
        let server = fail(server);
        server.log.wait_for("sslserver: ended by * status 15");
        server.wait_until_idle();
        assert_eq!(server.log.count(FAILED), 1, "{failure}");
    }
}

#[test]
fn no_byte_of_a_client_that_failed_reaches_the_application() {
    let script = "printf y >&3; cat <&4 >&2; echo that was all >&2; read never";
    let server = delayed().shell(script).start();
    let mut plain = server.dial().plain();
    plain.send(b"plain words\n");
    plain.rest();
    server.log.wait_for(FAILED);
    server.log.wait_for("sslserver: ended by *");
    assert_eq!(server.log.count("*plain words*"), 0);
}

#[test]
fn a_report_that_cannot_be_given_is_the_end_of_the_channel() {
    let script = "trap '' TERM; printf Y >&3; cat <&3 >&2; echo end of report >&2; exit 5";
    let server = delayed().shell(script).start();
    server.dial().plain().fin();
    server.log.wait_for("end of report");
    server.log.wait_for("sslserver: ended by * status 1280");
    assert_eq!(server.log.count("SSL_*"), 0);
}

#[test]
fn a_killed_session_in_plain_text_takes_tls_with_it_but_not_the_application() {
    let test = "a_killed_session_in_plain_text_takes_tls_with_it_but_not_the_application";
    if without_own_processes(test) {
        return;
    }
    let script = "\
        trap '' PIPE; while read -r word; do case $word in \
            tls) printf y >&3 || echo no tls; cat <&4; echo empty;; \
            *) echo \"$word\";; \
        esac; done";
    let server = delayed().shell(script).start();
    let mut plain = server.dial().plain();
    assert_eq!(plain.ask("hello"), "hello");
    let session = server.role("ssl-session");
    let mut other = server.dial().from("127.0.0.2").plain();
    assert_eq!(other.ask("hello"), "hello");
    session.send(Signal::SIGKILL);
    server
        .log
        .wait_for("sslserver: error: (111) unable to speak TLS with: 127.0.0.1 for pid: * *");
    assert_eq!(plain.ask("still here"), "still here");
    assert_eq!(plain.ask("tls"), "no tls");
    assert_eq!(plain.line(), "empty");
    plain.reset();
    server.log.wait_for("sslserver: ended by *");
    assert_eq!(other.ask("me too"), "me too");
    other.reset();
    server.wait_until_idle();
}

#[test]
fn a_killed_session_in_tls_costs_its_own_connection_only() {
    if without_own_processes("a_killed_session_in_tls_costs_its_own_connection_only") {
        return;
    }
    let server = delayed().shell(LINES).start();
    let mut one = up_to_tls(server.dial()).tls();
    one.assert_echoes();
    let session = server.role("ssl-session");
    let mut other = up_to_tls(server.dial()).tls();
    other.assert_echoes();
    session.send(Signal::SIGKILL);
    server.log.wait_for("sslserver: ended by *");
    other.assert_echoes();
    let (_, end) = one.exchange(b"", crate::Ending::Nothing);
    assert_ne!(end, crate::End::Clean);
    drop(other);
    server.wait_until_idle();
}

#[test]
fn connections_in_plain_text_outlive_a_terminator_and_may_still_begin_tls() {
    let test = "connections_in_plain_text_outlive_a_terminator_and_may_still_begin_tls";
    if without_own_processes(test) {
        return;
    }
    let server = delayed().shell(LINES).start();
    let mut plain = server.dial().plain();
    assert_eq!(plain.ask("hello"), "hello");
    server.role("ssl-session");
    server.role("ssl-terminator").send(Signal::SIGKILL);
    server.log.wait_for("sslserver: warning: terminator *");
    assert_eq!(plain.ask("tls"), "go");
    plain.tls().assert_echoes();
    up_to_tls(server.dial()).tls().assert_echoes();
}

#[test]
fn a_connection_in_plain_text_when_the_keeper_died_fails_its_handshake_and_the_next_does_not() {
    let server = delayed().shell(LINES).start();
    let mut plain = server.dial().plain();
    assert_eq!(plain.ask("hello"), "hello");
    server.wait_for_sessions(1);
    server.role("ssl-keeper").send(Signal::SIGKILL);
    server.log.wait_for("sslserver: warning: keeper *");
    assert_eq!(plain.ask("tls"), "go");
    // Its session knew the old keeper only.
    assert!(plain.try_tls().is_err());
    server.log.wait_for(FAILED);
    server.log.wait_for("sslserver: ended by *");
    up_to_tls(server.dial()).tls().assert_echoes();
}
