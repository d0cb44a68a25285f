//! A process that shares sessions and was taken over: what it can do to the listener with its own channel.
#![forbid(unsafe_code)]

use super::assert_serves;
use crate::common::{LIMIT, Process, Setup, run, say, without_root};
use std::process::Command;

/// The number of the listener's channel in a process that has no clients yet: the first of those that it began with.
fn channel(process: &Process) -> u32 {
    let folder = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("as root");
    let is_socket = |entry: &std::fs::DirEntry| {
        let link = std::fs::read_link(entry.path());
        link.is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
    };
    let names = folder.flatten().filter(is_socket);
    let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.min().expect("a channel")
}

/// Says something to the listener as if this process had said it. False: root may not.
fn forge(process: &Process, channel: u32, message: &[u8]) -> bool {
    const SCRIPT: &str = "\
        my ($pid, $channel, $message) = @ARGV; \
        my $process = syscall(434, $pid + 0, 0); \
        exit 1 if $process < 0; \
        my $end = syscall(438, $process, $channel + 0, 0); \
        exit 1 if $end < 0; \
        open(my $out, '>&=', $end) or die; \
        syswrite($out, pack('H*', $message)) or die;";
    let message: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
    let (pid, channel) = (process.pid.to_string(), channel.to_string());
    let mut command = Command::new("perl");
    command.args(["-e", SCRIPT, &pid, &channel, &message]);
    run(command, b"", LIMIT).status.success()
}

#[test]
fn a_process_that_breaks_its_word_is_ended_and_replaced_and_writes_no_lines_of_its_own() {
    let test =
        "a_process_that_breaks_its_word_is_ended_and_replaced_and_writes_no_lines_of_its_own";
    if without_root(test) {
        return;
    }
    let server = Setup::new().options(&["-j", "2"]).start();
    let bad = server.roles("ssl-shared").swap_remove(0);
    let channel = channel(&bad);
    let text = b"with\nforged";
    for kind in [b'F', b'S'] {
        let message = [&[kind, 0, 0, 0, text.len() as u8][..], text].concat();
        if !forge(&bad, channel, &message) {
            return say(&format!("{test}: skipped: no process can be reached into"));
        }
    }
    server
        .log
        .wait_for("sslserver: warning: unable to make more sessions: with?forged");
    assert_eq!(server.log.count("*forged"), 1, "{:?}", server.log.lines());
    assert_serves(&server);
    assert!(forge(&bad, channel, b"?"));
    server.log.wait_for(&format!(
        "sslserver: warning: process {} says nothing more: ended",
        bad.pid
    ));
    let line = format!(
        "sslserver: warning: terminator {} ended by signal 9, starting another",
        bad.pid
    );
    server.log.wait_for(&line);
    for _ in 0..10 {
        assert_serves(&server);
    }
    server.wait_until_idle();
    server.stop();
}
