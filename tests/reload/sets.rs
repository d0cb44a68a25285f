//! Several sets of keys: each is renewed by itself or stays as it was.
#![forbid(unsafe_code)]

use super::{named, put, reload, replace};
use crate::common::keys::{authority, for_names};
use crate::common::tempdir::set_mode;
use crate::common::{Kind, Server, Setup, Shown};
use nix::sys::signal::Signal;

/// Rules with a set for 127.0.0.2 and one for 127.0.0.3, beside the first.
fn serving() -> Server {
    let setup = Setup::new();
    put(&setup.dir, "two-", "two");
    put(&setup.dir, "three-", "three");
    let set = |place: &str| {
        let file = |kind: &str| setup.dir.text(&format!("{place}-{kind}0.pem"));
        format!("CERTFILE=\"{}\",KEYFILE=\"{}\"", file("cert"), file("key"))
    };
    let rules = format!(
        "127.0.0.2:allow,{}\n127.0.0.3:allow,{}\n:allow\n",
        set("two"),
        set("three")
    );
    setup
        .rules("-x", &rules)
        .options(&["-s"])
        .program(&["env"])
        .start()
}

fn from(server: &Server, source: &str) -> String {
    let bind = format!("{source}:0");
    Shown::to(server, &["-servername", "localhost", "-bind", &bind]).server()
}

#[test]
fn a_set_of_a_rule_is_renewed_with_the_others() {
    let server = serving();
    assert_eq!(from(&server, "127.0.0.2"), "two");
    put(&server.dir, "two-", "new-two");
    reload(&server, 1);
    assert_eq!(from(&server, "127.0.0.2"), "new-two");
    assert_eq!(from(&server, "127.0.0.1"), "localhost");
    // Nobody had asked for this one yet.
    assert_eq!(from(&server, "127.0.0.3"), "three");
}

#[test]
fn a_bad_set_keeps_its_old_keys_and_the_others_are_renewed() {
    let server = serving();
    for (source, name) in [("127.0.0.2", "two"), ("127.0.0.3", "three")] {
        assert_eq!(from(&server, source), name);
    }
    put(&server.dir, "", "new-one");
    put(&server.dir, "two-", "new-two");
    replace(&server.dir, "three-cert0.pem", "rubbish");
    reload(&server, 1);
    let said = server
        .log
        .matching("sslserver: error: (111) keys are not renewed*");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("/three-cert0.pem: "), "{said:?}");
    for (source, name) in [
        ("127.0.0.1", "new-one"),
        ("127.0.0.2", "new-two"),
        ("127.0.0.3", "three"),
    ] {
        assert_eq!(from(&server, source), name);
    }
}

#[test]
fn a_bad_first_set_does_not_keep_back_those_of_rules() {
    let server = serving();
    assert_eq!(from(&server, "127.0.0.2"), "two");
    replace(&server.dir, "cert0.pem", "rubbish");
    put(&server.dir, "two-", "new-two");
    reload(&server, 1);
    assert_eq!(from(&server, "127.0.0.1"), "localhost");
    assert_eq!(from(&server, "127.0.0.2"), "new-two");
}

#[test]
fn a_set_that_nobody_uses_any_more_is_forgotten_and_loaded_anew_when_it_is_wanted() {
    let server = serving();
    assert_eq!(from(&server, "127.0.0.2"), "two");
    reload(&server, 1);
    // Not since the last time: so it may even be gone.
    std::fs::remove_file(server.dir.join("two-cert0.pem")).expect("removed");
    reload(&server, 2);
    assert_eq!(server.log.count("sslserver: error: *"), 0);
    put(&server.dir, "two-", "back");
    assert_eq!(from(&server, "127.0.0.2"), "back");
}

#[test]
fn certificates_of_a_folder_come_and_go() {
    let setup = Setup::new();
    let folder = setup.dir.subdirectory("certs");
    let server = setup.env("CERTDIR", &folder.display().to_string()).start();
    let shown = |name: &str| named(&server, name);
    assert_eq!(shown("www.example.org"), "localhost");
    let pair = for_names(Kind::P256, authority(), "by-name", &["www.example.org"]);
    let both = format!("{}{}", pair.certificate, pair.key);
    server.dir.write("certs/www.pem", both);
    set_mode(&server.dir.join("certs/www.pem"), 0o644);
    reload(&server, 1);
    assert_eq!(shown("www.example.org"), "by-name");
    std::fs::remove_file(server.dir.join("certs/www.pem")).expect("removed");
    reload(&server, 2);
    assert_eq!(shown("www.example.org"), "localhost");
    server.signal(Signal::SIGTERM);
}

#[test]
fn an_entry_of_a_folder_that_cannot_be_used_any_more_keeps_its_old_certificate() {
    let setup = Setup::new();
    let folder = setup.dir.subdirectory("certs");
    let server = setup.env("CERTDIR", &folder.display().to_string()).start();
    for entry in ["certs/a", "certs/b"] {
        server.dir.subdirectory(entry);
    }
    let pair = |label: &str, name: &str| for_names(Kind::P256, authority(), label, &[name]);
    let write = |name: &str, content: &str| {
        replace(&server.dir, name, content);
        set_mode(&server.dir.join(name), 0o644);
    };
    let put = |entry: &str, label: &str, name: &str| {
        let pair = pair(label, name);
        write(&format!("certs/{entry}/fullchain.pem"), &pair.certificate);
        write(&format!("certs/{entry}/privkey.pem"), &pair.key);
    };
    put("a", "old a", "a.example");
    put("b", "old b", "b.example");
    reload(&server, 1);
    // A renewal of which one file is there and the other is not yet.
    let new = pair("new a", "a.example");
    write("certs/a/fullchain.pem", &new.certificate);
    put("b", "new b", "b.example");
    reload(&server, 2);
    server.log.wait_for(
        "sslserver: warning: key does not match certificate: *a/privkey.pem: *; what it was before stays",
    );
    assert_eq!(named(&server, "a.example"), "old a");
    assert_eq!(named(&server, "b.example"), "new b");
    // As often as it is looked at.
    reload(&server, 3);
    assert_eq!(named(&server, "a.example"), "old a");
    write("certs/a/privkey.pem", &new.key);
    reload(&server, 4);
    assert_eq!(named(&server, "a.example"), "new a");
    assert_eq!(server.log.count("sslserver: warning: *"), 2);
}
