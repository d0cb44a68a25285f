//! Name servers that are slow, or say nothing.
#![forbid(unsafe_code)]

use crate::common::{Responder, eventually};
use crate::{CLIENT, ENVIRONMENT, NOBODY, asking, host, simply};
use std::io::Read;
use std::time::Duration;

#[test]
fn a_connection_goes_on_without_a_name_after_t() {
    let dns = Responder::new(|_, _| Vec::new());
    let setup = asking(dns.address).options(&["-t", "1"]);
    let server = setup.program(ENVIRONMENT).start();
    for source in [CLIENT, NOBODY, CLIENT] {
        assert_eq!(host(&server, source), None);
    }
    assert!(dns.asked() > 0);
    let line = format!("sslserver: ok * localhost:* :{CLIENT}::*");
    server.log.wait_for_nth(&line, 2);
    assert_eq!(server.log.count("sslserver: warning: *"), 0);
    server.wait_until_idle();
}

/// Three seconds for the handshake, which begins when three seconds have gone by.
#[test]
fn the_time_of_a_silent_name_server_is_not_taken_from_the_handshake() {
    let dns = Responder::new(|_, _| Vec::new());
    let setup = asking(dns.address).options(&["-t", "3", "-T", "3"]);
    let server = setup.program(ENVIRONMENT).start();
    assert_eq!(host(&server, CLIENT), None);
    assert_eq!(server.log.count("sslserver: fatal: *"), 0);
}

#[test]
fn two_hundred_connections_wait_for_a_slow_name_server_at_once_and_all_are_served() {
    let dns = Responder::slow(Duration::from_secs(2), simply);
    let setup = asking(dns.address).options(&["-c", "200", "-b", "256", "-l", "0", "-Q"]);
    let server = setup.shell("echo $SSLREMOTEHOST").start();
    std::thread::scope(|scope| {
        for number in 1..=200 {
            let dial = server.dial().from(&format!("127.0.1.{number}"));
            scope.spawn(move || assert_eq!(dial.connect().text(), "client.example.org\n"));
        }
    });
    // One after the other they would never be more than one; so many at once take little more than two seconds.
    let most = dns.most_at_once();
    assert!(most >= 100, "{most}");
    server.wait_until_idle();
}

/// The handshakes that nobody makes have a limit too, and one of their own.
#[test]
fn a_flood_of_questions_without_answers_keeps_nobody_out() {
    let dns = Responder::new(|question, by| match question.name.starts_with("5.") {
        true => simply(question, by),
        false => Vec::new(),
    });
    let setup = asking(dns.address).options(&["-t", "600", "-T", "600", "-b", "256"]);
    let server = setup.program(ENVIRONMENT).start();
    assert_eq!(host(&server, CLIENT).as_deref(), Some("client.example.org"));
    // More than may wait for answers at once, also when the lookup process is slow to take some of the questions.
    let address = |number| format!("127.0.{}.{}", 1 + number / 200, 1 + number % 200);
    let flood: Vec<_> = (0..400)
        .map(|number| server.dial().from(&address(number)).tcp())
        .collect();
    // Those about whom nobody could be asked any more go on without an answer.
    eventually("all of them accepted", || {
        (server.counters()["connections accepted"] > 400).then_some(())
    });
    for _ in 0..3 {
        // It has a name where the first questions were given up meanwhile.
        let name = host(&server, CLIENT);
        assert!(name.is_none_or(|name| name == "client.example.org"));
    }
    drop(flood);
    assert_eq!(server.log.count("sslserver: warning: *"), 0);
}

/// A client may leave while somebody is asked about it.
#[test]
fn clients_that_leave_meanwhile_cost_nothing() {
    let dns = Responder::slow(Duration::from_secs(1), simply);
    let server = asking(dns.address).program(ENVIRONMENT).start();
    for number in 1..=50 {
        drop(server.dial().from(&format!("127.0.1.{number}")).tcp());
    }
    assert_eq!(host(&server, CLIENT).as_deref(), Some("client.example.org"));
    server.wait_until_idle();
}

/// Bytes that a client sends before somebody has answered wait for their session.
#[test]
fn a_handshake_begun_too_early_is_not_lost() {
    let dns = Responder::slow(Duration::from_secs(1), simply);
    let server = asking(dns.address)
        .shell("cat; echo $SSLREMOTEHOST")
        .start();
    let mut client = server.dial().from(CLIENT).connect();
    client.send(b"hello\n");
    client.close_notify();
    let mut said = String::new();
    client.tls.read_to_string(&mut said).expect("text");
    assert_eq!(said, "hello\nclient.example.org\n");
}
