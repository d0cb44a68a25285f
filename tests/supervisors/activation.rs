//! LISTEN_FDS, as sd_listen_fds(3) has it: the socket belongs to whoever starts the server.
#![forbid(unsafe_code)]

use crate::common::{Dial, Program, Setup, TempDir};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket, sockopt};
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

/// What stands in for systemd: it moves its input to descriptor 3 and says so.
fn passing(setup: Setup, socket: impl Into<OwnedFd>, count: &str) -> Setup {
    let script = format!(
        "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS={count}; export LISTEN_PID LISTEN_FDS; exec \"$@\""
    );
    setup.input(socket).prefix(&["sh", "-c", &script, "sh"])
}

fn copy(listener: &TcpListener) -> TcpListener {
    listener.try_clone().expect("a copy")
}

#[test]
fn a_socket_that_is_passed_is_served_and_host_and_port_are_not_looked_at() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).expect("a port");
        let local = listener.local_addr().expect("bound");
        let setup = Setup::new().host("nowhere.invalid").port("no-such-service");
        let server = passing(setup, listener, "1").start();
        assert_eq!(
            server.ready,
            format!("{} : {} [40/40]", local.ip(), local.port())
        );
        server.connect().assert_echoes();
        server.wait_until_idle();
        server.stop();
    }
}

#[test]
fn clients_wait_in_the_socket_while_one_server_ends_and_another_begins() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let local = listener.local_addr().expect("bound");
    let first = passing(Setup::new(), copy(&listener), "1").start();
    first.connect().assert_echoes();
    first.wait_until_idle();
    first.stop();
    let waiting = Dial::to(local).tcp();
    let second = passing(Setup::new(), listener, "1").start();
    Dial::to(local).over(waiting).assert_echoes();
    second.stop();
}

#[test]
fn connections_of_a_socket_that_is_passed_are_without_delay_unless_d_is_given() {
    for (option, without) in [("-D", true), ("-d", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let setup = Setup::new().options(&[option]);
        let server = passing(setup, copy(&listener), "1").start();
        assert_eq!(getsockopt(&listener, sockopt::TcpNoDelay), Ok(without));
        server.stop();
    }
}

#[test]
fn a_socket_for_another_process_is_not_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let passed = listener.local_addr().expect("bound");
    let script = "exec 3<&0; LISTEN_PID=1 LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec \"$@\"";
    let setup = Setup::new().input(listener);
    let server = setup.prefix(&["sh", "-c", script, "sh"]).start();
    assert_ne!(server.address, passed);
    server.connect().assert_echoes();
    server.stop();
}

#[test]
fn what_is_no_listening_tcp_socket_ends_the_start_with_one_line() {
    let dir = TempDir::new();
    let unix = UnixListener::bind(dir.join("s")).expect("a socket");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (family, kind) = (AddressFamily::Inet, SockType::Stream);
    let deaf = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    let file = File::open(dir.path()).expect("a directory");
    let tcp = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let copies = "one socket is served, start a copy of the program for each";
    for (input, count, line) in [
        (
            file.into(),
            "1",
            "descriptor 3: no socket, a listening TCP socket is wanted",
        ),
        (OwnedFd::from(unix), "1", "descriptor 3: no TCP socket"),
        (udp.into(), "1", "descriptor 3: no TCP socket"),
        (deaf, "1", "descriptor 3: the socket does not listen"),
        (tcp().into(), "2", &format!("LISTEN_FDS=2: {copies}")),
        (tcp().into(), "one", &format!("LISTEN_FDS=one: {copies}")),
    ] {
        let setup = passing(Setup::new(), input, count);
        let mut program = Program::start("sslserver", setup.command());
        assert_eq!(program.wait().code(), Some(111));
        let line = format!("sslserver: fatal: (111) {line}");
        assert_eq!(program.log.wait_for_end(), [line]);
    }
}

#[test]
fn the_password_cannot_come_from_where_the_socket_is() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let setup = passing(Setup::new().options(&["-3"]), listener, "1");
    let mut program = Program::start("sslserver", setup.command());
    assert_eq!(program.wait().code(), Some(111));
    let line = "sslserver: fatal: (111) descriptor 3 cannot be for -3 and for LISTEN_FDS";
    assert_eq!(program.log.wait_for_end(), [line]);
}
