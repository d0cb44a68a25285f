use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::stud::config::tests::Place;
use crate::stud::config::{Backend, Facility, Level, Sessions};
use crate::tls::client::Demand;

/// In the shape of the original's own.
const SAMPLE: &str = r#"
; Settings of the tunnel. A semicolon begins a comment.

[main]
; Any address
ssl_server_name = *
ssl_server_port = 8443

; Behind it
destination_name = localhost
destination_port = 4269      ; plain text

thread_count = 4
buffer_size: 524288

[ssl]
verify_locations = ./ca-cert.pem
certificate_file = ./server-cert.pem
PrivateKey_file = ./server-key.pem
"#;

fn place() -> Place {
    let place = Place::new();
    for name in ["ca-cert.pem", "server-cert.pem", "server-key.pem"] {
        place.file(name);
    }
    place
}

/// What a file says.
fn config(text: &str) -> Result<Config, String> {
    let place = place();
    let file = place.write("tunnel.ini", text);
    let shown = file.display().to_string();
    let words = ["tunnel".into(), file.into_os_string()];
    Invocation::parse(words)
        .map(|invocation| invocation.config)
        .map_err(|error| error.to_string().replace(&shown, "FILE"))
}

/// The sample with a line changed.
fn changed(from: &str, to: &str) -> Result<Config, String> {
    assert!(SAMPLE.contains(from), "{from}");
    config(&SAMPLE.replace(from, to))
}

#[test]
fn the_file_of_the_original_becomes_a_configuration() {
    let place = place();
    let file = place.write("tunnel.ini", SAMPLE);
    let words = ["/usr/bin/tunnel".into(), file.into_os_string()];
    let invocation = Invocation::parse(words).unwrap();
    assert_eq!(invocation.program, "tunnel");
    let config = &invocation.config;
    let [frontend] = config.frontends.as_slice() else {
        panic!("{:?}", config.frontends);
    };
    assert_eq!((&frontend.host, frontend.port), (&None, 8443));
    assert_eq!((&frontend.pems[..], frontend.default), (&[0][..], Some(0)));
    assert_eq!(frontend.demand, Demand::Nothing);
    assert_eq!(frontend.authorities, Some(place.path("ca-cert.pem")));
    assert_eq!(config.pems[0].certificate, place.path("server-cert.pem"));
    assert_eq!(config.pems[0].key, place.path("server-key.pem"));
    assert_eq!(config.backends, [Backend::Tcp("localhost".into(), 4269)]);
    assert_eq!((config.workers, config.backlog), (4, -1));
    assert_eq!(config.log.syslog, Some(Facility(17 << 3)));
    assert_eq!(config.log.level, Level::Errors);
    assert_eq!(config.sessions, Sessions::Tickets);
    assert!(!config.daemon);
    assert_eq!(config.notes.len(), 1, "{:?}", config.notes);
    assert!(config.notes[0].starts_with("section main, key buffer_size has no effect"));
}

#[test]
fn a_reload_reads_the_file_again() {
    let place = place();
    let file = place.write("tunnel.ini", SAMPLE);
    let words = ["tunnel".into(), file.into_os_string()];
    let invocation = Invocation::parse(words).unwrap();
    place.write("tunnel.ini", &SAMPLE.replace("8443", "9443"));
    assert_eq!(invocation.reparse().unwrap().frontends[0].port, 9443);
}

#[test]
fn the_listener_may_have_any_kind_of_address() {
    for (name, host) in [
        ("*", None),
        ("*anything", None),
        ("192.0.2.1", Some("192.0.2.1")),
        ("::1", Some("::1")),
        ("a.example", Some("a.example")),
    ] {
        let config = changed("name = *", &format!("name = {name}")).unwrap();
        assert_eq!(config.frontends[0].host.as_deref(), host, "{name}");
    }
}

#[test]
fn the_destination_may_be_a_service_by_its_name() {
    let config = changed("port = 4269", "port = https").unwrap();
    assert_eq!(config.backends, [Backend::Tcp("localhost".into(), 443)]);
}

#[test]
fn threads_are_one_at_the_least_and_one_for_each_processor_if_nothing_is_said() {
    assert_eq!(changed("count = 4", "count = 0").unwrap().workers, 1);
    let processors = std::thread::available_parallelism().unwrap().get();
    let config = changed("thread_count = 4", "").unwrap();
    assert_eq!(config.workers, processors.min(1024));
}

#[test]
fn what_is_not_known_is_noted_and_not_passed_over_in_silence() {
    let config = changed("[ssl]", "Thread_count = 2\n[other]\nport = 1\n[ssl]").unwrap();
    let unknown: Vec<_> = config
        .notes
        .iter()
        .filter(|note| note.contains("not known"))
        .collect();
    assert_eq!(
        unknown,
        [
            "section main, key Thread_count is not known and has no effect",
            "section other, key port is not known and has no effect",
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_section_and_key() {
    let nowhere = "./nowhere.pem";
    for (from, to, problem) in [
        (
            "port = 8443",
            "port = https",
            "section main, key ssl_server_port wants a number from 0 to 65535, not \"https\"",
        ),
        (
            "name = *",
            "name = a b",
            "section main, key ssl_server_name wants a host name or address, not \"a b\"",
        ),
        (
            "name = localhost",
            "name = 1.2.3",
            "section main, key destination_name wants a host name or address, not \"1.2.3\"",
        ),
        (
            "port = 4269",
            "port = 70000",
            "section main, key destination_port wants a port from 1 to 65535 or the name of a service, not \"70000\"",
        ),
        (
            "count = 4",
            "count = many",
            "section main, key thread_count wants a number from 0 to 1024, not \"many\"",
        ),
        (
            "524288",
            "big",
            "section main, key buffer_size wants a number from 0 to 9223372036854775807, not \"big\"",
        ),
        (
            "certificate_file =",
            "certificate_file = /\n;",
            "section ssl, key certificate_file / is no file",
        ),
        (
            "ssl_server_name",
            "server_name",
            "section main, key ssl_server_name is missing",
        ),
        (
            "ssl_server_port",
            "server_port",
            "section main, key ssl_server_port is missing",
        ),
        (
            "destination_name",
            "name",
            "section main, key destination_name is missing",
        ),
        (
            "destination_port",
            "port",
            "section main, key destination_port is missing",
        ),
        (
            "certificate_file",
            "Certificate_file",
            "section ssl, key certificate_file is missing",
        ),
        (
            "PrivateKey_file",
            "privatekey_file",
            "section ssl, key PrivateKey_file is missing",
        ),
    ] {
        assert_eq!(changed(from, to).unwrap_err(), format!("FILE: {problem}"));
    }
    let problem = changed("./server-key.pem", nowhere).unwrap_err();
    assert!(
        problem.starts_with("FILE: section ssl, key PrivateKey_file /"),
        "{problem}"
    );
    assert!(
        problem.ends_with("nowhere.pem: No such file or directory"),
        "{problem}"
    );
    assert_eq!(
        config("[main]\nnonsense\n").unwrap_err(),
        "FILE, line 2: neither [section] nor name = value"
    );
}

#[test]
fn one_file_may_be_named_and_nothing_else() {
    let problem = |words: &[&str]| {
        let words = ["tunnel"].iter().chain(words).map(OsString::from);
        Invocation::parse(words).unwrap_err().to_string()
    };
    for words in [&["-x"][..], &["--help"], &["a", "b"]] {
        assert_eq!(problem(words), "usage: tunnel [FILE]");
    }
    assert_eq!(
        problem(&["/nowhere/tunnel.ini"]),
        "unable to read /nowhere/tunnel.ini: No such file or directory"
    );
    let odd = OsString::from_vec(b"/nowhere/\xff".to_vec());
    let error = Invocation::parse(["tunnel".into(), odd]).unwrap_err();
    assert_eq!(error.exit_code(), 1);
}
