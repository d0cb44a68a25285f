//! `sslserver -C …`: everything is loaded and checked, every reason told, and nobody served.
#![forbid(unsafe_code)]

mod common;

use common::keys::for_names;
use common::tempdir::set_mode;
use common::{Kind, Outcome, Program, Setup, glob, keys::authority};
use nix::sys::signal::Signal;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;

fn checked(setup: Setup) -> Setup {
    setup.options(&["-C"])
}

fn said(outcome: &Outcome) -> Vec<String> {
    outcome.stderr.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_said(outcome: &Outcome, patterns: &[&str]) {
    let lines = said(outcome);
    for pattern in patterns {
        let found = lines.iter().any(|line| glob(pattern, line));
        assert!(found, "no {pattern} in {lines:#?}");
    }
}

#[test]
fn what_would_be_served_is_fine_even_while_it_is_being_served() {
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = busy.local_addr().expect("bound").port().to_string();
    let setup = checked(Setup::new()).port(&port);
    let outcome = setup.run();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
}

#[test]
fn every_bad_file_is_named_in_one_run() {
    let setup = Setup::new().keys(&[Kind::P256, Kind::Rsa2048]);
    let other = for_names(Kind::P256, authority(), "other", &["localhost"]);
    setup.dir.write("key0.pem", &other.key);
    setup.dir.write("cert1.pem", "rubbish");
    let dh = setup.dir.write("dh.pem", "rubbish");
    let folder = setup.dir.subdirectory("certs");
    setup.dir.write("certs/bad.pem", "rubbish");
    set_mode(&setup.dir.join("certs/bad.pem"), 0o644);
    let outcome = checked(setup)
        .env("DHFILE", &dh.display().to_string())
        .env("CERTDIR", &folder.display().to_string())
        .run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_said(
        &outcome,
        &[
            "sslserver: error: (111) key does not match certificate: */key0.pem: *",
            "sslserver: error: (111) unable to load certificate: */cert1.pem: no PEM certificate in it",
            "sslserver: error: (111) unable to set DH parameters: */dh.pem: *",
            "sslserver: error: (111) unable to load certificate: */certs/bad.pem: no PEM certificate in it",
            "sslserver: fatal: (111) check: 4 things are wrong",
        ],
    );
}

#[test]
fn what_is_served_all_the_same_is_told_once_and_is_no_fault() {
    let setup = Setup::new();
    let old = common::keys::expired();
    setup.dir.write("cert0.pem", &old.certificate);
    setup.dir.write("key0.pem", &old.key);
    let outcome = checked(setup).run();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert_said(
        &outcome,
        &["sslserver: warning: certificate has expired: */cert0.pem: since *"],
    );
    assert_eq!(outcome.stderr.matches("expired").count(), 1, "{outcome:?}");
}

#[test]
fn settings_that_openssl_refuses_are_told() {
    let outcome = checked(Setup::new()).env("CIPHERS", "NONSENSE").run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_said(
        &outcome,
        &["sslserver: error: (111) unable to set cipher list: NONSENSE: *"],
    );
    let outcome = checked(Setup::new()).env("TLSMIN", "7").run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_said(&outcome, &["sslserver: *TLSMIN: \"7\" is not *"]);
}

#[test]
fn rules_and_the_keys_that_they_name_are_looked_at() {
    let setup = Setup::new();
    let pair = for_names(Kind::P256, authority(), "two", &["localhost"]);
    let file = setup
        .dir
        .write("two.pem", format!("{}{}", pair.certificate, pair.key));
    let good = format!(
        "127.0.0.2:allow,CERTFILE=\"{0}\",KEYFILE=\"{0}\"\n",
        file.display()
    );
    let bad = "127.0.0.3:allow,CERTFILE=\"/nowhere.pem\",KEYFILE=\"/nowhere.pem\"\n\
               127.0.0.4:allow,MAXCONIP=\"many\"\n127.0.0.5:allow,CIPHERS=\"NONSENSE\"\n";
    let outcome = checked(setup.rules("-x", &format!("{good}:allow\n"))).run();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let outcome = checked(Setup::new().rules("-x", &format!("{bad}:allow\n"))).run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_said(
        &outcome,
        &[
            "sslserver: error: (111) */rules-x.cdb: rule 127.0.0.4: no limit: MAXCONIP=many",
            "sslserver: error: (111) unable to load certificate: /nowhere.pem: *",
            "sslserver: error: (111) unable to set cipher list: NONSENSE: *",
        ],
    );
}

#[test]
fn a_rules_file_that_is_missing_or_damaged_is_told_unless_x_forgives_it() {
    let missing = |options: &[&str]| {
        let setup = checked(Setup::new()).options(options);
        let path = setup.dir.text("none.cdb");
        setup.options(&["-x", &path]).run()
    };
    let outcome = missing(&[]);
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_said(
        &outcome,
        &["sslserver: fatal: (110) unable to read: */none.cdb: *"],
    );
    assert_eq!(missing(&["-X"]).code(), 0);
    let setup = checked(Setup::new());
    let path = setup.dir.write("bad.cdb", [0; 3000]).display().to_string();
    let outcome = setup.options(&["-y", &path]).run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_said(
        &outcome,
        &["sslserver: fatal: (110) unable to read: */bad.cdb: *"],
    );
}

#[test]
fn host_port_and_program_are_looked_for() {
    for (setup, pattern) in [
        (
            Setup::new().port("no-such-service"),
            "sslserver: *unable to figure out port number for: no-such-service",
        ),
        (
            Setup::new().options(&["-I", "nowhere0"]),
            "sslserver: *unknown interface: nowhere0: *",
        ),
        (
            Setup::new().program(&["/no/such/program"]),
            "sslserver: fatal: (111) unable to run: /no/such/program: No such file or directory",
        ),
        (
            // Of an example, and so no machine's.
            Setup::new().host("192.0.2.7").port("443"),
            "sslserver: fatal: (111) unable to bind to: 192.0.2.7 port: 443: *",
        ),
    ] {
        let outcome = checked(setup).run();
        assert_eq!(outcome.code(), 111, "{outcome:?}");
        assert_said(&outcome, &[pattern]);
    }
}

#[test]
fn the_place_of_the_counters_is_looked_at_and_may_be_taken() {
    let running = Setup::new();
    let path = running.dir.text("counters");
    let server = running.env("METRICS", &path).start();
    let outcome = checked(Setup::new()).env("METRICS", &path).run();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    drop(server);
    for (path, reason) in [
        ("/no/such/place", "No such file or directory"),
        ("/etc/passwd", "there is something else of that name"),
        ("/etc/passwd/socket", "Not a directory"),
        (&*format!("/tmp/{}", "x".repeat(120)), "File name too long"),
    ] {
        let setup = checked(Setup::new()).env("METRICS", path);
        let outcome = setup.env("CERTFILE", "/nowhere.pem").run();
        assert_eq!(outcome.code(), 111, "{outcome:?}");
        let line =
            format!("sslserver: fatal: (111) unable to listen on metrics socket {path}: {reason}");
        let others = "sslserver: fatal: (111) check: 2 things are wrong";
        assert_said(&outcome, &[&line, others]);
    }
}

/// What may be one only is not cut at a colon, where somebody might think that it may be several.
#[test]
fn a_path_with_a_colon_is_one_path() {
    for (name, line) in [
        ("CERTDIR", "unable to read CERTDIR"),
        ("DHFILE", "unable to set DH parameters"),
        ("TICKETKEYFILE", "unable to load ticket keys"),
    ] {
        let setup = Setup::new();
        let there = setup.dir.subdirectory("there").display().to_string();
        let outcome = checked(setup).env(name, &format!("/nowhere:{there}")).run();
        assert_eq!(outcome.code(), 111, "{outcome:?}");
        let line =
            format!("sslserver: error: (111) {line}: /nowhere:{there}: No such file or directory");
        assert_said(&outcome, &[&line]);
    }
}

#[test]
fn a_check_asks_for_the_password_and_needs_no_free_port_nor_leaves_a_process() {
    let setup = Setup::new();
    let pair = common::keys::leaf(Kind::P256);
    setup
        .dir
        .write("key0.pem", common::keys::encrypted(pair, "secret"));
    let outcome = checked(setup).run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_said(
        &outcome,
        &["sslserver: error: (111) unable to load key: *: it needs a password*"],
    );
}

#[test]
fn a_check_that_waits_can_be_interrupted() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let setup = checked(Setup::new()).options(&["-3"]);
        // Nobody ever says the password.
        let pipe = setup.dir.text("password");
        nix::unistd::mkfifo(&*setup.dir.join("password"), nix::sys::stat::Mode::S_IRWXU)
            .expect("a pipe");
        let setup = setup.prefix(&["sh", "-c", "exec \"$@\" 3<>\"$0\"", &pipe]);
        let mut check = Program::start("sslserver", setup.command());
        check.role("ssl-keeper");
        check.signal(signal);
        let status = check.wait();
        assert_eq!(status.signal(), Some(signal as i32), "{status:?}");
        check.assert_nothing_left();
    }
}
