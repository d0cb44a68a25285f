//! How it is started: with which socket, as whom, where, and with which words.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, Outcome, TempDir, run, tempdir::set_mode, without_root};
use crate::router::{ROUTER, Setup, hello};
use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

const USAGE: &str = "usage: sniproxy [ -v ] [ -c limit ] [ -p limit ] [ -T seconds ] [ -w seconds ] [ -D seconds ] [ --hashed ]";

fn outcome(command: &mut Command, input: impl Into<Stdio>) -> Outcome {
    let output = command.stdin(input).output().unwrap();
    Outcome {
        status: output.status,
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn what_is_no_listening_tcp_socket_is_refused_in_one_line() {
    let dir = TempDir::new();
    let unix = UnixListener::bind(dir.join("s")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::empty(),
        None,
    );
    for (input, why) in [
        (Stdio::null(), "no socket, a listening TCP socket is wanted"),
        (
            File::open(dir.path()).unwrap().into(),
            "no socket, a listening TCP socket is wanted",
        ),
        (OwnedFd::from(unix).into(), "no TCP socket"),
        (OwnedFd::from(udp).into(), "no TCP socket"),
        (tcp.unwrap().into(), "the socket does not listen"),
    ] {
        let outcome = outcome(&mut Command::new(ROUTER), input);
        assert_eq!(outcome.code(), 1, "{outcome:?}");
        assert_eq!(outcome.stderr, format!("sniproxy: descriptor 0: {why}\n"));
        assert_eq!(outcome.text(), "");
    }
}

#[test]
fn wrong_words_show_the_usage_and_end_with_100() {
    for words in [
        &["--help"][..],
        &["-x"],
        &["-c"],
        &["-c", "many"],
        &["example.com"],
    ] {
        let outcome = outcome(Command::new(ROUTER).args(words), Stdio::null());
        assert_eq!(outcome.code(), 100, "{outcome:?}");
        assert_eq!(outcome.lines().len(), 2, "{outcome:?}");
        assert_eq!(outcome.lines()[1], USAGE);
    }
}

#[test]
fn every_option_has_one_item_in_the_manual_and_no_other_has() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/sniproxy.8")).unwrap();
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Fl "));
    let words = items.map(|item| format!("-{}", item.replace(" Ar", "")));
    let listed: Vec<String> = words.map(|words| format!("[ {words} ]")).collect();
    assert_eq!(format!("usage: sniproxy {}", listed.join(" ")), USAGE);
}

#[test]
fn a_socket_passed_as_systemd_does_is_taken() {
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"";
    let router = Setup::new().under(&["sh", "-c", script]).start();
    let backend = router.backend("a.example");
    let _client = router.saying(&hello("a.example"));
    backend.accept();
    router.stop(&[]);
    // What was meant for another process is not for this one, and one socket is enough.
    let script = "exec 3<&0; LISTEN_PID=1 LISTEN_FDS=1 exec \"$0\"";
    Setup::new().under(&["sh", "-c", script]).start().stop(&[]);
    let script = "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\"";
    let outcome = run(
        Setup::new().under(&["sh", "-c", script]).command(),
        b"",
        LIMIT,
    );
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    let line =
        "sniproxy: LISTEN_FDS=2: one socket is served, start a copy of the program for each\n";
    assert_eq!(outcome.stderr, line);
}

#[test]
fn a_full_disk_or_a_closed_log_does_not_stop_it() {
    for script in ["exec \"$0\" -v 2>/dev/full", "exec \"$0\" -v 2>&-"] {
        let router = Setup::new().under(&["sh", "-c", script]).start();
        let backend = router.backend("a.example");
        for _ in 0..3 {
            let mut client = router.saying(&hello("a.example"));
            let mut server = backend.accept();
            server.send(b"here");
            drop(server);
            assert_eq!(client.rest(), b"here");
        }
    }
}

#[test]
fn each_connection_is_a_line_if_lines_are_wanted() {
    let router = Setup::new().options(&["-v"]).start();
    let backend = router.backend("a.example");
    let whole = hello("a.example");
    let mut client = router.saying(&whole);
    let port = client.0.local_addr().unwrap().port();
    let mut server = backend.accept();
    server.read(whole.len());
    server.send(b"four");
    drop(server);
    assert_eq!(client.rest(), b"four");
    drop(client);
    let length = whole.len();
    router.log.wait_for(&format!(
        "sniproxy: 127.0.0.1:{port} a.example {length} 4 0.* done"
    ));
    for (bytes, end) in [
        (
            hello("nobody.example"),
            "nobody.example 0 0 0.* no such host",
        ),
        (hello("a_b"), "- 0 0 0.* illegal server name"),
        (
            b"GET / HTTP/1.0\r\n\r\n".to_vec(),
            "- 0 0 0.* no ClientHello",
        ),
    ] {
        router.saying(&bytes).rest();
        router.log.wait_for(&format!("sniproxy: 127.0.0.1:* {end}"));
    }
}

/// Copies a program and the libraries that it is linked with, and nothing else.
fn furnish(root: &Path, program: &str) {
    let mut command = Command::new("ldd");
    command.arg(program);
    let libraries = run(command, b"", LIMIT).text();
    let paths = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for path in paths {
        let target = root.join(&path[1..]);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
    fs::copy(program, root.join("sniproxy")).unwrap();
}

#[test]
fn it_runs_as_nobody_in_an_empty_root_under_a_filter_of_system_calls() {
    if without_root("it_runs_as_nobody_in_an_empty_root_under_a_filter_of_system_calls") {
        return;
    }
    let mut setup = Setup::new();
    let root = setup.hosts.path().to_owned();
    set_mode(&root, 0o711);
    furnish(&root, ROUTER);
    let root = root.to_str().unwrap().to_owned();
    setup = setup.instead(&["chroot", "--userspec=65534:65534", &root, "/sniproxy"]);
    let router = setup.start();
    let backend = router.backend("a.example").file("send-proxy-v1");
    let mut client = router.saying(&hello("a.example"));
    let mut server = backend.accept();
    assert_eq!(server.read(11), b"PROXY TCP4 ");
    server.send(b"here");
    assert_eq!(client.read(4), b"here");
    let process = crate::common::Process::read(router.pid()).unwrap();
    assert_eq!(process.status("Uid"), "65534 65534 65534 65534");
    assert_eq!(process.status("Seccomp"), "2");
    assert_eq!(process.status("NoNewPrivs"), "1");
    assert_eq!(process.link("root"), Path::new(&root));
    drop((client, server));
    router.stop(&[]);
}
