//! Ending without losing anybody, and handing the socket over.
#![forbid(unsafe_code)]

use crate::common::eventually;
use crate::router::{Client, Router, Setup, alert, hello};
use nix::sys::signal::Signal;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn an_idle_router_ends_at_once_and_says_so() {
    for (signal, line) in [
        (Signal::SIGHUP, "got SIGHUP, shutting down"),
        (Signal::SIGTERM, "got SIGTERM, shutting down"),
    ] {
        let mut router = Setup::new().start();
        router.signal(signal);
        assert_eq!(router.wait().code(), Some(0));
        let listening = format!("listening on {}", router.address);
        assert_eq!(router.said.wait_for_end(), [&listening, line]);
        assert_eq!(router.log.wait_for_end(), [""; 0]);
    }
}

/// Nobody else listens there.
fn is_free(router: &Router) -> bool {
    TcpListener::bind(router.address).is_ok()
}

#[test]
fn connections_go_on_while_new_ones_are_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut router = Setup::new().listener(listener).start();
    let backend = router.backend("a.example");
    let mut client = router.saying(&hello("a.example"));
    let mut server = backend.accept();
    // One that has not said its name yet counts as well.
    let mut late = router.saying(&hello("a.example")[..30]);
    let mut refused = router.saying(&hello("nobody.example"));
    assert_eq!(refused.rest(), alert(112));
    drop(refused);
    router.signal(Signal::SIGHUP);
    router.said.wait_for("got SIGHUP*");
    eventually("the port to be free", || is_free(&router).then_some(()));
    router.signal(Signal::SIGHUP);
    late.send(&hello("a.example")[30..]);
    let mut late_server = backend.accept();
    late_server.send(b"late");
    assert_eq!(late.read(4), b"late");
    server.send(b"still here");
    assert_eq!(client.read(10), b"still here");
    assert!(router.is_running());
    drop((client, server, late, late_server));
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn what_is_left_after_the_time_is_cut_and_the_exit_code_tells() {
    let mut router = Setup::new().options(&["-v", "-D", "1"]).start();
    let backend = router.backend("a.example");
    let mut client = router.saying(&hello("a.example"));
    let mut server = backend.accept();
    server.read(hello("a.example").len());
    router.signal(Signal::SIGTERM);
    assert_eq!(router.wait().code(), Some(1));
    assert_eq!(server.rest(), b"");
    assert_eq!(client.rest(), b"");
    router.log.wait_for("sniproxy: * a.example * cut");
    router
        .log
        .wait_for("sniproxy: 1 connections cut after 1 seconds");
}

#[test]
fn whoever_is_queued_at_the_signal_is_served() {
    let mut router = Setup::new().start();
    router.signal(Signal::SIGSTOP);
    let clients: Vec<Client> = (0..50)
        .map(|_| router.saying(&hello("nobody.example")))
        .collect();
    router.signal(Signal::SIGHUP);
    router.signal(Signal::SIGCONT);
    for mut client in clients {
        assert_eq!(client.rest(), alert(112));
    }
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_second_copy_takes_over_under_load_and_nobody_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut router = Setup::new().listener(listener.try_clone().unwrap()).start();
    let (hosts, address) = (Arc::clone(&router.hosts), router.address);
    let socket = hosts.subdirectory("a.example").join("tls-socket");
    let socket = UnixListener::bind(socket).unwrap();
    let (over, closing) = (AtomicBool::new(false), AtomicBool::new(false));
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while let Ok((mut stream, _)) = socket.accept() {
                if closing.load(Ordering::Relaxed) {
                    return;
                }
                stream.write_all(b"served").unwrap();
            }
        });
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let stream = TcpStream::connect(address).unwrap();
                        let mut client = Client(stream).patient();
                        client.send(&hello("a.example"));
                        assert_eq!(client.rest(), b"served");
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let more = |count: usize| {
            let then = served.load(Ordering::Relaxed);
            eventually("more clients", || {
                (served.load(Ordering::Relaxed) >= then + count).then_some(())
            });
        };
        more(50);
        for _ in 0..5 {
            let next = Setup::new()
                .listener(listener.try_clone().unwrap())
                .among(&hosts)
                .start();
            router.signal(Signal::SIGHUP);
            assert_eq!(router.wait().code(), Some(0));
            router = next;
            more(50);
        }
        over.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        closing.store(true, Ordering::Relaxed);
        drop(std::os::unix::net::UnixStream::connect(
            hosts.join("a.example/tls-socket"),
        ));
    });
}
