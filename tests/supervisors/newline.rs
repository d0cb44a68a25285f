//! NOTIFYFD, as s6 has it: a newline, and the descriptor is closed.
#![forbid(unsafe_code)]

use crate::common::{Log, Program, Setup, TempDir};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::File;
use std::path::PathBuf;

fn fifo(dir: &TempDir) -> PathBuf {
    let path = dir.join("fifo");
    mkfifo(&path, Mode::S_IRWXU).expect("a pipe");
    path
}

#[test]
fn a_newline_is_written_when_the_server_is_ready_and_nobody_holds_the_descriptor_any_more() {
    let setup = Setup::new().env("NOTIFYFD", "9");
    let fifo = fifo(&setup.dir);
    let script = format!("exec \"$@\" 9>{}", fifo.display());
    let reader = std::thread::spawn(move || Log::collect(File::open(fifo).expect("a pipe")));
    let server = setup.prefix(&["sh", "-c", &script, "sh"]).start();
    let told = reader.join().expect("an end");
    // The end comes while everybody runs.
    assert_eq!(told.wait_for_end(), [""]);
    server.connect().assert_echoes();
    server.wait_until_idle();
    server.stop();
}

#[test]
fn the_newline_comes_without_the_line_of_1_too() {
    let setup = Setup::new().env("NOTIFYFD", "9");
    let script = "exec 9>&1 >/dev/null; exec \"$@\"";
    let setup = setup.prefix(&["sh", "-c", script, "sh"]);
    let mut program = Program::start("sslserver", setup.command());
    assert_eq!(program.stdout.wait_for_end(), [""]);
    assert!(program.is_running());
    program.stop();
}

#[test]
fn a_reader_that_is_gone_costs_a_line_and_not_the_service() {
    let setup = Setup::new().env("NOTIFYFD", "9");
    let fifo = fifo(&setup.dir);
    let script = format!("exec 8<>{0} 9>{0} 8>&-; exec \"$@\"", fifo.display());
    let server = setup.prefix(&["sh", "-c", &script, "sh"]).start();
    server
        .log
        .wait_for("sslserver: warning: unable to tell NOTIFYFD: Broken pipe");
    server.connect().assert_echoes();
    server.stop();
}

#[test]
fn a_full_pipe_costs_a_line_and_not_the_service() {
    let setup = Setup::new().env("NOTIFYFD", "9");
    let fifo = fifo(&setup.dir);
    let fill = format!(
        "exec 9<>{}; timeout 1 cat /dev/zero >&9; exec \"$@\"",
        fifo.display()
    );
    let server = setup.prefix(&["sh", "-c", &fill, "sh"]).start();
    server
        .log
        .wait_for("sslserver: warning: unable to tell NOTIFYFD: Resource temporarily unavailable");
    server.connect().assert_echoes();
    server.stop();
}

#[test]
fn what_is_no_open_descriptor_ends_the_start_with_one_line() {
    for number in ["x", "-1", "1", "2", "9999999999", "3 "] {
        let outcome = Setup::new().env("NOTIFYFD", number).run();
        assert_eq!(outcome.code(), 100, "{outcome:?}");
        let line = format!(
            "sslserver: usage: NOTIFYFD wants a number from 3 to 2147483647, not \"{number}\""
        );
        assert_eq!(outcome.lines()[0], line);
    }
    let outcome = Setup::new().env("NOTIFYFD", "7").run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_eq!(
        outcome.lines(),
        ["sslserver: fatal: (111) NOTIFYFD=7: Bad file number"]
    );
}

#[test]
fn a_check_by_hand_needs_none_of_what_a_supervisor_opens() {
    let setup = Setup::new().options(&["-C"]).env("NOTIFYFD", "7");
    let setup = setup.prefix(&["sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"]);
    assert_eq!(setup.run().code(), 0);
    assert_eq!(setup.env("NOTIFYFD", "x").run().code(), 111);
}

#[test]
fn one_descriptor_is_not_for_two_things() {
    let setup = Setup::new().env("NOTIFYFD", "3").options(&["-3"]).prefix(&[
        "sh",
        "-c",
        "exec \"$@\" 3</dev/null",
        "sh",
    ]);
    let outcome = setup.run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
    assert_eq!(
        outcome.lines(),
        ["sslserver: fatal: (111) descriptor 3 cannot be for -3 and for NOTIFYFD"]
    );
}
