//! Certificates and settings by rule.

use crate::common::setup::{JAIL_GID, JAIL_UID, compile};
use crate::common::tempdir::{give, set_mode};
use crate::common::{Kind, Setup, without_root};
use crate::{certificate, from, pair, server, variables};

#[test]
fn a_rule_gives_a_client_another_certificate() {
    let setup = server();
    pair(&setup, "", "two");
    pair(&setup, "", "three");
    let rules = format!(
        "127.0.0.2:allow,{}\n127.0.0.3:allow,{}\n:allow\n",
        variables(&setup, "two"),
        variables(&setup, "three")
    );
    let server = setup.rules("-x", &rules).start();
    for _ in 0..2 {
        assert_eq!(certificate(&server, "127.0.0.2"), "two");
        assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
        assert_eq!(certificate(&server, "127.0.0.3"), "three");
    }
    assert_eq!(server.log.count("*warning*"), 0, "{:?}", server.log.lines());
}

#[test]
fn a_rules_certificate_is_not_chosen_by_name_nor_another_chain() {
    let setup = server();
    pair(&setup, "", "two");
    pair(&setup, "", "chain");
    let folder = setup.dir.subdirectory("certs").display().to_string();
    let named = pair(&setup, "", "named");
    setup.dir.write(
        "certs/named.pem",
        format!("{}{}", named.certificate, named.key),
    );
    let chain = setup.dir.text("chain-cert.pem");
    let key = setup.dir.text("chain-key.pem");
    let rules = format!("127.0.0.2:allow,{}\n:allow\n", variables(&setup, "two"));
    let setup = setup.env("CERTDIR", &folder).env("KEYFILE", &key);
    let server = setup
        .env("CERTCHAINFILE", &chain)
        .rules("-x", &rules)
        .start();
    assert_eq!(certificate(&server, "127.0.0.2"), "two");
    assert_eq!(certificate(&server, "127.0.0.1"), "named");
    let shown = from(&server, "127.0.0.1", &["-servername", "else.example"]);
    assert_eq!(shown.server(), "chain");
}

#[test]
fn a_rule_gives_a_client_a_directory_of_its_own() {
    let setup = server();
    let named = pair(&setup, "", "named");
    let folder = setup.dir.subdirectory("certs").display().to_string();
    setup.dir.write(
        "certs/named.pem",
        format!("{}{}", named.certificate, named.key),
    );
    setup.dir.write("certs/bad.pem", "damage");
    let rules = format!("127.0.0.2:allow,CERTDIR=\"{folder}\"\n:allow\n");
    let server = setup.rules("-x", &rules).start();
    assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
    for _ in 0..3 {
        assert_eq!(certificate(&server, "127.0.0.2"), "named");
    }
    assert_eq!(server.log.count("sslserver: warning: *"), 1);
}

#[test]
fn ciphers_and_versions_are_a_rules_affair_too() {
    let rules = "127.0.0.2:allow,TLSMIN=\"1.3\"\n\
                 127.0.0.3:allow,CIPHERS=\"ECDHE-ECDSA-CHACHA20-POLY1305\"\n:allow\n";
    let server = server().rules("-x", rules).start();
    let cipher = |source: &str| {
        let shown = from(&server, source, &["-tls1_2"]);
        shown.variable("SSL_CIPHER")
    };
    assert_eq!(cipher("127.0.0.2"), None);
    let chosen = cipher("127.0.0.3");
    assert_eq!(chosen.as_deref(), Some("ECDHE-ECDSA-CHACHA20-POLY1305"));
    assert!(cipher("127.0.0.1").is_some_and(|cipher| cipher.contains("AES")));
    let newer = from(&server, "127.0.0.2", &[]).variable("SSL_PROTOCOL");
    assert_eq!(newer.as_deref(), Some("TLSv1.3"));
}

#[test]
fn changed_rules_make_new_sets_without_a_restart() {
    let setup = server();
    pair(&setup, "", "first");
    pair(&setup, "", "second");
    let rules = |label| format!("127.0.0.2:allow,{}\n:allow\n", variables(&setup, label));
    let (first, second) = (rules("first"), rules("second"));
    let server = setup.rules("-x", &first).start();
    assert_eq!(certificate(&server, "127.0.0.2"), "first");
    compile(&server.dir, "rules-x.cdb", &second);
    assert_eq!(certificate(&server, "127.0.0.2"), "second");
    compile(&server.dir, "rules-x.cdb", &first);
    assert_eq!(certificate(&server, "127.0.0.2"), "first");
}

#[test]
fn without_ssl_user_files_that_root_alone_may_read_are_opened_by_the_listener() {
    if without_root("files opened by the listener") {
        return;
    }
    let setup = server();
    pair(&setup, "", "two");
    give(&setup.dir.join("two-key.pem"), 0);
    set_mode(&setup.dir.join("two-cert.pem"), 0o600);
    let rules = format!("127.0.0.2:allow,{}\n:allow\n", variables(&setup, "two"));
    let server = setup.rules("-x", &rules).start();
    assert_eq!(certificate(&server, "127.0.0.2"), "two");
    assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
}

fn inside_a_root(setup: Setup, owner: u32) {
    let setup = setup.options(&["-s"]).program(&["env"]);
    pair(&setup, "jail/", "two");
    give(&setup.dir.join("jail/two-key.pem"), owner);
    // Both ways to say it: as the keeper sees it, and from outside.
    let outside = setup.dir.text("jail/two-key.pem");
    let rules = format!(
        "127.0.0.2:allow,CERTFILE=\"/two-cert.pem\",KEYFILE=\"/two-key.pem\"\n\
         127.0.0.3:allow,CERTFILE=\"/two-cert.pem\",KEYFILE=\"{outside}\"\n:allow\n"
    );
    let server = setup.rules("-x", &rules).start();
    assert_eq!(certificate(&server, "127.0.0.2"), "two");
    assert_eq!(certificate(&server, "127.0.0.3"), "two");
    assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
}

#[test]
fn with_ssl_user_and_ssl_chroot_the_keeper_reads_them_inside() {
    if without_root("rules' sets in SSL_CHROOT") {
        return;
    }
    inside_a_root(Setup::new().jailed(Kind::P256), JAIL_UID);
}

#[test]
fn with_ssl_chroot_alone_the_listener_opens_them_inside() {
    if without_root("rules' sets in SSL_CHROOT without SSL_USER") {
        return;
    }
    let setup = Setup::new().jailed(Kind::P256);
    give(&setup.dir.join("jail/key.pem"), 0);
    let setup = setup.without("SSL_UID").without("SSL_GID");
    let _ = JAIL_GID;
    inside_a_root(setup, 0);
}
