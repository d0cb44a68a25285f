//! Nobody is waited for longer than the configuration says.
#![forbid(unsafe_code)]

use crate::common::{Backend, End, Ending, Plain, Running, Serving, Stud, without_root};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

fn start(backend: SocketAddr, config: &str) -> Running {
    let config = format!("log-level = 2\n{config}");
    Stud::to(backend).config(&config).start()
}

#[test]
fn a_client_that_does_not_finish_the_handshake_is_not_waited_for() {
    let backend = Backend::new();
    let stud = start(backend.address, "ssl-handshake-timeout = 1");
    let mut silent = stud.dial().plain();
    // The head of a handshake message that never comes to its end.
    let mut slow = stud.dial().plain();
    slow.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    silent.rest();
    slow.rest();
    let name = silent.tcp.local_addr().expect("connected");
    stud.log.wait_for(&format!("*{name}*handshake*"));
    backend.assert_untouched();
}

#[test]
fn a_client_that_always_has_another_byte_is_not_waited_for_either() {
    let backend = Backend::new();
    let stud = start(backend.address, "ssl-handshake-timeout = 1");
    let mut slow = stud.dial().plain();
    slow.send(b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc\x03\x03");
    let mut sent = 0;
    while slow.tcp.write_all(b"x").is_ok() {
        sent += 1;
        assert!(sent < 1000, "still waited for");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_connection_on_which_nothing_moves_ends_on_both_sides() {
    let backend = Backend::new();
    let stud = start(backend.address, "idle-timeout = 1");
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    client.send(b"once");
    assert_eq!(accepted.receive(4), b"once");
    assert_eq!(accepted.rest(), b"");
    assert_eq!(client.exchange(b"", Ending::Nothing).0, b"");
    stud.log.wait_for("*idle*");
}

#[test]
fn a_connection_on_which_something_moves_in_one_direction_goes_on() {
    let backend = Backend::new();
    let stud = start(backend.address, "idle-timeout = 1");
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    for turn in 0..12 {
        if turn % 2 == 0 {
            client.send(b"x");
            accepted.receive(1);
        } else {
            accepted.send(b"x");
            client.receive(1);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_client_that_keeps_its_side_open_after_the_backends_end_is_not_waited_for() {
    let backend = Serving::answering(b"bye");
    let stud = start(backend.address, "idle-timeout = 1");
    let mut client = stud.connect();
    assert_eq!(client.exchange(b"x", Ending::Nothing).0, b"bye");
    stud.log.wait_for(&format!("*{}*", client.local()));
}

/// A listener whose queue is full: the kernel does not answer those who want to connect.
struct Full {
    address: SocketAddr,
    _held: (TcpListener, Vec<TcpStream>),
}

fn full() -> Full {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
    let any = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    socket::bind(fd.as_raw_fd(), &any).expect("bind");
    socket::listen(&fd, Backlog::new(0).expect("a number")).expect("listen");
    let listener = TcpListener::from(fd);
    let address = listener.local_addr().expect("bound");
    let mut queued = Vec::new();
    while let Ok(tcp) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(tcp);
        assert!(queued.len() < 10, "the queue does not fill");
    }
    Full {
        address,
        _held: (listener, queued),
    }
}

#[test]
fn a_backend_that_does_not_answer_is_not_waited_for_and_said() {
    let full = full();
    let stud = start(full.address, "backend-connect-timeout = 1");
    let (words, _) = stud.connect().exchange(b"hello", Ending::Nothing);
    assert_eq!(words, b"");
    let port = full.address.port();
    stud.log
        .wait_for(&format!("*backend [127.0.0.1]:{port}: *timed out*"));
}

#[test]
fn a_client_that_breaks_off_before_the_backend_answers_leaves_nothing_behind() {
    if without_root("a_client_that_breaks_off_before_the_backend_answers_leaves_nothing_behind") {
        return;
    }
    let full = full();
    let stud = start(full.address, "backend-connect-timeout = 60");
    let worker = stud.role("ssl-worker");
    let open = || {
        let folder = format!("/proc/{}/fd", worker.pid);
        std::fs::read_dir(folder).expect("its descriptors").count()
    };
    let before = open();
    for client in (0..5).map(|_| stud.connect()) {
        Plain::accepted(client.tcp()).reset();
    }
    crate::common::eventually("descriptors given back", || {
        (open() == before).then_some(())
    });
}

#[test]
fn backends_that_refuse_are_said_and_the_client_hears_the_end_of_tls() {
    let gone = Backend::new().address;
    let stud = start(gone, "");
    let mut client = stud.connect();
    let (words, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!((words.as_slice(), end), (&b""[..], End::Clean));
    let port = gone.port();
    stud.log
        .wait_for(&format!("*backend [127.0.0.1]:{port}: *refused*"));
}
