//! The command line.
#![forbid(unsafe_code)]

use crate::assert_ended;
use crate::common::{Caller, LIMIT, Outcome, run};
use std::process::Command;

fn with(words: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sslclient"));
    command.args(words);
    run(command, b"", LIMIT)
}

const USAGE: &str = "sslclient: usage: sslclient [ -346hHrRdDqQveEsSnNxXmMyY ] [ -i localip ] [ -p localport ] \
     [ -T timeoutconn ] [ -l localname ] [ -t timeout ] [ -I interface ] [ -a cafile ] [ -A cadir ] \
     [ -c certfile ] [ -z ciphers ] [ -k keyfile ] [ -K keypassfile ] [ -V verifydepth ] [ -w progtimeout ] \
     host port program";

#[test]
fn whoever_says_too_little_or_something_unknown_is_told_what_there_is() {
    for (words, reason) in [
        (&["-F"][..], "sslclient: illegal option -- F"),
        (&["--help"], "sslclient: illegal option -- -help"),
        (&["-T"], "sslclient: option requires an argument -- T"),
        (&[], USAGE),
        (&["host"], USAGE),
        (&["host", "443"], USAGE),
        (&["", "443", "true"], USAGE),
    ] {
        let outcome = with(words);
        assert_ended(&outcome, 100, reason);
        assert_eq!(outcome.lines().last(), Some(&USAGE), "{outcome:?}");
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    for (words, line) in [
        (
            &["-T", "0"][..],
            "sslclient: usage: -T wants a number from 1 to 2592000, not \"0\"",
        ),
        (
            &["-T", "2+x"],
            "sslclient: usage: -T wants a number from 0 to 2592000, not \"x\"",
        ),
        (&["-T", "2,5"], "*-T wants a number *"),
        (
            &["-p", "65536"],
            "*-p wants a number from 0 to 65535, not \"65536\"",
        ),
        (
            &["-V", "101"],
            "*-V wants a number from 0 to 100, not \"101\"",
        ),
        (&["-w", "0"], "*-w wants a number *"),
        (
            &["-i", "localhost"],
            "sslclient: usage: -i wants an IP address, not \"localhost\"",
        ),
        (
            &["-k", "key.pem"],
            "sslclient: usage: -k wants the certificate too: -c",
        ),
    ] {
        let outcome = with(&[words, &["127.0.0.1", "1", "true"]].concat());
        assert_ended(&outcome, 100, line);
    }
    for port in ["0", "65536", "99999999999"] {
        let line = format!("*port wants a number from 1 to 65535, not \"{port}\"");
        assert_ended(&with(&["127.0.0.1", port, "true"]), 100, &line);
    }
    let unknown = "sslclient: fatal: (111) unable to figure out port number for: nonsense";
    assert_ended(&with(&["127.0.0.1", "nonsense", "true"]), 111, unknown);
    let bad = Caller::bare("127.0.0.1", 1).env("TLSMIN", "1.4").run();
    assert_ended(
        &bad,
        100,
        "sslclient: usage: TLSMIN: \"1.4\" is not one of *",
    );
}

#[test]
fn lines_begin_with_the_name_it_is_called_by() {
    let dir = crate::common::TempDir::new();
    let link = dir.join("pop3s");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sslclient"), &link).expect("a link");
    let outcome = run(Command::new(link), b"", LIMIT);
    assert_eq!(outcome.code(), 100);
    assert!(
        outcome
            .lines()
            .iter()
            .all(|line| line.starts_with("pop3s: usage: "))
    );
}
