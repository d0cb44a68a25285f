//! The listener knows how many connections each process has that shares sessions, whatever becomes of them, and those
//! that have gone leave nothing.
#![forbid(unsafe_code)]

use super::assert_serves;
use crate::common::{Client, Process, Server, Setup, eventually, without_root};
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use std::net::TcpStream;
use std::os::fd::AsFd;

/// How many sockets each process has that speaks TLS: its channels, and its clients.
fn sockets(server: &Server) -> Vec<usize> {
    let of = |process: Process| {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", process.pid));
        let entries = folder.expect("as root").flatten();
        let links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    };
    server.roles("ssl-shared").into_iter().map(of).collect()
}

/// Clients that come now are shared evenly: the listener knows who has how many.
fn assert_shared_evenly(server: &Server, idle: &[usize]) {
    server.wait_until_idle();
    server.wait_for_unfinished(0);
    let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(Client::assert_echoes);
    let expected: Vec<usize> = idle.iter().map(|channels| channels + 5).collect();
    assert_eq!(sockets(server), expected);
    drop(clients);
    eventually("no clients", || (sockets(server) == idle).then_some(()));
}

#[test]
fn a_process_that_stands_still_gets_no_more_clients_when_one_has_waited_in_vain() {
    if without_root("a_process_that_stands_still_gets_no_more_clients_when_one_has_waited_in_vain")
    {
        return;
    }
    let setup = Setup::new().options(&["-j", "2", "-T", "1"]);
    let server = setup.start();
    let idle = sockets(&server);
    let all = server.roles("ssl-shared").into_iter();
    // The one that clients are given to first.
    let stuck = all.min_by_key(|process| process.pid).expect("one");
    stuck.send(Signal::SIGSTOP);
    let silent = server.dial().tcp();
    server
        .log
        .wait_for("sslserver: fatal: (111) unable to accept TLS from: * session does not answer");
    for _ in 0..10 {
        assert_serves(&server);
    }
    stuck.send(Signal::SIGCONT);
    drop(silent);
    eventually("no clients", || (sockets(&server) == idle).then_some(()));
    assert_shared_evenly(&server, &idle);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn whatever_becomes_of_connections_the_next_are_shared_evenly() {
    if without_root("whatever_becomes_of_connections_the_next_are_shared_evenly") {
        return;
    }
    let setup = Setup::new().options(&["-j", "2", "-T", "1"]);
    let server = setup
        .rules("-x", "127.0.0.2:allow,CERTFILE=\"/none\"\n:allow\n")
        .start();
    let idle = sockets(&server);
    for number in 0..21 {
        match number % 7 {
            0 => assert_serves(&server),
            1 => drop(server.dial().tcp()),
            2 => reset(server.connect().tcp()),
            3 => {
                let mut plain = server.dial().plain();
                plain.send(b"GET / HTTP/1.0\r\n\r\n");
                plain.rest();
            }
            // Its keys cannot be had.
            4 => drop(server.dial().from("127.0.0.2").plain().rest()),
            5 => {
                let mut client = server.connect();
                client.assert_echoes();
                drop(client);
            }
            // Says nothing until its time is over.
            _ => drop(server.dial().plain().rest()),
        }
    }
    assert_shared_evenly(&server, &idle);
    server.stop();
}

/// Has the kernel reset a connection when it is closed.
fn reset(tcp: TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&tcp.as_fd(), sockopt::Linger, &linger).expect("set");
}

fn listeners(server: &Server) -> usize {
    let listener = server.role("sslserver").pid;
    let folder = std::fs::read_dir(format!("/proc/{listener}/fd"));
    folder.expect("as root").count()
}

#[test]
fn clients_that_leave_while_they_wait_for_a_place_leave_nothing() {
    if without_root("clients_that_leave_while_they_wait_for_a_place_leave_nothing") {
        return;
    }
    let server = Setup::new().options(&["-j", "2", "-c", "1"]).start();
    assert_serves(&server);
    server.wait_until_idle();
    let (idle, before) = (sockets(&server), listeners(&server));
    // Accepted while there still is a place.
    let waiting: Vec<TcpStream> = (0..12).map(|_| server.dial().tcp()).collect();
    server.wait_for_unfinished(12);
    let mut waiting = waiting.into_iter();
    let mut first = server.dial().over(waiting.next().expect("the first"));
    first.assert_echoes();
    let mut waiting: Vec<Client> = waiting.map(|tcp| server.dial().over(tcp)).collect();
    let handshakes = || server.counters()["handshakes TLSv1.3"] == 13;
    eventually("the last handshake", || handshakes().then_some(()));
    for leaving in waiting.drain(..4) {
        reset(leaving.tcp());
        drop(leaving);
    }
    for mut leaving in waiting.drain(..4) {
        leaving.close_notify();
        drop(leaving);
    }
    eventually("those who hung up", || {
        (server.counters()["failed no_place"] >= 4).then_some(())
    });
    drop(first);
    // Each has the place to itself; who comes first is settled between two processes.
    std::thread::scope(|scope| {
        for mut staying in waiting {
            scope.spawn(move || staying.assert_echoes());
        }
    });
    server.wait_until_idle();
    eventually("as few descriptors as before", || {
        (sockets(&server) == idle && listeners(&server) == before).then_some(())
    });
    assert_eq!(server.counters()["connections unfinished"], 0);
    server.stop();
}

#[test]
fn an_application_that_ends_before_its_session_is_there_leaves_nothing() {
    if without_root("an_application_that_ends_before_its_session_is_there_leaves_nothing") {
        return;
    }
    let setup = Setup::new().options(&["-j", "2", "-n", "-c", "1"]);
    let server = setup.shell("read line").start();
    let visit = || {
        let mut plain = server.dial().plain();
        plain.send(b"go on\n");
        plain.rest();
    };
    visit();
    server.wait_until_idle();
    let before = listeners(&server);
    let mut first = server.dial().plain();
    server.role("sh");
    // Accepted while there still is a place, and without one now.
    let second = server.dial().plain();
    // The second time it is not replaced at once.
    (0..2).for_each(|_| drop(server.kill("ssl-shared")));
    first.send(b"go on\n");
    first.rest();
    drop(second);
    visit();
    server.wait_until_idle();
    eventually("as few descriptors as before", || {
        (listeners(&server) == before).then_some(())
    });
    let counters = server.counters();
    assert_eq!(counters["connections running"], 0);
    assert_eq!(counters["connections unfinished"], 0);
    server.stop();
}
