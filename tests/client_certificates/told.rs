//! What the application is told of the client's certificate, in new sessions and in resumed ones.
#![forbid(unsafe_code)]

use crate::common::Server;
use crate::common::keys::{Order, Pair, authority};
use crate::{Outcome, VERSIONS, asking, below, s_client, showing};

const SUBJECT: &str = "/C=DE/O=Example Company/CN=joe/emailAddress=joe@example.org";

fn joe() -> Pair {
    let mut order = Order::new(SUBJECT, "keyUsage=digitalSignature");
    order.serial = "815";
    order.signed_by(authority())
}

/// NAME=value strings, split at NUL.
fn find<'a>(environment: &'a str, name: &str) -> Option<&'a str> {
    environment
        .split('\0')
        .find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
}

fn assert_told(environment: &str, pair: &Pair) {
    for (name, value) in [
        ("SSL_CLIENT_VERIFY", "SUCCESS"),
        ("SSL_CLIENT_M_VERSION", "3"),
        ("SSL_CLIENT_M_SERIAL", "815"),
        ("SSL_CLIENT_S_DN", SUBJECT),
        ("SSL_CLIENT_S_DN_C", "DE"),
        ("SSL_CLIENT_S_DN_O", "Example Company"),
        ("SSL_CLIENT_S_DN_CN", "joe"),
        ("SSL_CLIENT_S_DN_Email", "joe@example.org"),
        ("SSL_CLIENT_I_DN", "/CN=Test Root"),
        ("SSL_CLIENT_I_DN_CN", "Test Root"),
        ("SSL_CLIENT_A_SIG", "ecdsa-with-SHA256"),
        ("SSL_CLIENT_A_KEY", "id-ecPublicKey"),
        ("SSL_CLIENT_CERT", &pair.certificate),
        ("SSL_SERVER_S_DN", "/CN=localhost"),
    ] {
        assert_eq!(find(environment, name), Some(value), "{name}");
    }
    for name in ["SSL_CLIENT_V_START", "SSL_CLIENT_V_END"] {
        let time = find(environment, name).unwrap_or_default();
        assert!(time.ends_with(" GMT"), "{name}={time}");
    }
}

#[test]
fn with_s_the_application_is_told_of_the_certificate() {
    let joe = joe();
    for option in ["-m", "-z"] {
        let mut order = Order::new(SUBJECT, "subjectAltName=IP:127.0.0.1");
        order.serial = "815";
        let named = order.signed_by(authority());
        let pair = if option == "-z" { &named } else { &joe };
        let server = asking(option)
            .options(&["-s"])
            .program(&["env", "-0"])
            .start();
        for version in VERSIONS {
            let client = showing(server.dial().version(version), pair, &[]).connect();
            assert_told(&client.text(), pair);
        }
    }
}

#[test]
fn without_s_it_is_told_nothing() {
    let server = asking("-m").program(&["env", "-0"]).start();
    let text = showing(server.dial(), &joe(), &[]).connect().text();
    assert!(!text.contains("SSL_CLIENT"), "{text}");
}

#[test]
fn without_m_and_z_there_is_no_client() {
    let server = asking("-Z")
        .options(&["-s"])
        .env("SSL_CLIENT_S_DN", "inherited")
        .rules(
            "-x",
            ":allow,SSL_CLIENT_S_DN=\"by rule\",SSL_CLIENT_VERIFY=\"SUCCESS\"\n",
        )
        .program(&["env", "-0"])
        .start();
    let text = showing(server.dial(), &joe(), &[]).connect().text();
    assert_eq!(find(&text, "SSL_CLIENT_VERIFY"), Some("NONE"));
    assert_eq!(find(&text, "SSL_CLIENT_S_DN"), None);
    assert_eq!(find(&text, "SSL_CLIENT_CERT"), None);
}

#[test]
fn the_chain_is_told_without_the_clients_own_certificate() {
    let (joe, chain) = below(2);
    let others: Vec<&str> = chain.iter().map(|one| one.certificate.as_str()).collect();
    let server = asking("-m")
        .env("VERIFYDEPTH", "2")
        .options(&["-s"])
        .program(&["env", "-0"])
        .start();
    for version in VERSIONS {
        let client = showing(server.dial().version(version), &joe, &others).connect();
        let text = client.text();
        assert_eq!(find(&text, "SSL_CLIENT_CERT"), Some(&*joe.certificate));
        assert_eq!(find(&text, "SSL_CLIENT_CERT_CHAIN_0"), Some(others[0]));
        assert_eq!(find(&text, "SSL_CLIENT_CERT_CHAIN_1"), Some(others[1]));
        assert_eq!(find(&text, "SSL_CLIENT_CERT_CHAIN_2"), None);
    }
}

/// What the application said between its marks.
fn environment(outcome: &Outcome) -> String {
    let text = outcome.text();
    let part = text
        .split("<<<")
        .nth(1)
        .and_then(|rest| rest.split(">>>").next());
    part.unwrap_or_else(|| panic!("no environment: {outcome:?}"))
        .to_owned()
}

/// A server whose application says its environment, in marks of which [`environment`] knows.
fn telling() -> Server {
    asking("-m")
        .options(&["-s"])
        .shell("read line; printf '<<<'; env -0; printf '>>>'")
        .start()
}

#[test]
fn a_resumed_session_tells_of_the_certificate_again() {
    let joe = joe();
    let server = telling();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = server.dir.text("session");
        let new = s_client(&server, &joe, &[version, "-sess_out", &file]);
        assert!(new.text().contains("\nNew, "), "{new:?}");
        assert_told(&environment(&new), &joe);
        let resumed = s_client(&server, &joe, &[version, "-sess_in", &file]);
        assert!(resumed.text().contains("\nReused, "), "{resumed:?}");
        assert_told(&environment(&resumed), &joe);
        // The ticket speaks for the client, whatever it could show now.
        let options = [version, "-sess_in", &file];
        let resumed = crate::peers::s_client(&server, &options, "hello\n");
        assert!(resumed.text().contains("\nReused, "), "{resumed:?}");
        assert_told(&environment(&resumed), &joe);
    }
    assert_eq!(
        server.log.count("sslserver: fatal: *"),
        0,
        "{:?}",
        server.log.lines()
    );
}

#[test]
fn a_large_certificate_with_its_chain_reaches_the_application_and_fits_a_ticket() {
    let names: Vec<String> = (0..250)
        .map(|n| format!("DNS:host-number-{n:05}.example.org"))
        .collect();
    let extension = format!("subjectAltName={}", names.join(","));
    let mut order = Order::new(SUBJECT, &extension);
    order.serial = "815";
    let joe = order.signed_by(authority());
    assert!(joe.certificate.len() > 9000);
    let server = telling();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = server.dir.text("session");
        for option in ["-sess_out", "-sess_in"] {
            let outcome = s_client(&server, &joe, &[version, option, &file]);
            let how = if option == "-sess_in" {
                "Reused"
            } else {
                "New"
            };
            assert!(
                outcome.text().contains(&format!("\n{how}, ")),
                "{outcome:?}"
            );
            assert_told(&environment(&outcome), &joe);
        }
    }
}

#[test]
fn hostile_bytes_in_a_certificate_stay_inside_their_variable() {
    let subject = "/CN=joe\nSSL_CLIENT_VERIFY=NONE/O=a\\/b";
    let joe = Order::new(subject, "keyUsage=digitalSignature").signed_by(authority());
    let server = asking("-m")
        .options(&["-s"])
        .program(&["env", "-0"])
        .start();
    let text = showing(server.dial(), &joe, &[]).connect().text();
    assert_eq!(
        find(&text, "SSL_CLIENT_S_DN"),
        Some("/CN=joe\\x0ASSL_CLIENT_VERIFY=NONE/O=a\\/b")
    );
    assert_eq!(
        find(&text, "SSL_CLIENT_S_DN_CN"),
        Some("joe\nSSL_CLIENT_VERIFY=NONE")
    );
    assert_eq!(find(&text, "SSL_CLIENT_VERIFY"), Some("SUCCESS"));
}

#[test]
fn with_starttls_the_report_tells_of_the_certificate() {
    let joe = joe();
    let script = r#"
        open(C, "+<&=", $ENV{SSLCTLFD}); open(W, ">&=", $ENV{SSLWRITEFD});
        syswrite(C, "Y");
        while ($all !~ /\0\0\z/) { sysread(C, $all, 65536, length $all) or last; }
        syswrite(W, $all);
    "#;
    let server = asking("-m")
        .options(&["-n"])
        .program(&["perl", "-e", script])
        .start();
    for version in VERSIONS {
        let dial = showing(server.dial().version(version), &joe, &[]);
        assert_told(&dial.plain().tls().text(), &joe);
    }
}
