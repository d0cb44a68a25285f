//! HANDSHAKES and HANDSHAKESIP: places of those who are not done with their handshake.
#![forbid(unsafe_code)]

use crate::common::{Client, Setup};
use crate::{ONE, OTHER, THIRD, admitted, served, silent, wait_until_open};
use std::io::{ErrorKind, Write};
use std::time::Duration;

#[test]
fn two_hundred_silent_connections_of_one_address_leave_room_for_another() {
    let server = Setup::new().env("HANDSHAKES", "100").start();
    let held = silent(&server, OTHER, 200);
    let line = "sslserver: warning: ip handshake limit of 50 exceeded for: 127.0.0.2";
    server.log.wait_for(line);
    assert_eq!(served(&server, ONE, 20), 20);
    wait_until_open(&held, 50);
    assert!(admitted(&server, OTHER).is_none());
    drop(held);
    server.wait_until_idle();
    assert!(admitted(&server, OTHER).is_some());
}

#[test]
fn handshakesip_counts_each_address_for_itself_and_only_until_the_handshake_is_done() {
    let server = Setup::new().env("HANDSHAKESIP", "2").start();
    let mut established: Vec<Client> = (0..5)
        .map(|_| admitted(&server, ONE).expect("one after the other"))
        .collect();
    let mut held = silent(&server, ONE, 2);
    server.wait_for_unfinished(2);
    assert!(admitted(&server, ONE).is_none());
    let line = "sslserver: warning: ip handshake limit of 2 exceeded for: 127.0.0.1";
    server.log.wait_for(line);
    assert_eq!(served(&server, OTHER, 5), 5);

    // One of the silent says something after all, and its place is free.
    established.push(server.dial().over(held.remove(0)));
    established.iter_mut().for_each(Client::assert_echoes);
    assert!(admitted(&server, ONE).is_some());
    drop((held, established));
    server.wait_until_idle();
}

#[test]
fn handshakesip_of_a_rule_counts_instead_of_the_environments() {
    let rules = "127.0.0.1:allow,HANDSHAKESIP=\"3\"\n127.0.0.2:allow,HANDSHAKESIP=\"0\"\n";
    for option in ["-y", "-x"] {
        let setup = Setup::new().env("HANDSHAKESIP", "1").rules(option, rules);
        let server = setup.start();
        let held = [(ONE, 5), (OTHER, 7), (THIRD, 4)]
            .map(|(source, number)| silent(&server, source, number));
        let line = "sslserver: deny * :127.0.0.1::* ip handshake limit:3 exceeded";
        server.log.wait_for_nth(line, 2);
        let line = "sslserver: warning: ip handshake limit of 1 exceeded for: 127.0.0.3";
        server.log.wait_for_nth(line, 3);
        for (held, number) in held.iter().zip([3, 7, 1]) {
            wait_until_open(held, number);
        }
        server.wait_for_unfinished(3 + 7 + 1);
    }
}

#[test]
fn beyond_handshakes_clients_wait_and_are_served_when_there_is_room() {
    let setup = Setup::new().env("HANDSHAKES", "2").env("HANDSHAKESIP", "0");
    let server = setup.start();
    let held = silent(&server, ONE, 2);
    let line = "sslserver: warning: handshake limit of 2 reached, clients wait";
    server.log.wait_for(line);
    // Whoever sends this and is heard has failed.
    let mut waiting = server.dial().from(OTHER).tcp();
    waiting.write_all(b"no handshake\r\n").expect("room");
    let patience = Some(Duration::from_millis(500));
    waiting.set_read_timeout(patience).expect("a limit");
    let error = waiting.peek(&mut [0]).expect_err("a third was let in");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(held);
    let failed = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.2 for pid: *";
    server.log.wait_for(failed);
    assert!(admitted(&server, OTHER).is_some());
    let again = "sslserver: info: below the handshake limit again";
    server.log.wait_for(again);
    assert_eq!([line, again].map(|line| server.log.count(line)), [1, 1]);
    server.wait_until_idle();
}

#[test]
fn maxconip_counts_those_who_are_not_done_with_their_handshake_too() {
    let setup = Setup::new().env("MAXCONIP", "3").env("HANDSHAKESIP", "2");
    let server = setup.start();
    let established = admitted(&server, ONE).expect("the first");
    let held = silent(&server, ONE, 2);
    server.wait_for_unfinished(2);
    assert!(admitted(&server, ONE).is_none());
    let line = "sslserver: warning: ip connection limit of 3 exceeded for: 127.0.0.1";
    server.log.wait_for(line);
    drop((established, held));
    server.wait_until_idle();
}
