//! What settings come to together.
use std::time::Duration;

use super::Place;
use crate::stud::config::{Backend, Details, Level, Preamble, Sessions};
use crate::tls::client::Demand;
use crate::tls::settings::{Settings, Version};

#[test]
fn a_certificate_alone_is_a_configuration() {
    let config = Place::with_certificates().config("a.pem").unwrap();
    assert_eq!(config.frontends.len(), 1);
    let frontend = &config.frontends[0];
    assert_eq!((&frontend.host, frontend.port), (&None, 8443));
    assert_eq!(
        (frontend.settings.min, frontend.settings.max),
        (Version::Tls12, None)
    );
    assert_eq!(frontend.demand, Demand::Nothing);
    assert_eq!(config.backends, [Backend::Tcp("127.0.0.1".into(), 8000)]);
    assert_eq!(config.preamble, Preamble::Nothing);
    assert_eq!((config.workers, config.backlog), (1, 100));
    assert_eq!(config.keepalive, Duration::from_secs(3600));
    assert_eq!(config.times.handshake, Duration::from_secs(30));
    assert_eq!(config.times.header, Duration::from_secs(30));
    assert_eq!(config.times.connect, Duration::from_secs(30));
    assert_eq!(config.times.idle, Duration::from_secs(3600));
    assert_eq!(config.times.drain, Duration::from_secs(3600));
    assert_eq!(config.log.level, Level::Errors);
    assert_eq!(config.sessions, Sessions::Tickets);
    assert_eq!(config.notes, [""; 0]);
}

#[test]
fn a_frontend_has_its_own_settings_and_the_general_ones_for_the_rest() {
    let place = Place::with_certificates();
    place.write(
        "f",
        r#"
        ciphers = "GENERAL"
        ciphersuites = "SUITES"
        alpn-protos = "h2, http/1.1"
        prefer-server-ciphers = on
        ecdh-curve = "X25519"
        frontend = {
            host = "::1"
            port = "1"
            ciphers = "OWN"
            tls-protos = TLSv1.1 TLSv1.2
            prefer-server-ciphers = off
            sni-nomatch-abort = on
            alpn-protos = "imap"
            ecdh-curve = "auto"
            client-verify = required
            client-verify-ca = "ca.pem"
        }
        frontend = "[*]:2"
        pem-file = "a.pem"
        "#,
    );
    let config = place.config("--config f").unwrap();
    let settings = |frontend: usize| config.frontends[frontend].settings.clone();
    let general = Settings {
        tickets: true,
        ciphers: Some("GENERAL".into()),
        ciphersuites: Some("SUITES".into()),
        groups: Some("X25519".into()),
        min: Version::Tls12,
        max: None,
        alpn: Some(b"\x02h2\x08http/1.1".to_vec()),
        server_order: true,
        strict: false,
        verify_depth: 100,
    };
    assert_eq!(settings(1), general);
    let own = Settings {
        ciphers: Some("OWN".into()),
        groups: None,
        alpn: Some(b"\x04imap".to_vec()),
        min: Version::Tls11,
        max: Some(Version::Tls12),
        server_order: false,
        strict: true,
        ..general
    };
    assert_eq!(settings(0), own);
    let demands = config.frontends.iter().map(|frontend| frontend.demand);
    assert!(demands.eq([Demand::Valid, Demand::Nothing]));
}

#[test]
fn frontends_and_backends_are_paired_by_their_places() {
    let place = Place::with_certificates();
    let line = "-f *,1;[::1]:2 -b [a]:1;pipe:///run/app a.pem";
    let config = place.config(line).unwrap();
    let frontends = config.frontends.iter();
    let frontends: Vec<_> = frontends
        .map(|one| (one.host.as_deref(), one.port))
        .collect();
    assert_eq!(frontends, [(None, 1), (Some("::1"), 2)]);
    let backends = [
        Backend::Tcp("a".into(), 1),
        Backend::Unix("/run/app".into()),
    ];
    assert_eq!(config.backends, backends);
    let problem = place.config("-b [a]:1;[b]:1 a.pem").unwrap_err();
    assert_eq!(
        problem,
        "2 backends are too many for 1 frontends: each frontend has one"
    );
}

#[test]
fn two_frontends_of_one_address_are_a_mistake_unless_the_port_is_free() {
    let place = Place::with_certificates();
    let problem = place.config("-f *,1 -f [*]:1 a.pem").unwrap_err();
    assert_eq!(problem, "frontend [*]:1 is there twice");
    assert!(place.config("-f *,0 -f [*]:0 a.pem").is_ok());
}

#[test]
fn frontends_of_the_command_line_replace_those_of_the_file_before_it() {
    let place = Place::with_certificates();
    place.write("f", "frontend = [*]:1\nfrontend = [*]:2");
    let ports = |line: &str| {
        let config = place.config(line).unwrap();
        let ports: Vec<_> = config.frontends.iter().map(|one| one.port).collect();
        (ports, config.notes.len())
    };
    assert_eq!(ports("--config f a.pem"), (vec![1, 2], 0));
    assert_eq!(ports("--config f -f *,3 -f *,4 a.pem"), (vec![3, 4], 1));
    assert_eq!(ports("-f *,3 --config f a.pem"), (vec![1, 2], 1));
}

#[test]
fn of_what_is_written_in_front_there_is_one() {
    let place = Place::with_certificates();
    for (line, problem) in [
        (
            "--write-ip --write-proxy",
            "write-ip and write-proxy exclude each other",
        ),
        (
            "--proxy-proxy --write-proxy-v2",
            "write-proxy-v2 and proxy-proxy exclude each other",
        ),
    ] {
        let found = place.config(&format!("{line} a.pem")).unwrap_err();
        assert_eq!(found, problem);
    }
    let preamble = |line: &str| place.config(&format!("{line} a.pem")).unwrap().preamble;
    assert_eq!(preamble("--write-ip"), Preamble::Ip);
    assert_eq!(preamble("--write-proxy"), Preamble::Line);
    assert_eq!(preamble("--write-proxy-v1"), Preamble::Line);
    assert_eq!(preamble("--write-ip --write-ip=off"), Preamble::Nothing);
    let details = Details {
        tls: true,
        authority: false,
        certificate: true,
    };
    assert_eq!(
        preamble("--write-proxy-v2 --proxy-authority=off --proxy-client-cert"),
        Preamble::Binary(details)
    );
}

#[test]
fn with_client_no_certificate_is_needed_and_the_backend_is_verified() {
    let place = Place::with_certificates();
    let config = place.config("--client -b [a.example]:443").unwrap();
    assert!(config.client);
    assert_eq!(config.frontends[0].default, None);
    assert_eq!(config.frontends[0].demand, Demand::Named);
    let config = place.config("--client --client-verify=none -b /run/app a.pem --write-ip");
    let config = config.unwrap();
    assert_eq!(config.frontends[0].demand, Demand::Nothing);
    assert_eq!((config.pems.len(), config.preamble), (0, Preamble::Nothing));
    assert_eq!(config.notes.len(), 2, "{:?}", config.notes);
    for bad in ["-b /run/app", "--client-verify=optional"] {
        assert!(place.config(&format!("--client {bad}")).is_err(), "{bad}");
    }
}
