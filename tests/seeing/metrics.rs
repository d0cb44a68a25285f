//! The socket of METRICS.

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::common::{Ending, LIMIT, Server, Setup, TempDir, eventually, run};

fn telling() -> Setup {
    let setup = Setup::new();
    let path = setup.dir.text("metrics");
    setup.env("METRICS", &path)
}

fn asked(server: &Server) -> String {
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "-f", "--unix-socket"]);
    command
        .arg(server.dir.join("metrics"))
        .arg("http://localhost/metrics");
    let outcome = run(command, b"", LIMIT);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    outcome.text()
}

fn is_told(server: &Server, line: &str) {
    eventually(line, || {
        asked(server).lines().any(|told| told == line).then_some(())
    });
}

#[test]
fn curl_reads_the_counters_from_the_socket() {
    let server = telling().rules("-x", "127.0.0.2:deny\n:allow\n").start();
    let text = asked(&server);
    for line in [
        "# TYPE sslserver_connections_accepted_total counter",
        "sslserver_connections_accepted_total 0",
        "sslserver_connections{state=\"running\"} 0",
        "sslserver_reloads_total{result=\"taken\"} 0",
        "sslserver_reloads_total{result=\"refused\"} 0",
        "sslserver_memory_bytes{role=\"lookup\"} 0",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
    let mut client = server.connect();
    client.assert_echoes();
    is_told(&server, "sslserver_connections{state=\"running\"} 1");
    client.exchange(b"", Ending::CloseNotify);
    let _ = server.dial().from("127.0.0.2").tcp().read(&mut [0; 1]);
    let _ = server.dial().tcp().write_all(b"GET / HTTP/1.0\r\n\r\n");
    for line in [
        "sslserver_connections{state=\"running\"} 0",
        "sslserver_connections_accepted_total 3",
        "sslserver_connections_denied_total{reason=\"rules\"} 1",
        "sslserver_handshakes_total{version=\"TLSv1.3\"} 1",
        "sslserver_handshakes_resumed_total 0",
        "sslserver_handshakes_failed_total{reason=\"not_tls\"} 1",
        "sslserver_applications_started_total 1",
        "sslserver_received_bytes_total 13",
        "sslserver_sent_bytes_total 13",
    ] {
        is_told(&server, line);
    }
}

#[test]
fn the_text_is_what_prometheus_expects() {
    let server = telling().start();
    let text = asked(&server);
    let mut described = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, _) = rest.split_once(' ').expect("a type");
            assert!(!described.contains(&name), "{name} is described twice");
            described.push(name);
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let (name, _) = name.split_once('{').unwrap_or((name, ""));
            assert_eq!(described.last(), Some(&name), "{line}");
            assert!(value.parse::<u64>().is_ok(), "{line}");
        }
    }
    assert!(described.len() > 9, "{described:?}");
    assert!(text.ends_with('\n'));
}

#[test]
fn readers_that_do_not_read_hinder_nobody() {
    let server = telling().start();
    let path = server.dir.join("metrics");
    let silent: Vec<UnixStream> = (0..17)
        .map(|_| UnixStream::connect(&path).expect("room in the queue"))
        .collect();
    let mut client = server.connect();
    client.assert_echoes();
    // They are forgotten after a while, and the next one is answered.
    asked(&server);
    client.assert_echoes();
    drop(silent);
}

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_the_server() {
    let server = telling().start();
    let path = server.dir.join("metrics");
    let file = path.symlink_metadata().expect("the socket");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    server.role("sslserver").send(Signal::SIGTERM);
    eventually("the end of the socket", || (!path.exists()).then_some(()));
}

#[test]
fn a_socket_that_a_killed_server_left_is_replaced() {
    let directory = TempDir::new();
    let path = directory.join("metrics");
    let path = path.to_str().expect("text");
    let server = Setup::new().env("METRICS", path).start();
    server.role("sslserver").send(Signal::SIGKILL);
    drop(server);
    assert!(Path::new(path).exists());
    let server = Setup::new().env("METRICS", path).start();
    UnixStream::connect(path).expect("somebody listens");
    drop(server);
}

#[test]
fn a_path_that_cannot_be_is_fatal_and_named() {
    let directory = TempDir::new();
    directory.write("file", "text");
    let others = directory.join("others");
    let _listening = UnixListener::bind(&others).expect("a socket");
    for (path, reason) in [
        (directory.join("no/metrics"), "No such file or directory"),
        (
            directory.join("file"),
            "there is something else of that name",
        ),
        (others, "another process is listening on it"),
    ] {
        let path = path.to_str().expect("text");
        let outcome = Setup::new().env("METRICS", path).run();
        assert_eq!(outcome.code(), 111, "{outcome:?}");
        let line =
            format!("sslserver: fatal: (111) unable to listen on metrics socket {path}: {reason}");
        assert!(
            outcome.stderr.ends_with(&format!("{line}\n")),
            "{outcome:?}"
        );
    }
}

#[test]
fn the_application_does_not_hear_of_the_socket() {
    let server = telling().program(&["env"]).start();
    assert!(!server.reply().contains("METRICS"));
}
