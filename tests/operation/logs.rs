//! Logs that nobody reads, or that cannot be written: the service is more than its log.
#![forbid(unsafe_code)]

use super::{WAYS, assert_serves};
use crate::common::{Server, Setup};
use nix::sys::signal::Signal;

/// A server whose standard error is what the shell makes of it.
fn logging_to(way: &[&str], redirection: &str) -> Setup {
    let words = format!("exec \"$@\" {redirection}");
    Setup::new()
        .options(way)
        .prefix(&["bash", "-c", &words, "bash"])
}

/// Before, during and after a reload, all of which are worth lines.
fn assert_goes_on(server: &Server) {
    for _ in 0..10 {
        assert_serves(server);
    }
    server.signal(Signal::SIGHUP);
    for _ in 0..10 {
        assert_serves(server);
    }
    server.wait_until_idle();
}

#[test]
fn a_full_disk_under_the_log_stops_nothing() {
    for way in WAYS {
        let server = logging_to(way, "2>/dev/full").start();
        assert_goes_on(&server);
    }
}

#[test]
fn a_reader_of_the_log_that_is_gone_stops_nothing() {
    for way in WAYS {
        // The reader leaves after its first line.
        let server = logging_to(way, "2> >(head -n 1 >/dev/null)").start();
        assert_goes_on(&server);
    }
}

#[test]
fn a_reader_of_the_log_that_stands_still_costs_lines_and_no_connections() {
    for way in WAYS {
        let dir = crate::common::TempDir::new();
        let fifo = dir.text("fifo");
        crate::common::peers::must({
            let mut command = std::process::Command::new("mkfifo");
            command.arg(&fifo);
            command
        });
        // Somebody has it open to read and never does.
        let reader = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&fifo)
            .expect("opened");
        let server = logging_to(way, &format!("2>{fifo}")).start();
        // Six lines for each are more than the pipe holds.
        for _ in 0..400 {
            assert_serves(&server);
        }
        server.wait_until_idle();
        drop(reader);
    }
}
