//! What is routed arrives whole, whoever stops, ends or breaks off first.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, Process, eventually, pattern};
use crate::router::{Backend, Client, Router, Server, Setup, hello};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::thread;

/// A client and its backend, the hello over.
fn joined(router: &Router, backend: &Backend) -> (Client, Server) {
    let whole = hello("a.example");
    let client = router.saying(&whole);
    let mut server = backend.accept();
    server.read(whole.len());
    (client, server)
}

#[test]
fn large_amounts_arrive_whole_both_ways_at_once() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let (mut client, mut server) = joined(&router, &backend);
    let bytes = pattern(30_000_000);
    thread::scope(|scope| {
        let mut up = client.0.try_clone().unwrap();
        let mut down = server.0.try_clone().unwrap();
        let bytes = &bytes[..];
        scope.spawn(move || {
            up.write_all(bytes).unwrap();
            up.shutdown(Shutdown::Write).unwrap();
        });
        scope.spawn(move || {
            down.write_all(bytes).unwrap();
            down.shutdown(Shutdown::Write).unwrap();
        });
        let up = scope.spawn(move || server.rest() == bytes);
        assert!(client.rest() == bytes, "bytes were changed");
        assert!(up.join().unwrap(), "bytes were changed");
    });
    router.stop(&[]);
}

#[test]
fn half_closes_are_held_as_long_as_the_other_side_likes() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let (mut client, mut server) = joined(&router, &backend);
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.rest(), b"");
    let (mut other, mut other_server) = joined(&router, &backend);
    other_server.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(other.rest(), b"");
    // Longer than a client's end is waited for where nothing else is missing.
    thread::sleep(std::time::Duration::from_secs(4));
    server.send(b"late answer");
    drop(server);
    assert_eq!(client.rest(), b"late answer");
    other.send(b"late question");
    drop(other);
    assert_eq!(other_server.rest(), b"late question");
    router.stop(&[]);
}

#[test]
fn a_backend_that_is_gone_does_not_leave_its_client_hanging() {
    let router = Setup::new().options(&["-v"]).start();
    let backend = router.backend("a.example");
    let (mut client, mut server) = joined(&router, &backend);
    server.send(b"bye");
    drop(server);
    assert_eq!(client.rest(), b"bye");
    // The client says nothing more and does not close either.
    router.log.wait_for("sniproxy: * a.example * 3 * done");
}

#[test]
fn resets_end_the_other_side_and_what_came_before_is_delivered() {
    let router = Setup::new().options(&["-v"]).start();
    let backend = router.backend("a.example");
    let (mut client, mut server) = joined(&router, &backend);
    client.send(b"last words");
    assert_eq!(server.read(4), b"last");
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&client.0, sockopt::Linger, &linger).unwrap();
    drop(client);
    assert_eq!(server.rest(), b" words");
    router.log.wait_for("sniproxy: * a.example * client reset");
    let broken = eventually("a broken pipe", || server.0.write_all(b"x").err());
    assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
    // A backend that closes with unread bytes resets too.
    let (mut client, mut server) = joined(&router, &backend);
    client.send(b"never read");
    eventually("the bytes", || (peeked(&server) == 10).then_some(()));
    server.send(b"bye");
    drop(server);
    assert_eq!(client.rest(), b"bye");
}

fn peeked(server: &Server) -> usize {
    let mut bytes = [0; 100];
    let flags = nix::sys::socket::MsgFlags::MSG_PEEK;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&server.0);
    nix::sys::socket::recv(fd, &mut bytes, flags).unwrap()
}

/// Writes until nothing has been taken for a while, and answers how much was.
fn fill(mut stream: impl Write, set_limit: impl Fn()) -> usize {
    set_limit();
    let (chunk, mut total) = (vec![0; 65536], 0);
    loop {
        match stream.write(&chunk) {
            Ok(count) => total += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return total,
            Err(error) => panic!("{error}"),
        }
        assert!(total < 100_000_000, "nothing stops it");
    }
}

#[test]
fn a_stalled_reader_stops_its_writer_and_nothing_grows() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let (mut client, server) = joined(&router, &backend);
    let (other, other_server) = joined(&router, &backend);
    let memory = || {
        let text = Process::read(router.pid()).unwrap().status("VmRSS");
        text.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let before = memory();
    let short = Some(std::time::Duration::from_millis(500));
    let up = fill(&client.0, || client.0.set_write_timeout(short).unwrap());
    let down = fill(&other_server.0, || {
        other_server.0.set_write_timeout(short).unwrap()
    });
    assert!(memory() < before + 2048, "{before} {} kB", memory());
    // It uses no time meanwhile.
    let ticks = || Process::read(router.pid()).unwrap().ticks;
    let then = ticks();
    thread::sleep(std::time::Duration::from_millis(500));
    assert!(ticks() <= then + 2);
    // And goes on where it was.
    let mut server = server;
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(server.read(up).len(), up));
        let mut other = other;
        assert_eq!(other.read(down).len(), down);
    });
    client.0.set_write_timeout(Some(LIMIT)).unwrap();
    client.send(b"x");
    other_server.0.set_write_timeout(Some(LIMIT)).unwrap();
    assert_eq!(server.read(1), b"x");
}
