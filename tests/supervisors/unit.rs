//! The sample units for systemd: systemd understands them, and their very command serves, with their environment and
//! no more capabilities than they leave it.
#![forbid(unsafe_code)]

use crate::common::peers::s_client_to;
use crate::common::{Dial, End, Ending, LIMIT, Program, TempDir, run};
use crate::manager::Manager;
use crate::service::{KEY_USER, PAGE, REQUEST, assert_deserted, directory, sample, without};
use nix::sys::signal::Signal;
use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Command;

const SERVER: &str = env!("CARGO_BIN_EXE_sslserver");

fn text(name: &str) -> String {
    fs::read_to_string(sample(name)).expect(name)
}

/// A sample with other words for those that are bound to a machine, all of which have to be there.
fn with(text: String, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "no {from} in {text}");
        text.replace(from, to)
    })
}

/// The words behind every `KEY=` of a unit.
fn words<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let values = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.flat_map(str::split_whitespace).collect()
}

#[test]
fn systemd_understands_the_units() {
    if without("systemd_understands_the_units", &["systemd-analyze"]) {
        return;
    }
    let dir = TempDir::new();
    // It looks for the program and asks man(1) for the pages.
    let changes = [
        ("/usr/local/bin/sslserver", SERVER),
        ("Documentation=", "#"),
    ];
    let service = with(text("sslserver.service"), &changes);
    let mut command = Command::new("systemd-analyze");
    command
        .arg("verify")
        .arg(dir.write("sslserver.service", service))
        .arg(dir.write("sslserver.socket", text("sslserver.socket")));
    let outcome = run(command, b"", LIMIT);
    let verdict = (outcome.code(), outcome.stderr.as_str());
    assert_eq!(verdict, (0, ""), "{outcome:?}");
}

/// A unit of which everything is in the directory.
fn local(dir: &TempDir) -> String {
    let changes = [
        ("/usr/local/bin/sslserver", SERVER),
        ("/etc/sslserver/", &dir.text("")),
        ("/var/www/html", &dir.text("")),
        ("SSL_USER=sslkeys", &format!("SSL_USER={KEY_USER}")),
    ];
    with(text("sslserver.service"), &changes)
}

/// Adds one of the unit's command lines, to be run as systemd does.
fn as_of(unit: &str, line: &[&str], mut command: Command) -> Command {
    let capabilities = words(unit, "CapabilityBoundingSet")
        .iter()
        .map(|word| word.replace("CAP_", ",+").to_lowercase())
        .collect::<String>();
    command
        .args(["setpriv", "--no-new-privs"])
        .arg(format!("--bounding-set=-all{capabilities}"))
        .args(line)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    for variable in words(unit, "Environment") {
        let (name, value) = variable.split_once('=').expect("NAME=VALUE");
        command.env(name, value);
    }
    command
}

/// The service as systemd would start it, with a socket of the test's.
fn start(dir: &TempDir, manager: &Manager, socket: TcpListener) -> Program {
    let unit = local(dir);
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]);
    let mut command = as_of(&unit, &words(&unit, "ExecStart"), shell);
    command
        .env("NOTIFY_SOCKET", &manager.name)
        .current_dir(dir.path())
        .stdin(OwnedFd::from(socket));
    Program::start("sslserver", command)
}

#[test]
fn a_reload_begins_with_a_check_of_the_very_command() {
    let test = "a_reload_begins_with_a_check_of_the_very_command";
    if without(test, &["setpriv", "busybox"]) {
        return;
    }
    let dir = directory();
    let unit = local(&dir);
    let mut expected = words(&unit, "ExecStart");
    expected.insert(1, "-C");
    let reload = words(&unit, "ExecReload");
    assert_eq!(
        reload,
        [&expected[..], &["/bin/kill", "-HUP", "$MAINPID"]].concat()
    );
    let check = || run(as_of(&unit, &expected, Command::new("env")), b"", LIMIT);
    let fine = check();
    assert_eq!(fine.code(), 0, "{fine:?}");
    dir.write("keys/cert.pem", "no certificate");
    let bad = check();
    assert_eq!(bad.code(), 111, "{bad:?}");
}

#[test]
fn the_command_of_the_unit_serves_tells_and_ends_as_the_unit_expects() {
    let test = "the_command_of_the_unit_serves_tells_and_ends_as_the_unit_expects";
    if without(test, &["setpriv", "busybox"]) {
        return;
    }
    let (dir, manager) = (directory(), Manager::new());
    let listener = TcpListener::bind("[::]:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let copy = listener.try_clone().expect("a copy");
    let mut server = start(&dir, &manager, copy);
    assert_eq!(manager.told()[0], "READY=1");
    for address in ["127.0.0.1", "[::1]"] {
        let address = format!("{address}:{port}").parse().expect("an address");
        let outcome = s_client_to(&dir, address, &["-quiet"], &format!("{REQUEST}\r\n"));
        assert!(outcome.text().contains(PAGE), "{outcome:?}");
    }
    server.log.wait_for("sslserver: ok * :127.0.0.1::*");
    let address = format!("127.0.0.1:{port}").parse().expect("an address");
    let mut client = Dial::to(address).connect();
    client.send(REQUEST.as_bytes());
    server.log.wait_for_nth("sslserver: ok *", 3);
    server.signal(Signal::SIGTERM);
    assert_eq!(
        manager.told(),
        ["STOPPING=1", "STATUS=ending, 1 connections left"]
    );
    server
        .log
        .wait_for("sslserver: info: SIGTERM: 1 connections have 60 seconds to end");
    // systemd still has the socket.
    let waiting = Dial::to(address).tcp();
    server.signal(Signal::SIGTERM);
    // The application is another user's, and within reach of the server all the same.
    let (_, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!(end, End::Clean);
    drop(client);
    assert_eq!(server.wait().code(), Some(0), "{:?}", server.log.lines());
    server.log.wait_for("sslserver: ended by * status 15");
    server.assert_nothing_left();
    assert_deserted(dir.path());
    let mut next = start(&dir, &manager, listener);
    assert_eq!(manager.told()[0], "READY=1");
    let mut client = Dial::to(address).over(waiting);
    client.send(format!("{REQUEST}\r\n").as_bytes());
    assert!(client.text().contains(PAGE));
    next.signal(Signal::SIGTERM);
    assert_eq!(next.wait().code(), Some(0));
}

#[test]
fn systemd_waits_longer_than_the_server_does() {
    let unit = text("sslserver.service");
    let number = |word: &str| word.parse::<u32>().expect("seconds");
    let environment = words(&unit, "Environment");
    let drain = environment
        .iter()
        .find_map(|word| word.strip_prefix("DRAIN="));
    // SIGTERM and SIGKILL come two seconds apart.
    assert!(number(words(&unit, "TimeoutStopSec")[0]) > number(drain.expect("DRAIN")) + 2);
    assert_eq!(words(&unit, "KillMode"), ["mixed"]);
    assert_eq!(words(&unit, "Type"), ["notify"]);
}
