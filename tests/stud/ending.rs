//! Told to end: by SIGTERM after the connections, by SIGINT at once.
#![forbid(unsafe_code)]

use crate::common::{Backend, End, Ending, Stud, eventually};
use nix::sys::signal::Signal;
use std::net::TcpStream;

#[test]
fn sigterm_lets_open_connections_finish_and_refuses_new_ones() {
    let backend = Backend::new();
    let mut stud = Stud::to(backend.address).config("workers = 2").start();
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    stud.signal(Signal::SIGTERM);
    eventually("refusal", || TcpStream::connect(stud.address()).err());
    client.send(b"question");
    assert_eq!(accepted.receive(8), b"question");
    accepted.send(b"answer");
    accepted.fin();
    let (words, end) = client.exchange(b"", Ending::CloseNotify);
    assert_eq!((words.as_slice(), end), (&b"answer"[..], End::Clean));
    drop((client, accepted));
    assert_eq!(stud.wait().code(), Some(0));
    stud.assert_nothing_left();
}

#[test]
fn connections_that_wait_to_be_accepted_are_served_before_the_end() {
    let backend = crate::common::Serving::answering(b"answer");
    let mut stud = Stud::to(backend.address).start();
    let worker = stud.role("ssl-worker");
    worker.send(Signal::SIGSTOP);
    let waiting: Vec<_> = (0..5).map(|_| stud.dial().plain()).collect();
    stud.signal(Signal::SIGTERM);
    worker.send(Signal::SIGCONT);
    for plain in waiting {
        let (words, end) = plain.tls().exchange(b"x", Ending::CloseNotify);
        assert_eq!((words.as_slice(), end), (&b"answer"[..], End::Clean));
    }
    assert_eq!(stud.wait().code(), Some(0));
}

#[test]
fn sigterm_does_not_wait_for_ever() {
    let backend = Backend::new();
    let mut stud = Stud::to(backend.address)
        .config("drain-timeout = 1")
        .start();
    let _client = stud.connect();
    let _accepted = backend.accept();
    stud.signal(Signal::SIGTERM);
    assert_eq!(stud.wait().code(), Some(0));
    stud.assert_nothing_left();
}

#[test]
fn sigint_ends_everything_at_once() {
    let backend = Backend::new();
    let mut stud = Stud::to(backend.address).config("workers = 2").start();
    let client = stud.connect();
    let mut accepted = backend.accept();
    stud.signal(Signal::SIGINT);
    assert_eq!(stud.wait().code(), Some(0));
    stud.assert_nothing_left();
    assert_eq!(accepted.rest(), b"");
    drop(client);
}

#[test]
fn sigint_ends_what_sigterm_waits_for() {
    let backend = Backend::new();
    let mut stud = Stud::to(backend.address).start();
    let _client = stud.connect();
    let _accepted = backend.accept();
    stud.signal(Signal::SIGTERM);
    eventually("refusal", || TcpStream::connect(stud.address()).err());
    stud.signal(Signal::SIGINT);
    assert_eq!(stud.wait().code(), Some(0));
    stud.assert_nothing_left();
}
