//! What the application finds when it starts: descriptors, arguments, signals, ids.
#![forbid(unsafe_code)]

mod common;

use common::process::status_field;
use common::{Setup, without_root};

#[test]
fn the_application_has_descriptors_0_1_2_and_no_other() {
    let script = "ls /proc/$$/fd; :";
    let inherited = ["sh", "-c", "exec \"$@\" 3</dev/null 7</dev/null", "sh"];
    for (prefix, options) in [
        (&[][..], &[][..]),
        (&[], &["-s"]),
        (&inherited, &[]),
        (&inherited, &["-3"]),
    ] {
        let server = Setup::new()
            .prefix(prefix)
            .options(options)
            .shell(script)
            .start();
        assert_eq!(server.reply(), "0\n1\n2\n", "{prefix:?} {options:?}");
    }
}

#[test]
fn a_server_started_without_a_log_gives_the_application_a_descriptor_2_all_the_same() {
    for closed in ["2>&-", "<&- 2>&-"] {
        let script = format!("exec \"$@\" {closed}");
        let setup = Setup::new().prefix(&["sh", "-c", &script, "sh"]);
        let server = setup
            .shell("ls /proc/$$/fd; readlink /proc/$$/fd/2")
            .start();
        assert_eq!(server.reply(), "0\n1\n2\n/dev/null\n", "{closed}");
    }
}

#[test]
fn input_and_output_are_pipes_of_its_own_and_the_log_is_descriptor_2() {
    let server = Setup::new()
        .shell("echo to the log >&2; for n in 0 1; do readlink /proc/$$/fd/$n; done")
        .start();
    let reply = server.reply();
    for line in reply.lines() {
        assert!(line.starts_with("pipe:["), "{reply}");
    }
    assert_eq!(reply.lines().count(), 2);
    server.log.wait_for("to the log");
}

#[test]
fn the_program_is_found_in_path_or_without_it_in_bin_and_usr_bin() {
    let setup = Setup::new();
    let tool = setup.dir.write("own-tool", "#!/bin/sh\necho found\n");
    common::tempdir::set_mode(&tool, 0o755);
    let path = format!("/nonexistent:{}:/bin", setup.dir.text(""));
    assert_eq!(
        setup
            .env("PATH", &path)
            .program(&["own-tool"])
            .start()
            .reply(),
        "found\n"
    );
    assert_eq!(
        Setup::new()
            .without("PATH")
            .program(&["echo", "hi"])
            .start()
            .reply(),
        "hi\n"
    );
}

#[test]
fn arguments_reach_the_application_untouched() {
    let words = ["printf", "%s|", "-c", "a b", "", "--", "*", "ü"];
    assert_eq!(
        Setup::new().program(&words).start().reply(),
        "-c|a b||--|*|ü|"
    );
}

/// The two signals that the C library keeps to itself: it lets nobody set them, and starts the test's own
/// children with them ignored.
const PRIVATE: u64 = 1 << (32 - 1) | 1 << (33 - 1);

#[test]
fn signals_have_their_default_dispositions_and_none_is_blocked() {
    let names = [
        "HUP", "INT", "TERM", "PIPE", "CHLD", "USR1", "ALRM", "WINCH",
    ];
    let ignoring: Vec<String> = names.map(|name| format!("--ignore-signal={name}")).into();
    let ignoring: Vec<&str> = ["env"]
        .into_iter()
        .chain(ignoring.iter().map(String::as_str))
        .collect();
    for prefix in [&[][..], &ignoring] {
        let server = Setup::new()
            .prefix(prefix)
            .program(&["cat", "/proc/self/status"])
            .start();
        let status = server.reply();
        for field in ["SigIgn", "SigBlk", "SigCgt", "SigPnd", "ShdPnd"] {
            let signals = u64::from_str_radix(&status_field(&status, field), 16).expect("a set");
            assert_eq!(signals & !PRIVATE, 0, "{field} {signals:x} {prefix:?}");
        }
    }
}

#[test]
fn u_and_g_and_capital_u_set_uid_gid_and_the_one_group() {
    if without_root("u_and_g_and_capital_u_set_uid_gid_and_the_one_group") {
        return;
    }
    let by_option = Setup::new().options(&["-u", "61003", "-g", "61004"]);
    let by_environment = Setup::new()
        .options(&["-U"])
        .env("UID", "61003")
        .env("GID", "61004");
    for setup in [by_option, by_environment] {
        let status = setup.program(&["cat", "/proc/self/status"]).start().reply();
        assert_eq!(status_field(&status, "Uid"), "61003 61003 61003 61003");
        assert_eq!(status_field(&status, "Gid"), "61004 61004 61004 61004");
        assert_eq!(status_field(&status, "Groups"), "61004");
        for field in ["CapEff", "CapPrm", "CapAmb"] {
            assert_eq!(
                u64::from_str_radix(&status_field(&status, field), 16),
                Ok(0),
                "{field}"
            );
        }
    }
}

#[test]
fn a_banner_comes_before_the_first_byte_of_the_application() {
    let server = Setup::new()
        .options(&["-B", "220 here\r\n"])
        .program(&["echo", "hi"])
        .start();
    assert_eq!(server.reply(), "220 here\r\nhi\n");
}

#[test]
fn a_program_that_cannot_be_run_is_named_and_its_client_is_closed() {
    let server = Setup::new().program(&["/nonexistent/program"]).start();
    for number in 1..=2 {
        assert_eq!(server.reply(), "");
        let line = "sslserver: fatal: (111) unable to run: /nonexistent/program: No such file or directory*";
        server.log.wait_for_nth(line, number);
    }
    server.wait_until_idle();
}
