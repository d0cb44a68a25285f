//! What the command line refuses, and the words for it.
#![forbid(unsafe_code)]

use crate::common::{Outcome, Stud, TempDir};
use crate::usage::{nowhere, run};

/// Ends with 1 and a line that has this word.
fn assert_refused(outcome: &Outcome, word: &str) {
    assert_eq!(outcome.code(), 1, "{word}: {outcome:?}");
    assert!(outcome.stderr.contains(word), "{word}: {outcome:?}");
    assert!(outcome.lines().len() <= 3, "{word}: {outcome:?}");
    assert_eq!(outcome.text(), "", "{word}");
}

#[test]
fn what_is_no_option_is_refused_with_a_word_about_help() {
    for options in [&["--nonsense"][..], &["-z"], &["--workers"]] {
        assert_refused(&run(options), "--help");
    }
}

#[test]
fn what_takes_no_value_is_given_none() {
    for option in ["--help=x", "--version=x", "--default-config=x", "--test=x"] {
        assert_refused(&run(&[option]), option.trim_end_matches("=x"));
    }
}

#[test]
fn the_password_of_a_store_is_not_shown() {
    let store = "--session-store=redis://:secret@127.0.0.1:99999";
    let outcome = Stud::to(nowhere()).run_with(&["-t", store]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("secret"), "{outcome:?}");
}

#[test]
fn without_a_pem_there_is_nothing_to_serve() {
    assert_refused(&run(&["-f", "[127.0.0.1]:0"]), "PEM");
    assert_refused(&Stud::without_pem(nowhere()).run(), "PEM");
}

#[test]
fn what_excludes_each_other_is_refused() {
    let ways = [
        "--write-ip",
        "--write-proxy-v1",
        "--write-proxy-v2",
        "--proxy-proxy",
    ];
    for (place, one) in ways.iter().enumerate() {
        for other in &ways[place + 1..] {
            let outcome = Stud::to(nowhere()).run_with(&[one, other]);
            assert_refused(&outcome, "exclude each other");
        }
    }
    assert_refused(&Stud::to(nowhere()).run_with(&["--tls", "--ssl"]), "ssl");
}

#[test]
fn what_is_no_value_is_refused_with_the_option_and_what_is_wrong() {
    for (option, value, wrong) in [
        ("--workers", "0", "0"),
        ("--workers", "-1", "-1"),
        ("--workers", "many", "many"),
        ("--workers", "3x", "3x"),
        ("--workers", "99999999999999999999", "99999999999999999999"),
        ("--backlog", "x", "x"),
        ("--keepalive", "0", "0"),
        ("--chroot", "/nonexistent", "/nonexistent"),
        ("--user", "no-such-user", "no-such-user"),
        ("--group", "no-such-group", "no-such-group"),
        ("--syslog-facility", "nonsense", "nonsense"),
        ("--frontend", "127.0.0.1:443", "127.0.0.1:443"),
        ("--frontend", "[*]443", "443"),
        ("--frontend", "[]:443", "\"\""),
        ("--frontend", "[127.0.0.1]:65536", "65536"),
        ("--frontend", "[127.0.0.1]:https", "https"),
        ("--backend", "[*]:80", "*"),
        ("--backend", "[127.0.0.1]:0", "0"),
        ("--backend", "nonsense", "nonsense"),
        ("--tls-protos", "TLSv9", "TLSv9"),
    ] {
        let outcome = Stud::to(nowhere()).run_with(&["-t", &format!("{option}={value}")]);
        assert_refused(&outcome, wrong);
        assert_refused(&outcome, option.trim_start_matches('-'));
    }
    for file in ["/nonexistent", "/"] {
        let outcome = run(&["-t", "--config", file]);
        assert_refused(&outcome, &format!("unable to read {file}: "));
    }
}

#[test]
fn a_file_of_odd_bytes_leaves_the_terminal_alone() {
    let dir = TempDir::new();
    // Found by fuzzing: its words were shown as they are.
    for odd in ["\x1b[2J\n", "\x1b]0;x\x07 = 1\n", "a = 1 \x1b[2J { \r\n"] {
        let file = dir.write("odd.conf", odd.as_bytes());
        let outcome = run(&["-t", "--config", file.to_str().unwrap()]);
        assert_refused(&outcome, ", line 1: ");
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!outcome.stderr.contains(odd), "{outcome:?}");
    }
}

#[test]
fn long_values_are_no_trouble() {
    let long = "x".repeat(100_000);
    for option in [
        "--backend",
        "--frontend",
        "--ciphers",
        "--chroot",
        "--user",
        "--config",
    ] {
        let outcome = Stud::to(nowhere()).run_with(&["-t", &format!("{option}={long}")]);
        assert_eq!(outcome.code(), 1, "{option}");
        assert!(
            outcome.stderr.len() < 2000,
            "{option}: {}",
            outcome.stderr.len()
        );
    }
}
