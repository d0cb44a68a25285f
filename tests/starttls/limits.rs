//! Times and numbers: `-T`, `-w`, `-c` and MAXCONIP with applications that begin in plain text.
#![forbid(unsafe_code)]

use crate::common::{Plain, eventually};
use crate::{LINES, delayed, up_to_tls};
use std::time::Duration;

const FAILED: &str = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *";

/// Says a line now and then for this long.
fn keep_talking(plain: &mut Plain, rounds: u32, pause: Duration) {
    for round in 0..rounds {
        std::thread::sleep(pause);
        let line = format!("round {round}");
        assert_eq!(plain.ask(&line), line);
    }
}

#[test]
fn capital_t_counts_from_the_command() {
    let server = delayed().options(&["-T", "3"]).shell(LINES).start();
    let mut plain = server.dial().plain();
    // Longer than -T in plain text.
    keep_talking(&mut plain, 8, Duration::from_millis(500));
    assert_eq!(plain.ask("tls"), "go");
    plain.tls().assert_echoes();
    assert_eq!(server.log.count(FAILED), 0, "{:?}", server.log.lines());
}

#[test]
fn a_handshake_that_does_not_come_ends_at_capital_t() {
    let server = delayed().options(&["-T", "1"]).shell(LINES).start();
    let mut silent = up_to_tls(server.dial());
    let mut slow = up_to_tls(server.dial());
    slow.send(&[22, 3, 1, 2, 0, 1]);
    silent.rest();
    slow.rest();
    server.log.wait_for_nth(&format!("{FAILED} timed out"), 2);
    server.wait_until_idle();
    assert_eq!(server.log.count("sslserver: tls *"), 0);
}

#[test]
fn a_silent_client_in_plain_text_gives_its_place_back_after_w() {
    for script in [LINES, "exec sleep 600"] {
        let server = delayed().options(&["-w", "1"]).shell(script).start();
        let plain = server.dial().plain();
        server.log.wait_for("sslserver: pid *");
        server.log.wait_for("sslserver: ended by *");
        server.wait_until_idle();
        drop(plain);
    }
}

#[test]
fn the_session_of_a_silent_client_in_plain_text_ends_after_w() {
    let server = delayed().options(&["-w", "3"]).shell(LINES).start();
    let plain = server.dial().plain();
    server
        .log
        .wait_for("sslserver: error: (111) unable to speak TLS with: * idle for too long");
    eventually("the end of the session", || {
        server.roles("ssl-session").is_empty().then_some(())
    });
    drop(plain);
}

#[test]
fn words_in_plain_text_keep_a_connection_beyond_w() {
    let server = delayed().options(&["-w", "3"]).shell(LINES).start();
    let mut plain = server.dial().plain();
    keep_talking(&mut plain, 14, Duration::from_millis(500));
    assert_eq!(plain.ask("tls"), "go");
    plain.tls().assert_echoes();
}

#[test]
fn words_of_the_application_alone_keep_a_connection_beyond_w_too() {
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 0.5; echo $n; done; echo go; printf y >&3; exec cat <&4 >&5";
    let server = delayed().options(&["-w", "3"]).shell(script).start();
    let mut plain = server.dial().plain();
    while plain.line() != "go" {}
    plain.tls().assert_echoes();
}

#[test]
fn w_counts_in_tls_as_ever() {
    let server = delayed().options(&["-w", "1"]).shell(LINES).start();
    let mut client = up_to_tls(server.dial()).tls();
    client.assert_echoes();
    server.log.wait_for("sslserver: ended by * status 0");
    server.wait_until_idle();
    drop(client);
}

#[test]
fn c_counts_connections_in_plain_text() {
    let server = delayed()
        .options(&["-c", "2"])
        .shell(&format!("echo welcome; {LINES}"))
        .start();
    let mut held: Vec<Plain> = (0..2).map(|_| server.dial().plain()).collect();
    for plain in &mut held {
        assert_eq!(plain.line(), "welcome");
    }
    server.log.wait_for("sslserver: status: 2/2/2");
    let mut third = server.dial().plain();
    third
        .tcp
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a limit");
    assert!(
        std::io::Read::read(&mut &third.tcp, &mut [0; 1]).is_err(),
        "a third was let in"
    );
    third
        .tcp
        .set_read_timeout(Some(crate::common::LIMIT))
        .expect("a limit");
    assert_eq!(server.log.count("sslserver: ok *"), 2);
    // It may be in TLS or not: the place is the same.
    let first = held.remove(0);
    let mut first = {
        let mut first = first;
        assert_eq!(first.ask("tls"), "go");
        first.tls()
    };
    first.assert_echoes();
    assert_eq!(server.log.count("sslserver: ok *"), 2);
    drop(first);
    assert_eq!(third.line(), "welcome");
    assert_eq!(server.log.count("sslserver: status: 3/*"), 0);
    third.reset();
    held.remove(0).reset();
    server.wait_until_idle();
}

#[test]
fn maxconip_counts_connections_in_plain_text() {
    let server = delayed().env("MAXCONIP", "1").shell(LINES).start();
    let mut first = server.dial().plain();
    assert_eq!(first.ask("hello"), "hello");
    assert_eq!(server.dial().plain().rest(), b"");
    server
        .log
        .wait_for("sslserver: warning: ip connection limit of 1 exceeded for: 127.0.0.1");
    let mut other = server.dial().from("127.0.0.2").plain();
    assert_eq!(other.ask("hello"), "hello");
}

#[test]
fn a_denied_client_gets_no_application_and_no_banner() {
    let server = delayed()
        .options(&["-B", "220 here\r\n"])
        .rules("-x", ":deny\n")
        .shell(LINES)
        .start();
    assert_eq!(server.dial().plain().rest(), b"");
    server.log.wait_for("sslserver: deny *");
    assert_eq!(server.log.count("sslserver: pid *"), 0);
}

#[test]
fn waiting_for_the_command_costs_no_processor_time() {
    for script in [
        "exec sleep 600",
        "exec 3>&-; exec sleep 600",
        "exec 4<&- 5>&-; exec sleep 600",
    ] {
        let server = delayed().shell(script).start();
        let mut plain = server.dial().plain();
        server.log.wait_for("sslserver: ok *");
        let used = || server.ticks();
        plain.fin();
        let before = used();
        std::thread::sleep(Duration::from_secs(1));
        let ticks = used() - before;
        assert!(ticks < 20, "{script}: {ticks} ticks in a second");
    }
}
