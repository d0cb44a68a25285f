//! Limits of number and time, and what happens when something runs out.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, eventually, run};
use crate::router::{Backend, Client, Setup, alert, hello};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::time::Instant;

/// True if the router has not even accepted it: nothing is heard although a hello is sent that will be refused.
fn is_waiting(client: &Client) -> bool {
    client.0.set_nonblocking(true).unwrap();
    let heard = client.0.peek(&mut [0]).is_ok();
    client.0.set_nonblocking(false).unwrap();
    !heard
}

#[test]
fn beyond_the_limit_clients_wait_until_there_is_room() {
    let router = Setup::new().options(&["-c", "2"]).start();
    let first = router.client();
    let second = router.client();
    let mut third = router.saying(&hello("nobody.example"));
    router
        .log
        .wait_for("sniproxy: accepting pauses at 2 connections: no room for more connections");
    assert!(is_waiting(&third));
    drop(first);
    assert_eq!(third.rest(), alert(112));
    drop((second, third));
    router.stop(&["sniproxy: accepting pauses at 2 connections: no room for more connections"]);
}

#[test]
fn each_address_has_its_own_limit() {
    let router = Setup::new().options(&["-v", "-p", "2"]).start();
    let first = router.client();
    let _second = router.client();
    assert_eq!(
        router
            .saying(&hello("nobody.example"))
            .0
            .peek(&mut [0])
            .unwrap_or(0),
        0
    );
    router
        .log
        .wait_for("sniproxy: 127.0.0.1:* - 0 0 0.* too many from its address");
    let mut other = from("127.0.0.2", router.address);
    other.send(&hello("nobody.example"));
    assert_eq!(other.rest(), alert(112));
    drop(first);
    eventually("room for the address", || {
        let mut client = router.saying(&hello("nobody.example"));
        let mut heard = Vec::new();
        let _ = std::io::Read::read_to_end(&mut client.0, &mut heard);
        (heard == alert(112)).then_some(())
    });
}

fn from(source: &str, to: std::net::SocketAddr) -> Client {
    let fd = socket::socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::empty(),
        None,
    )
    .unwrap();
    let source: std::net::SocketAddr = format!("{source}:0").parse().unwrap();
    socket::bind(fd.as_raw_fd(), &socket::SockaddrStorage::from(source)).unwrap();
    socket::connect(fd.as_raw_fd(), &socket::SockaddrStorage::from(to)).unwrap();
    Client(TcpStream::from(fd)).patient()
}

const PAUSE: &str = "sniproxy: accepting pauses at * connections: *";

#[test]
fn a_lack_of_descriptors_is_one_line_and_a_pause() {
    let router = Setup::new().under(&["prlimit", "--nofile=30:30"]).start();
    let backend = router.backend("a.example");
    let clients: Vec<Client> = (0..30)
        .map(|_| router.saying(&hello("a.example")))
        .collect();
    let mut servers = Vec::new();
    router.log.wait_for(PAUSE);
    for _ in 0..8 {
        servers.push(backend.accept());
    }
    assert!(backend.is_idle());
    // The first go, the others come, and nobody is refused.
    drop(servers);
    for (index, mut client) in clients.into_iter().enumerate() {
        if index >= 8 {
            drop(backend.accept());
        }
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(router.log.count(PAUSE), 1);
}

#[test]
fn a_lack_that_nobody_foresaw_is_survived() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let limit = |limit: &str| {
        let mut command = Command::new("prlimit");
        let pid = router.pid().to_string();
        command.args(["--pid", &pid, &format!("--nofile={limit}:1024")]);
        assert_eq!(run(command, b"", LIMIT).code(), 0);
    };
    let mut before = router.saying(&hello("a.example"));
    let mut server = backend.accept();
    limit("5");
    let mut client = router.saying(&hello("a.example"));
    router
        .log
        .wait_for("sniproxy: accepting pauses at 1 connections: Too many open files");
    // Who was there does not notice.
    server.send(b"still here");
    assert_eq!(before.read(10), b"still here");
    limit("1024");
    let mut server = backend.accept();
    server.send(b"at last");
    assert_eq!(client.read(7), b"at last");
    assert_eq!(router.log.count(PAUSE), 1);
}

#[test]
fn an_idle_connection_ends_when_a_time_is_set_and_a_busy_one_does_not() {
    let router = Setup::new().options(&["-v", "-w", "1"]).start();
    let backend = router.backend("a.example");
    let mut busy = router.saying(&hello("a.example"));
    let mut busy_server = backend.accept();
    let start = Instant::now();
    let mut idle = router.saying(&hello("a.example"));
    let mut idle_server = backend.accept();
    idle_server.read(hello("a.example").len());
    let handle = std::thread::spawn(move || {
        let heard = idle.rest();
        (heard, idle_server.rest(), start.elapsed())
    });
    while !handle.is_finished() {
        busy_server.send(b"x");
        assert_eq!(busy.read(1), b"x");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (heard, server_heard, elapsed) = handle.join().unwrap();
    assert_eq!((heard, server_heard), (vec![], vec![]));
    assert!(elapsed.as_millis() >= 1000, "{elapsed:?}");
    router.log.wait_for("sniproxy: * a.example * 0 * idle");
}

/// A backend that nobody accepts at, its queue filled.
fn full(directory: &std::path::Path) -> (OwnedFd, Vec<OwnedFd>) {
    std::fs::create_dir(directory).unwrap();
    let address = UnixAddr::new(&directory.join("tls-socket")).unwrap();
    let new = |flags| socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
    let listener = new(SockFlag::empty());
    socket::bind(listener.as_raw_fd(), &address).unwrap();
    socket::listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let mut queued = Vec::new();
    loop {
        let stream = new(SockFlag::SOCK_NONBLOCK);
        match socket::connect(stream.as_raw_fd(), &address) {
            Ok(()) => queued.push(stream),
            Err(nix::errno::Errno::EAGAIN) => return (listener, queued),
            Err(errno) => panic!("{errno}"),
        }
    }
}

#[test]
fn a_full_backend_is_waited_for_a_moment() {
    let router = Setup::new().start();
    let (listener, queued) = full(&router.hosts.join("a.example"));
    let mut client = router.saying(&hello("a.example"));
    // Who comes later is served meanwhile; the first has found the queue full by then.
    assert_eq!(router.saying(&hello("nobody.example")).rest(), alert(112));
    let backend = Backend::at(router.hosts.join("a.example"), listener.into());
    for _ in queued {
        drop(backend.accept());
    }
    let mut server = backend.accept();
    server.send(b"at last");
    assert_eq!(client.read(7), b"at last");
    drop((client, server));
    router.stop(&[]);
}

#[test]
fn a_backend_that_stays_full_is_an_internal_error() {
    let router = Setup::new().options(&["-v"]).start();
    let _full = full(&router.hosts.join("a.example"));
    let start = Instant::now();
    assert_eq!(router.saying(&hello("a.example")).rest(), alert(80));
    assert!(start.elapsed().as_millis() >= 1000);
    router
        .log
        .wait_for("sniproxy: * a.example 0 0 1.* backend's queue full");
}
