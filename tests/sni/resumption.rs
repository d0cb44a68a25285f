//! Resumption where certificates are chosen by name.

use crate::common::{Kind, Server, Shown};
use crate::sets::{one_file, server};

#[test]
fn a_session_with_a_named_set_is_resumed_under_its_name() {
    let setup = one_file(server(), "one", Kind::P256, 0, "one", &["one.example.org"]);
    let server = setup.env("SNI_STRICT", "1").start();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = server.dir.text(&format!("session{version}"));
        let asked = [version, "-servername", "one.example.org"];
        let first = Shown::to(&server, &[&asked[..], &["-sess_out", &file]].concat());
        assert_eq!(first.server(), "one");
        assert!(!first.is_resumed());
        let again = Shown::to(&server, &[&asked[..], &["-sess_in", &file]].concat());
        assert!(again.is_resumed(), "{version} {:?}", again.outcome);
        assert_eq!(again.server(), "one");
        let name = again.variable("SSL_TLS_SNI");
        assert_eq!(name.as_deref(), Some("one.example.org"));
    }
}

/// What becomes of a client that brings the session of one.example.org and wants two.example.org.
fn with_the_session_of_one(server: &Server, version: &str) -> Shown {
    let file = server.dir.text(&format!("session{version}"));
    let first = ["-servername", "one.example.org", "-sess_out", &file];
    let first = Shown::to(server, &[&[version], &first[..]].concat());
    assert_eq!(first.server(), "one");
    let other = ["-servername", "two.example.org", "-sess_in", &file];
    Shown::to(server, &[&[version], &other[..]].concat())
}

#[test]
fn a_session_of_one_name_is_not_taken_for_one_of_another() {
    let setup = one_file(server(), "one", Kind::P256, 0, "one", &["one.example.org"]);
    let server = setup.env("SNI_STRICT", "1").start();
    for version in ["-tls1_2", "-tls1_3"] {
        let other = with_the_session_of_one(&server, version);
        other.assert_alert(112);
    }
}

#[test]
fn a_session_of_one_name_is_not_resumed_under_another_of_the_same_certificate() {
    let names = ["one.example.org", "two.example.org"];
    let server = one_file(server(), "one", Kind::P256, 0, "one", &names).start();
    for version in ["-tls1_2", "-tls1_3"] {
        let other = with_the_session_of_one(&server, version);
        assert!(!other.is_resumed(), "{version}");
        let name = other.variable("SSL_TLS_SNI");
        assert_eq!(name.as_deref(), Some("two.example.org"));
    }
}
