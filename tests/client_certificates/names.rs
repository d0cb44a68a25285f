//! `-z`: the certificate has to be the client's own. Without look-ups a client has no name, only its address.
#![forbid(unsafe_code)]

use crate::common::keys::{Order, Pair, authority};
use crate::{VERSIONS, asking, failed, refused, served, showing};

const NO_NAME: &str = "sslserver: error: (110) no host name known to compare the client certificate with from: 127.0.0.1 for pid: *";

fn named(extension: &str) -> Pair {
    Order::new("/CN=127.0.0.1", extension).signed_by(authority())
}

#[test]
fn a_certificate_in_the_name_of_the_clients_address_is_good() {
    let server = asking("-z").start();
    for extension in [
        "subjectAltName=IP:127.0.0.1",
        "subjectAltName=DNS:client.example,IP:127.0.0.3,IP:127.0.0.1",
        "subjectAltName=IP:::ffff:127.0.0.1",
    ] {
        let joe = named(extension);
        for version in VERSIONS {
            served(showing(server.dial().version(version), &joe, &[]));
        }
    }
}

#[test]
fn an_ipv6_client_is_known_by_its_address_too() {
    let server = asking("-z").host("::1").start();
    let joe = named("subjectAltName=IP:::1");
    served(showing(server.dial(), &joe, &[]));
}

#[test]
fn a_client_without_a_known_name_is_refused_unless_its_address_is_in_the_certificate() {
    for extension in [
        "keyUsage=digitalSignature",
        "subjectAltName=DNS:127.0.0.1",
        "subjectAltName=DNS:localhost",
        "subjectAltName=IP:127.0.0.2",
        "subjectAltName=DNS:*",
        "subjectAltName=email:joe@127.0.0.1",
    ] {
        let joe = named(extension);
        let server = asking("-z").start();
        for version in VERSIONS {
            refused(
                &server,
                showing(server.dial().version(version), &joe, &[]),
                NO_NAME,
            );
        }
    }
}

#[test]
fn the_same_certificates_are_good_where_no_name_is_asked_for() {
    for option in ["-m", "-zm"] {
        let server = asking(option).start();
        served(showing(
            server.dial(),
            &named("subjectAltName=IP:127.0.0.2"),
            &[],
        ));
    }
}

#[test]
fn the_right_name_does_not_help_an_unknown_authority() {
    let other = crate::root("/CN=Another Root");
    let joe = Order::new("/CN=127.0.0.1", "subjectAltName=IP:127.0.0.1").signed_by(&other);
    let server = asking("-z").start();
    refused(
        &server,
        showing(server.dial(), &joe, &[]),
        &failed("certificate verify failed: *"),
    );
}

#[test]
fn a_client_with_the_wrong_name_gets_an_alert_or_at_least_an_end_and_no_word() {
    let joe = named("subjectAltName=IP:127.0.0.2");
    let server = asking("-z").start();
    let outcome = crate::s_client(&server, &joe, &[]);
    assert!(!outcome.text().contains("\nhello"), "{outcome:?}");
    server.log.wait_for(NO_NAME);
}

#[test]
fn a_resumed_session_is_held_against_the_address_again() {
    let joe = named("subjectAltName=IP:127.0.0.1");
    let server = asking("-z").host("0").start();
    let file = server.dir.text("session");
    for version in ["-tls1_2", "-tls1_3"] {
        let outcome = crate::s_client(&server, &joe, &[version, "-sess_out", &file]);
        assert!(outcome.text().contains("\nhello"), "{outcome:?}");
        let outcome = crate::s_client(&server, &joe, &[version, "-sess_in", &file]);
        assert!(outcome.text().contains("\nReused, "), "{outcome:?}");
        assert!(outcome.text().contains("\nhello"), "{outcome:?}");
        let options = [version, "-sess_in", &file, "-bind", "127.0.0.2:0"];
        let outcome = crate::s_client(&server, &joe, &options);
        assert!(!outcome.text().contains("\nhello"), "{outcome:?}");
    }
    let line = NO_NAME.replace("127.0.0.1", "127.0.0.2");
    server.log.wait_for_nth(&line, 2);
}

#[test]
fn with_starttls_a_client_with_the_wrong_name_ends_the_application() {
    let joe = named("subjectAltName=IP:127.0.0.2");
    let script = "printf y >&3; cat <&4 >&2; exec sleep 600";
    let server = asking("-z").options(&["-n"]).shell(script).start();
    if let Ok(mut client) = showing(server.dial(), &joe, &[]).plain().try_tls() {
        use std::io::{Read, Write};
        let _ = client.tls.write_all(b"application data\n");
        let _ = client.tls.read_to_end(&mut Vec::new());
    }
    server.log.wait_for(NO_NAME);
    server.log.wait_for("sslserver: ended by * status 15");
    assert_eq!(server.log.count("*application data*"), 0);
    assert_eq!(server.log.count("sslserver: tls *"), 0);
}
