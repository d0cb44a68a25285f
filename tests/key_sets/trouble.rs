//! A set that cannot be loaded costs the connections that want it, and says why.

use crate::common::eventually;
use crate::{certificate, from, pair, server, variables};

#[test]
fn a_set_that_cannot_be_loaded_drops_its_connections_with_one_line_and_no_others() {
    let setup = server();
    pair(&setup, "", "two");
    let rules = format!("127.0.0.2:allow,{}\n:allow\n", variables(&setup, "two"));
    let key = setup.dir.join("two-key.pem");
    let content = std::fs::read(&key).expect("written before");
    std::fs::remove_file(&key).expect("written before");
    let server = setup.rules("-x", &rules).start();
    let line = format!(
        "sslserver: error: (110) no keys for: 127.0.0.2 unable to load key: {}: *",
        key.display()
    );
    for number in 1..=3 {
        assert_eq!(from(&server, "127.0.0.2", &[]).variable("PATH"), None);
        server.log.wait_for_nth(&line, number);
        assert_eq!(server.log.count("*no keys for*"), number);
        assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
    }
    // It is tried again after a while.
    std::fs::write(&key, content).expect("written");
    eventually("the mended set", || {
        from(&server, "127.0.0.2", &[]).variable("SSL_SERVER_S_DN_CN")
    });
    assert_eq!(certificate(&server, "127.0.0.2"), "two");
}

#[test]
fn settings_that_mean_nothing_drop_the_connection_with_a_line() {
    let rules = "127.0.0.2:allow,TLSMIN=\"9\"\n127.0.0.3:allow,CIPHERS=\"nonsense\"\n\
                 127.0.0.4:allow,VERIFYDEPTH=\"-1\"\n:allow\n";
    let server = server().rules("-x", rules).start();
    for (source, line) in [
        (
            "127.0.0.2",
            "sslserver: error: (110) no keys for: 127.0.0.2 *TLSMIN: \"9\" is not one of *",
        ),
        (
            "127.0.0.3",
            "sslserver: * 127.0.0.3 *unable to set cipher list: nonsense: *",
        ),
        (
            "127.0.0.4",
            "sslserver: error: (110) no keys for: 127.0.0.4 *VERIFYDEPTH: \"-1\" is not *",
        ),
    ] {
        for number in 1..=2 {
            assert_eq!(from(&server, source, &[]).variable("PATH"), None);
            server.log.wait_for_nth(line, number);
        }
    }
    assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
}

#[test]
fn more_files_than_can_be_handed_over_fail_the_set_and_nobody_else() {
    let setup = server();
    let list = |setup: &crate::common::Setup, kind: &str| {
        let names = (0..12).map(|n| setup.dir.text(&format!("n{n}-{kind}.pem")));
        names.collect::<Vec<_>>().join(":")
    };
    for number in 0..12 {
        pair(&setup, "", &format!("n{number}"));
    }
    let rules = format!(
        "127.0.0.2:allow,CERTFILE=\"{}\",KEYFILE=\"{}\"\n:allow\n",
        list(&setup, "cert"),
        list(&setup, "key")
    );
    let server = setup.rules("-x", &rules).start();
    let keeper = server.role("ssl-keeper").pid;
    let shown = from(&server, "127.0.0.2", &[]).variable("PATH");
    if crate::common::is_root() {
        assert_eq!(shown, None);
        server
            .log
            .wait_for("sslserver: error: (110) no keys for: 127.0.0.2 more than 16 files: *");
    }
    assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
    assert_eq!(server.role("ssl-keeper").pid, keeper);
}
