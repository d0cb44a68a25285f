//! The utility: one name in, one line out.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, Outcome, TempDir, is_root, run};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::Command;

const USAGE: &str = "usage: sniproxy-hostname [ --hashed ] name";
const EXAMPLE: &str = "ceA51lG1FUJ-gCIICYcmzOsjls2JmL6BBz5LAHROpe0\n";

fn ask<S: AsRef<OsStr>>(directory: &Path, words: &[S]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sniproxy-hostname"));
    command.current_dir(directory).args(words);
    run(command, b"", LIMIT)
}

fn answer<S: AsRef<OsStr>>(directory: &Path, words: &[S]) -> String {
    let outcome = ask(directory, words);
    assert_eq!(
        (outcome.code(), outcome.lines()),
        (0, vec![]),
        "{outcome:?}"
    );
    outcome.text()
}

#[test]
fn a_name_becomes_the_directory_that_the_router_looks_for() {
    let dir = TempDir::new();
    for (name, directory) in [
        ("Example.Com.", "example.com\n"),
        ("bücher.de", "xn--bcher-kva.de\n"),
        ("🕸💍.ws", "xn--sr8hvo.ws\n"),
    ] {
        assert_eq!(answer(dir.path(), &[name]), directory);
    }
    let longest = "a.".repeat(126) + "a";
    assert_eq!(answer(dir.path(), &[&longest]), longest.clone() + "\n");
}

#[test]
fn hashed_names_are_had_by_option_and_by_the_file_of_the_hosts_directory() {
    let dir = TempDir::new();
    assert_eq!(answer(dir.path(), &["--hashed", "EXAMPLE.com"]), EXAMPLE);
    assert_eq!(answer(dir.path(), &["example.com", "--hashed"]), EXAMPLE);
    dir.write(".hashed", "");
    assert_eq!(answer(dir.path(), &["example.com"]), EXAMPLE);
    std::fs::remove_file(dir.join(".hashed")).unwrap();
    symlink("nowhere", dir.join(".hashed")).unwrap();
    assert_eq!(answer(dir.path(), &["example.com"]), EXAMPLE);
}

#[test]
fn a_stranger_cannot_switch_all_names_by_his_own_file() {
    if !is_root() {
        return;
    }
    let dir = TempDir::new();
    chown(dir.write(".hashed", ""), Some(61001), None).unwrap();
    assert_eq!(answer(dir.path(), &["example.com"]), "example.com\n");
    chown(dir.path(), Some(61001), None).unwrap();
    assert_eq!(answer(dir.path(), &["example.com"]), EXAMPLE);
}

#[test]
fn a_bad_name_is_one_line_and_exit_code_1() {
    let dir = TempDir::new();
    let long = "a".repeat(64);
    for (name, line) in [
        ("a_b.com", "sniproxy-hostname: a_b.com: '_' in a host name"),
        (
            "a..b",
            "sniproxy-hostname: a..b: nothing before, between or behind the dots",
        ),
        (
            "",
            "sniproxy-hostname: : nothing before, between or behind the dots",
        ),
        (
            "xn--a.com",
            "sniproxy-hostname: xn--a.com: letters that no host name has (UTS 46)",
        ),
        (
            "a\n\x1b[2J",
            "sniproxy-hostname: a??[2J: '\\n' in a host name",
        ),
        (
            &long,
            &format!("sniproxy-hostname: {long}: a part is longer than 63 bytes"),
        ),
    ] {
        let outcome = ask(dir.path(), &[name]);
        assert_eq!(outcome.code(), 1, "{outcome:?}");
        assert_eq!(outcome.lines(), [line]);
        assert_eq!(outcome.text(), "");
    }
    let outcome = ask(dir.path(), &[OsStr::from_bytes(b"a\xffb")]);
    assert_eq!(
        (outcome.code(), outcome.lines().len()),
        (1, 1),
        "{outcome:?}"
    );
}

#[test]
fn wrong_use_shows_the_usage_and_ends_with_100() {
    let dir = TempDir::new();
    let wrong: [&[&str]; 6] = [
        &[],
        &["a", "b"],
        &["--help"],
        &["-h", "a"],
        &["--hashed"],
        &["--hashed=yes", "a"],
    ];
    for words in wrong {
        let outcome = ask(dir.path(), words);
        assert_eq!(outcome.code(), 100, "{words:?}");
        assert_eq!(outcome.lines(), [USAGE], "{words:?}");
    }
    // What looks like an option may be named behind two hyphens; no host is called so.
    assert_eq!(ask(dir.path(), &["--", "-h"]).code(), 1);
}

#[test]
fn an_answer_that_nobody_can_read_is_an_error() {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_sniproxy-hostname");
    command.args(["-c", "exec \"$0\" example.com >/dev/full", program]);
    let outcome = run(command, b"", LIMIT);
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_eq!(
        outcome.lines(),
        ["sniproxy-hostname: unable to write the answer: No space left on device"]
    );
}
