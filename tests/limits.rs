//! Who is let in, who waits, and what running out of something does.
#![forbid(unsafe_code)]

mod common;

use common::{
    Client, Ending, Server, Setup, eventually, pattern, without_own_processes, without_root,
};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

/// A connection whose application answered, or None where the server closed it.
fn admitted(server: &Server, source: &str) -> Option<Client> {
    let mut client = server.dial().from(source).try_connect().ok()?;
    client.assert_echoes();
    Some(client)
}

/// True once the server has closed without a byte of its own.
fn is_closed(mut tcp: TcpStream) -> bool {
    match tcp.read(&mut [0; 1]) {
        Ok(size) => size == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

const PER_ADDRESS: &str = "sslserver: warning: ip connection limit of 2 exceeded for: ";

#[test]
fn maxconip_counts_each_address_for_itself() {
    let server = Setup::new().env("MAXCONIP", "2").start();
    let mut held = Vec::new();
    for number in 0..2 {
        for source in ["127.0.0.1", "127.0.0.2"] {
            held.push(admitted(&server, source).unwrap_or_else(|| panic!("{source} {number}")));
        }
    }
    for source in ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"] {
        assert!(admitted(&server, source).is_none(), "a third of {source}");
    }
    server
        .log
        .wait_for_nth(&format!("{PER_ADDRESS}127.0.0.1"), 2);
    server
        .log
        .wait_for_nth(&format!("{PER_ADDRESS}127.0.0.2"), 2);
    held.iter_mut().for_each(Client::assert_echoes);

    // One of the first address goes: its place is free for that address, not for the other.
    drop(held.remove(0));
    server.log.wait_for("sslserver: ended by *");
    server.log.wait_for("sslserver: status: 3/*");
    assert!(admitted(&server, "127.0.0.2").is_none());
    held.push(admitted(&server, "127.0.0.1").expect("a place was free"));
    held.push(admitted(&server, "127.0.0.3").expect("a third address"));
    drop(held);
    server.wait_until_idle();
}

#[test]
fn maxconip_counts_from_accept_on_without_any_handshake() {
    let server = Setup::new().env("MAXCONIP", "2").start();
    let silent: Vec<TcpStream> = (0..2).map(|_| server.dial().tcp()).collect();
    let third = server.dial().tcp();
    server.log.wait_for(&format!("{PER_ADDRESS}127.0.0.1"));
    assert!(is_closed(third));
    assert!(admitted(&server, "127.0.0.2").is_some());
    drop(silent);
    server.wait_until_idle();
    assert!(admitted(&server, "127.0.0.1").is_some());
}

#[test]
fn c_makes_further_connections_wait_until_one_ends() {
    let server = Setup::new().options(&["-c", "2"]).start();
    let mut held = vec![
        admitted(&server, "127.0.0.1").expect("1"),
        admitted(&server, "127.0.0.1").expect("2"),
    ];
    server.log.wait_for("sslserver: status: 2/2/2");
    std::thread::scope(|scope| {
        let third = scope.spawn(|| admitted(&server, "127.0.0.1").expect("3"));
        held.iter_mut().for_each(Client::assert_echoes);
        drop(held.pop());
        server.log.wait_for_nth("sslserver: ok *", 3);
        drop(third.join().expect("no panic"));
    });
    let order: Vec<String> = server
        .log
        .lines()
        .iter()
        .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
        .collect();
    let third = order
        .iter()
        .enumerate()
        .filter(|(_, word)| *word == "ok")
        .nth(2)
        .expect("a third")
        .0;
    let ended = order
        .iter()
        .position(|word| word == "ended")
        .expect("an end");
    assert!(ended < third, "{:?}", server.log.lines());
    assert_eq!(server.log.count("sslserver: status: 3/*"), 0);
    drop(held);
    server.wait_until_idle();
}

#[test]
fn forty_silent_clients_do_not_keep_the_next_from_being_served() {
    let server = Setup::new().start();
    let silent: Vec<TcpStream> = (0..40).map(|_| server.dial().tcp()).collect();
    server.wait_for_sessions(40);
    let mut served: Vec<Client> = (0..5)
        .map(|_| admitted(&server, "127.0.0.1").expect("served"))
        .collect();
    served.iter_mut().for_each(Client::assert_echoes);
    drop((silent, served));
    server.wait_until_idle();
}

#[test]
fn an_unfinished_handshake_ends_at_capital_t() {
    let server = Setup::new().options(&["-T", "1"]).start();
    let silent = server.dial().tcp();
    let slow = server.dial().tcp();
    std::io::Write::write_all(&mut &slow, &[22, 3, 1, 2, 0, 1]).expect("sending");
    assert!(is_closed(silent));
    assert!(is_closed(slow));
    let line = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: * timed out";
    server.log.wait_for_nth(line, 2);
    server.wait_until_idle();
    assert_eq!(server.log.count("sslserver: ok *"), 0);
}

/// The pid that the application says it has; pids are given out in order in a namespace of the server's own.
fn pid(server: &Server) -> i32 {
    server
        .dial()
        .from("127.0.0.2")
        .connect()
        .text()
        .trim()
        .parse()
        .expect("a pid")
}

#[test]
fn a_client_denied_by_y_causes_no_fork() {
    if without_root("a_client_denied_by_y_causes_no_fork") {
        return;
    }
    let setup = Setup::new()
        .rules("-y", "127.0.0.1:deny\n:allow\n")
        .shell("echo $$");
    let server = setup
        .prefix(&["unshare", "--pid", "--fork", "--kill-child"])
        .start();
    let (first, second) = (pid(&server), pid(&server));
    for _ in 0..50 {
        assert!(is_closed(server.dial().tcp()));
    }
    let third = pid(&server);
    assert!(second > first);
    assert_eq!(
        third - second,
        second - first,
        "pids went to denied clients"
    );
    server.wait_until_idle();
}

#[test]
fn ten_thousand_denied_clients_leave_a_log_that_accounts_for_each_and_can_be_read() {
    let server = Setup::new().rules("-y", "127.0.0.1:deny\n").start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2500).for_each(|_| assert!(is_closed(server.dial().tcp()))));
        }
    });
    let summary =
        "sslserver: warning: * more connections denied within 10 seconds, the last from 127.0.0.1";
    let accounted = || {
        let summed = server.log.matching(summary);
        let numbers = summed
            .iter()
            .filter_map(|line| line.split(' ').nth(2)?.parse::<usize>().ok());
        server.log.count("sslserver: deny *") + numbers.sum::<usize>()
    };
    eventually("every denied client in the log", || {
        (accounted() == 10_000).then_some(())
    });
    let spells = server.log.count(summary);
    let whole = server.log.count("sslserver: deny *");
    assert!(spells >= 1 && whole >= 20, "{spells} {whole}");
    assert!(
        whole <= 20 * (spells + 1),
        "{whole} lines beside {spells} summaries"
    );
    assert!(admitted(&server, "127.0.0.2").is_some());
    server.wait_until_idle();
}

/// Holds more connections than the server can serve with what it has, and sees that it says so once, rests, and
/// recovers.
fn runs_out(setup: Setup, prlimit: &str, line: &str, again: &str) {
    let setup = setup.options(&["-c", "200", "-b", "200", "-T", "600"]);
    let server = setup.prefix(&["prlimit", prlimit]).start();
    for spell in 1..=2 {
        let silent: Vec<TcpStream> = (0..100).map(|_| server.dial().tcp()).collect();
        server.log.wait_for_nth(line, spell);
        let used = || server.ticks();
        let before = used();
        std::thread::sleep(Duration::from_secs(2));
        let spent = used() - before;
        assert!(
            spent < 60,
            "{spent} ticks in 200 while there is nothing to do"
        );

        drop(silent);
        let mut client = admitted(&server, "127.0.0.1").expect("a recovery");
        let (echo, _) = client.exchange(&pattern(100_000), Ending::CloseNotify);
        assert!(echo == pattern(100_000));
        server.wait_until_idle();
        server.log.wait_for_nth(again, spell);
        let said = [line, again].map(|line| server.log.count(line));
        assert_eq!(said, [spell; 2], "{}", server.log.lines().join("\n"));
    }
    server.stop();
}

#[test]
fn running_out_of_descriptors_is_said_once_and_passes() {
    let line = "sslserver: warning: unable to accept more connections: *";
    runs_out(
        Setup::new(),
        "--nofile=40",
        line,
        "sslserver: info: accepting connections again",
    );
}

#[test]
fn running_out_of_processes_is_said_once_and_passes() {
    let test = "running_out_of_processes_is_said_once_and_passes";
    if without_root(test) || without_own_processes(test) {
        return;
    }
    // The limit counts the processes of a user, so this one is the test's own.
    let setup = Setup::new().env("SSL_UID", "61017").env("SSL_GID", "61018");
    runs_out(
        setup,
        "--nproc=12",
        "sslserver: warning: unable to make more sessions: *",
        "sslserver: info: making sessions again",
    );
}

#[test]
fn an_application_that_cannot_be_started_waits_for_a_process_and_is_served() {
    if without_root("an_application_that_cannot_be_started_waits_for_a_process_and_is_served") {
        return;
    }
    let setup = Setup::new().options(&["-u", "61019", "-g", "61020"]);
    let setup = setup.env("SSL_UID", "61021").env("SSL_GID", "61022");
    let server = setup.prefix(&["prlimit", "--nproc=10"]).start();
    let mut others: Vec<Child> = (0..12)
        .map(|_| {
            Command::new("sleep")
                .arg("600")
                .uid(61019)
                .gid(61020)
                .spawn()
                .expect("sleep")
        })
        .collect();
    let line = "sslserver: warning: unable to start more applications: *";
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    server.log.wait_for(line);
    assert_eq!(
        server.log.count("sslserver: ok *"),
        0,
        "{:?}",
        server.log.lines()
    );
    for other in &mut others {
        other.kill().expect("an own child");
        other.wait().expect("an own child");
    }
    clients.iter_mut().for_each(Client::assert_echoes);
    drop(clients);
    server.wait_until_idle();
    assert_eq!(server.log.count(line), 1, "{:?}", server.log.lines());
    server.stop();
}
