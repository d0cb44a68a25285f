//! Protocols inside TLS (ALPN, RFC 7301).
#![forbid(unsafe_code)]

mod common;

use common::{Setup, Shown};

fn server(list: &str) -> Setup {
    let setup = Setup::new().options(&["-s"]).program(&["env"]);
    setup.env("ALPN", list)
}

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

#[test]
fn the_servers_order_decides_and_the_application_is_told() {
    let server = server("imap,http/1.1").start();
    for version in VERSIONS {
        for (offered, chosen) in [
            ("http/1.1,imap", "imap"),
            ("imap", "imap"),
            ("h2,http/1.1", "http/1.1"),
            ("imaps,http/1.1,x", "http/1.1"),
        ] {
            let shown = Shown::to(&server, &[version, "-noservername", "-alpn", offered]);
            let told = shown.variable("SSL_ALPN");
            assert_eq!(told.as_deref(), Some(chosen), "{offered}");
            let text = shown.outcome.text();
            assert!(
                text.contains(&format!("ALPN protocol: {chosen}\n")),
                "{text}"
            );
        }
    }
}

#[test]
fn no_protocol_in_common_is_an_alert() {
    let server = server("imap").start();
    for version in VERSIONS {
        for offered in ["smtp", "ima", "imapx,IMAP"] {
            let asked = [version, "-noservername", "-alpn", offered];
            Shown::to(&server, &asked).assert_alert(120);
        }
    }
    server
        .log
        .wait_for("sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *");
}

#[test]
fn a_client_that_offers_nothing_is_served() {
    let server = server("imap").start();
    for version in VERSIONS {
        let shown = Shown::to(&server, &[version, "-noservername"]);
        assert_eq!(shown.server(), "localhost");
        assert_eq!(shown.variable("SSL_ALPN"), None);
    }
}

#[test]
fn without_the_setting_what_a_client_offers_is_not_answered() {
    let server = server("").start();
    let shown = Shown::to(&server, &["-noservername", "-alpn", "imap"]);
    assert_eq!(shown.server(), "localhost");
    assert_eq!(shown.variable("SSL_ALPN"), None);
    assert!(shown.outcome.text().contains("No ALPN negotiated"));
}

#[test]
fn a_resumed_session_is_told_its_protocol_too() {
    let server = server("imap,smtp").start();
    for version in VERSIONS {
        let file = server.dir.text(&format!("session{version}"));
        let asked = [version, "-noservername", "-alpn", "smtp"];
        Shown::to(&server, &[&asked[..], &["-sess_out", &file]].concat());
        let again = Shown::to(&server, &[&asked[..], &["-sess_in", &file]].concat());
        assert!(again.is_resumed(), "{version}");
        assert_eq!(again.variable("SSL_ALPN").as_deref(), Some("smtp"));
    }
}

#[test]
fn a_bad_list_is_a_usage_error() {
    for list in ["imap,,smtp", ",", &"x".repeat(256)] {
        let outcome = server(list).run();
        assert_eq!(outcome.code(), 100, "{list}");
        assert!(outcome.stderr.contains("ALPN: "), "{}", outcome.stderr);
    }
}

#[test]
fn a_rule_offers_others() {
    let rules = "127.0.0.2:allow,ALPN=\"smtp\"\n:allow\n";
    let server = server("imap").rules("-x", rules).start();
    let asked = ["-noservername", "-alpn", "imap,smtp"];
    for (source, chosen) in [("127.0.0.1:0", "imap"), ("127.0.0.2:0", "smtp")] {
        let shown = Shown::to(&server, &[&asked[..], &["-bind", source]].concat());
        assert_eq!(shown.variable("SSL_ALPN").as_deref(), Some(chosen));
    }
}
