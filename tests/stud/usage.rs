//! The command line: what it takes, what it says, and how it ends.
#![forbid(unsafe_code)]

use crate::common::daemon::free;
use crate::common::keys::leaf;
use crate::common::{Kind, Outcome, Stud, TempDir, without_root};
use std::net::SocketAddr;

/// Where nobody is asked anything.
pub fn nowhere() -> SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

/// Without a configuration file.
pub fn run(options: &[&str]) -> Outcome {
    Stud::bare().run_with(options)
}

/// The file of `--default-config`.
fn effective(stud: &Stud, options: &[&str]) -> String {
    let outcome = stud.run_with(&[options, &["--default-config"]].concat());
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    outcome.text()
}

fn assert_has(text: &str, line: &str) {
    assert!(
        text.lines().any(|found| found == line),
        "no {line:?} in {text}"
    );
}

const LONG: &str = "config default-config tls ssl ciphers ssl-engine prefer-server-ciphers client \
    backend frontend workers backlog keepalive chroot user group quiet syslog syslog-facility \
    daemon write-ip write-proxy write-proxy-v1 write-proxy-v2 proxy-proxy test version help \
    shared-cache shared-cache-listen shared-cache-peer shared-cache-if tls-protos alpn-protos \
    sni-nomatch-abort pidfile log-filename log-level dbg-listen backend-refresh enable-tcp-fastopen \
    ocsp-dir";

#[test]
fn help_names_every_option() {
    for option in ["--help", "-h"] {
        let outcome = run(&[option]);
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        for word in LONG.split_whitespace() {
            assert!(outcome.text().contains(&format!("--{word}")), "no --{word}");
        }
    }
}

#[test]
fn version_is_the_programs_name_and_a_number() {
    for option in ["--version", "-V"] {
        let outcome = run(&[option]);
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(outcome.text(), format!("stud {version}\n"));
    }
}

#[test]
fn options_may_be_shortened_and_mixed_with_pems() {
    let stud = Stud::bare();
    let pem = stud.file("own.pem", leaf(Kind::P256));
    let text = effective(&stud, &["--work=3", &pem, "--backlog", "7", "-k60"]);
    assert_has(&text, "workers = 3");
    assert_has(&text, "backlog = 7");
    assert_has(&text, "keepalive = 60");
    let outcome = stud.run_with(&["-t", "-b", "[127.0.0.1]:9", "--", &pem]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
}

#[test]
fn addresses_of_both_styles_are_known() {
    for (given, shown) in [
        ("127.0.0.1,443", "[127.0.0.1]:443"),
        ("::1,443", "[::1]:443"),
        ("*,443", "[*]:443"),
        ("[::1]:443", "[::1]:443"),
    ] {
        let text = effective(&Stud::bare(), &["-f", given]);
        assert_has(&text, &format!("frontend = \"{shown}\""));
    }
    let text = effective(&Stud::bare(), &["-b", "localhost,8000"]);
    assert_has(&text, "backend = \"[localhost]:8000\"");
}

#[test]
fn what_comes_later_counts() {
    let stud = Stud::bare().config("workers = 2\nbacklog = 20");
    assert_has(&effective(&stud, &["-n", "3"]), "workers = 3");
    assert_has(&effective(&stud, &["-n", "3", "-n", "4"]), "workers = 4");
    assert_has(&effective(&stud, &["-n", "3"]), "backlog = 20");
    let dir = TempDir::new();
    let other = dir
        .write("other.conf", "workers = 5\n")
        .display()
        .to_string();
    let text = effective(&stud, &["-n", "3", "--config", &other]);
    assert_has(&text, "workers = 5");
}

#[test]
fn the_configuration_may_come_from_standard_input() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stud"));
    command.args(["--config=-", "--default-config"]);
    let outcome = crate::common::run(command, b"workers = 6\n", crate::common::LIMIT);
    assert_has(&outcome.text(), "workers = 6");
}

#[test]
fn a_default_configuration_reads_back_as_it_is() {
    if without_root("a_default_configuration_reads_back_as_it_is") {
        return;
    }
    let stud = Stud::bare();
    let jail = stud.dir.subdirectory("jail").display().to_string();
    for options in [
        &[][..],
        &[
            "-n",
            "7",
            "-B",
            "5",
            "-k",
            "99",
            "-c",
            "HIGH:!aNULL",
            "-O",
            "--write-proxy-v2",
        ],
        &[
            "-f",
            "[::1]:1;[*]:2",
            "-b",
            "[127.0.0.1]:3;[localhost]:4",
            "--write-ip",
            "-q",
        ],
        &[
            "-u",
            "nobody",
            "-r",
            &jail,
            "-s",
            "--syslog-facility=local3",
            "--proxy-proxy",
        ],
    ] {
        let text = effective(&stud, options);
        let file = stud.dir.write("saved.conf", &text).display().to_string();
        assert_eq!(effective(&stud, &["--config", &file]), text, "{options:?}");
        let pem = stud.file("own.pem", leaf(Kind::P256));
        let outcome = stud.run_with(&["--config", &file, "-t", &pem]);
        assert_eq!(outcome.code(), 0, "{options:?} {outcome:?}");
    }
}

#[test]
fn a_test_says_that_the_configuration_is_good_and_leaves_it_at_that() {
    for option in ["-t", "--test"] {
        let outcome = Stud::to(nowhere()).run_with(&[option]);
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        assert!(outcome.text().starts_with("stud"), "{outcome:?}");
        assert_eq!(outcome.text().lines().count(), 1, "{outcome:?}");
    }
}

#[test]
fn a_test_tries_addresses_and_backends() {
    let stud = || Stud::to(nowhere());
    // Of a documentation's network, and nobody's own.
    for (stud, word) in [
        (stud().frontend("[192.0.2.1]:443"), "192.0.2.1"),
        (stud().frontend("[nowhere.invalid]:443"), "nowhere.invalid"),
        (Stud::to_text("[nowhere.invalid]:80"), "nowhere.invalid"),
        (
            stud().config("frontend = \"[192.0.2.1;]:443\""),
            "192.0.2.1",
        ),
    ] {
        let outcome = stud.run_with(&["-t"]);
        assert_eq!(outcome.code(), 1, "{outcome:?}");
        assert!(outcome.stderr.contains(word), "{outcome:?}");
    }
}

#[test]
fn a_test_beside_a_running_proxy_of_the_same_configuration_is_good() {
    let port = free("127.0.0.1").port();
    let with_port = || Stud::to(nowhere()).frontend(&format!("[127.0.0.1]:{port}"));
    let _running = with_port().start();
    let outcome = with_port().run_with(&["-t"]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
}

#[test]
fn what_is_not_done_any_more_is_accepted_and_said() {
    let stud = Stud::to(nowhere()).config("ocsp-dir = \"/var/lib/hitch\"\nssl-engine = \"auto\"");
    let outcome = stud.run_with(&["-t"]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    for word in ["ocsp-dir", "ssl-engine"] {
        let said = outcome.stderr.contains(word);
        assert!(said, "nothing about {word}: {outcome:?}");
    }
}
