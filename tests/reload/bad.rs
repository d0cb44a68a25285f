//! What cannot be used stays out: the old keys serve, and the log says which file is to blame.
#![forbid(unsafe_code)]

use super::{put, reload, renew, replace, serving, shown};
use crate::common::keys::{authority, for_names};
use crate::common::{Kind, Server, eventually, terminator};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

/// What the log says when the keys are read again, and that the old ones are served.
fn refused(server: &Server) -> String {
    server.signal(Signal::SIGHUP);
    let line = server
        .log
        .wait_for("sslserver: error: (111) keys are not renewed, the old ones stay: *");
    assert_eq!(shown(server), "localhost");
    line
}

#[test]
fn a_certificate_that_is_none_stays_out() {
    let server = serving();
    replace(&server.dir, "cert0.pem", "no certificate\n");
    let line = refused(&server);
    let file = server.dir.text("cert0.pem");
    assert!(
        line.ends_with(&format!(
            "unable to load certificate: {file}: no PEM certificate in it"
        )),
        "{line}"
    );
}

#[test]
fn a_file_that_is_missing_changes_nothing_and_the_next_try_finds_it_again() {
    let server = serving();
    std::fs::remove_file(server.dir.join("key0.pem")).expect("removed");
    let line = refused(&server);
    assert!(line.contains("/key0.pem: "), "{line}");
    renew(&server, "renewed");
    reload(&server, 1);
    assert_eq!(shown(&server), "renewed");
}

#[test]
fn a_key_that_does_not_fit_stays_out() {
    let server = serving();
    let other = for_names(Kind::P256, authority(), "other", &["localhost"]);
    replace(&server.dir, "key0.pem", &other.key);
    let line = refused(&server);
    assert!(line.contains("key does not match certificate: "), "{line}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_without_waiting_for_a_writer() {
    let server = serving();
    let file = server.dir.join("cert0.pem");
    std::fs::remove_file(&file).expect("removed");
    nix::unistd::mkfifo(&file, Mode::S_IRUSR | Mode::S_IROTH).expect("a pipe");
    let line = refused(&server);
    assert!(line.ends_with("/cert0.pem: not a regular file"), "{line}");
}

#[test]
fn a_half_written_certificate_stays_out() {
    let server = serving();
    let whole = std::fs::read_to_string(server.dir.join("cert0.pem")).expect("read");
    server.dir.write("cert0.pem", &whole[..whole.len() / 2]);
    refused(&server);
    put(&server.dir, "", "whole");
    reload(&server, 1);
    assert_eq!(shown(&server), "whole");
}

#[test]
fn successors_that_die_leave_the_service_to_those_before_them() {
    let server = serving();
    renew(&server, "renewed");
    let before = server.roles(terminator());
    server.signal(Signal::SIGHUP);
    let fresh = server.successor(terminator(), &before);
    // It may have taken over already; then it is replaced as any other.
    fresh.send(Signal::SIGKILL);
    server
        .log
        .wait_for("sslserver: warning: terminator * ended by signal 9*");
    eventually("service", || {
        let certificate = shown(&server);
        (certificate == "renewed" || certificate == "localhost").then_some(())
    });
    server.signal(Signal::SIGHUP);
    eventually("the new certificate", || {
        (shown(&server) == "renewed").then_some(())
    });
}
