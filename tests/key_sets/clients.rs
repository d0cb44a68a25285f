//! What clients have to show, by rule.

use crate::common::keys::{Pair, authority, intermediate, leaf};
use crate::common::{Kind, Server, Setup};
use crate::{from, server};

/// 127.0.0.1 needs no certificate; 127.0.0.2 one of the test's authority, 127.0.0.3 one of another.
fn demanding() -> (Setup, [String; 2]) {
    let setup = server().options(&["-m"]);
    let other = intermediate("/CN=Other Root", authority());
    let of_other = crate::common::keys::for_names(Kind::P256, &other, "guest", &["guest"]);
    let mine = leaf(Kind::P256);
    let write = |name: &str, Pair { certificate, key }: &Pair| {
        setup.dir.write(name, format!("{certificate}{key}"));
        setup.dir.text(name)
    };
    let clients = [write("mine.pem", mine), write("guest.pem", &of_other)];
    // It is nobody's root, so it must be told with its signer.
    let root = &crate::common::keys::authority().certificate;
    setup.dir.write("root.pem", root);
    setup
        .dir
        .write("other.pem", format!("{}{root}", other.certificate));
    let root = setup.dir.text("root.pem");
    let rules = format!(
        "127.0.0.1:allow,CCAFILE=\"-\"\n127.0.0.3:allow,CAFILE=\"{}\"\n:allow\n",
        setup.dir.text("other.pem")
    );
    (setup.env("CAFILE", &root).rules("-x", &rules), clients)
}

fn verdict(server: &Server, source: &str, options: &[&str]) -> Option<String> {
    from(server, source, options).variable("SSL_CLIENT_VERIFY")
}

#[test]
fn whom_clients_must_be_vouched_for_by_is_a_rules_affair() {
    let (setup, [mine, guest]) = demanding();
    let server = setup.start();
    let (mine, guest) = (["-cert", &mine], ["-cert", &guest]);
    let good = Some("SUCCESS".to_owned());
    assert_eq!(verdict(&server, "127.0.0.1", &[]), Some("NONE".to_owned()));
    assert_eq!(verdict(&server, "127.0.0.2", &[]), None);
    assert_eq!(verdict(&server, "127.0.0.2", &mine), good);
    assert_eq!(verdict(&server, "127.0.0.2", &guest), None);
    assert_eq!(verdict(&server, "127.0.0.3", &[]), None);
    assert_eq!(verdict(&server, "127.0.0.3", &guest), good);
}

#[test]
fn a_session_of_a_lenient_set_does_not_get_into_a_strict_one() {
    let (setup, [mine, _]) = demanding();
    let server = setup.start();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = server.dir.text(&format!("session{version}"));
        let keep = [version, "-sess_out", &file];
        let lenient = from(&server, "127.0.0.1", &keep);
        assert_eq!(
            lenient.variable("SSL_CLIENT_VERIFY").as_deref(),
            Some("NONE")
        );
        let bring = [version, "-sess_in", &file];
        // It is a session, where it belongs.
        assert!(from(&server, "127.0.0.1", &bring).is_resumed());
        let keep = [version, "-sess_out", &file];
        from(&server, "127.0.0.1", &keep);
        for strict in ["127.0.0.2", "127.0.0.3"] {
            let shown = from(&server, strict, &bring);
            assert_eq!(shown.variable("PATH"), None, "{version} {strict}");
        }
        // With a certificate it is a handshake like any other.
        let shown = from(
            &server,
            "127.0.0.2",
            &[&bring[..], &["-cert", &mine]].concat(),
        );
        assert!(!shown.is_resumed());
        let verdict = shown.variable("SSL_CLIENT_VERIFY");
        assert_eq!(verdict.as_deref(), Some("SUCCESS"), "{version}");
    }
}

#[test]
fn a_session_with_one_authority_does_not_get_into_the_set_of_another() {
    let (setup, [mine, _]) = demanding();
    let server = setup.start();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = server.dir.text(&format!("session{version}"));
        let first = [version, "-cert", &mine, "-sess_out", &file];
        let first = from(&server, "127.0.0.2", &first);
        assert!(first.variable("PATH").is_some());
        let again = from(&server, "127.0.0.2", &[version, "-sess_in", &file]);
        assert!(again.is_resumed(), "{version}");
        let first = [version, "-cert", &mine, "-sess_out", &file];
        from(&server, "127.0.0.2", &first);
        let shown = from(&server, "127.0.0.3", &[version, "-sess_in", &file]);
        assert!(!shown.is_resumed());
        assert_eq!(shown.variable("PATH"), None, "{version}");
    }
}
