//! Applications that do without TLS.
#![forbid(unsafe_code)]

use crate::common::{Plain, Process, Server, eventually, terminator, without_root};
use crate::{LINES, delayed};

fn without_session(server: &Server) {
    eventually("the end of the session", || {
        server.roles("ssl-session").is_empty().then_some(())
    });
}

/// Nothing went wrong, so nothing is said.
fn assert_no_complaint(server: &Server) {
    for pattern in [
        "sslserver: fatal: *",
        "sslserver: error: *",
        "sslserver: warning: *",
        "sslserver: tls *",
    ] {
        let lines = server.log.matching(pattern);
        assert!(lines.is_empty(), "{lines:?}");
    }
}

#[test]
fn any_other_byte_and_the_end_of_the_channel_mean_plain_text_for_good() {
    for act in [
        "printf n >&3",
        "printf '\\0' >&3",
        "printf Q >&3",
        "printf '\\nY' >&3",
        "printf xy >&3",
        "exec 3>&-",
    ] {
        let server = delayed()
            // Its input from TLS ends where the session does.
            .shell(&format!("{act}; cat <&4; {LINES}"))
            .start();
        let mut plain = server.dial().plain();
        assert_eq!(plain.ask("one"), "one", "{act}");
        without_session(&server);
        assert_eq!(plain.ask("two"), "two", "{act}");
        plain.send(b"quit\n");
        assert_eq!(plain.rest(), b"", "{act}");
        server.log.wait_for("sslserver: ended by * status 1792");
        assert_no_complaint(&server);
        server.wait_until_idle();
    }
}

#[test]
fn after_another_byte_y_starts_nothing() {
    // The second byte is written when nobody is at the other end for sure.
    let script = "trap '' PIPE; printf n >&3; cat <&3; printf y >&3 || echo refused; cat <&4; echo empty; cat";
    let server = delayed().shell(script).start();
    let mut plain = server.dial().plain();
    assert_eq!(plain.line(), "refused");
    assert_eq!(plain.line(), "empty");
    assert_eq!(plain.ask("still plain"), "still plain");
    plain.reset();
    server.wait_until_idle();
}

#[test]
fn the_exit_status_of_an_application_without_tls_is_kept() {
    for (script, status) in [
        ("exit 0", "0"),
        ("exit 3", "768"),
        ("exit 111", "28416"),
        ("kill -KILL $$", "9"),
        ("kill -TERM $$", "15"),
        ("echo hello; exit 3", "768"),
        ("exec 3>&- 4<&- 5>&-; read line; exit 3", "768"),
    ] {
        let server = delayed().shell(script).start();
        let mut plain = server.dial().plain();
        plain.fin();
        plain.rest();
        let line = format!("sslserver: ended by * status {status}");
        server.log.wait_for(&line);
        server.wait_until_idle();
        assert_no_complaint(&server);
    }
}

#[test]
fn a_client_that_leaves_in_plain_text_ends_the_input_and_nothing_else() {
    let server = delayed().shell("cat; exit 5").start();
    let mut plain = server.dial().plain();
    assert_eq!(plain.ask("hello"), "hello");
    plain.fin();
    assert_eq!(plain.rest(), b"");
    server.log.wait_for("sslserver: ended by * status 1280");
    assert_no_complaint(&server);
    server.wait_until_idle();
}

#[test]
fn a_child_that_outlives_the_application_holds_the_session_for_the_idle_time_at_most() {
    let server = delayed()
        .options(&["-w", "1"])
        .shell("sleep 600 & exit 3")
        .start();
    let plain = server.dial().plain();
    server.log.wait_for("sslserver: pid *");
    plain.reset();
    // The child still has the channel, but nothing comes or goes any more.
    server.log.wait_for("sslserver: ended by * status 768");
    without_session(&server);
    server.log.wait_for_nth("sslserver: status: 0/40/40", 2);
}

fn open_files(process: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process.pid))
        .expect("a running process")
        .count()
}

#[test]
fn a_thousand_short_plain_connections_leave_no_process_and_no_descriptor() {
    if without_root("a_thousand_short_plain_connections_leave_no_process_and_no_descriptor") {
        return;
    }
    // What the shell says of clients that left would be mixed with lines of the log.
    let script = "exec 2>/dev/null; echo hi; read line";
    let server = delayed().shell(script).start();
    let visit = |number: usize| {
        let mut plain: Plain = server.dial().plain();
        match number % 4 {
            // Gone before the application has begun, or at any point of it.
            0 => plain.reset(),
            1 => {
                assert_eq!(plain.line(), "hi");
                plain.reset();
            }
            2 => {
                plain.fin();
                assert_eq!(plain.rest(), b"hi\n");
            }
            _ => {
                assert_eq!(plain.line(), "hi");
                plain.send(b"bye\n");
                plain.rest();
            }
        }
    };
    (0..8).for_each(&visit);
    server.log.wait_for_nth("sslserver: ended by *", 8);
    server.wait_until_idle();
    let names = ["sslserver", "ssl-keeper", terminator()];
    let of = |name| server.roles(name).iter().map(open_files).sum::<usize>();
    let count = || names.map(of);
    let before = count();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let visit = &visit;
            scope.spawn(move || (0..248).for_each(|number| visit(number + start)));
        }
    });
    // The kernel gives clients out in their order, so all before this one were seen.
    visit(2);
    server.wait_until_idle();
    let after = count();
    // The listener keeps what it made for the next connection.
    assert_eq!(before, after);
    assert_eq!(server.log.count("sslserver: tls *"), 0);
    server.stop();
}
