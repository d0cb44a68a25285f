//! How a connection ends: each direction for itself, with every byte, and so that both sides know.
#![forbid(unsafe_code)]

use crate::common::{
    Accepted, Backend, Client, End, Ending, Plain, Running, Serving, Stud, pattern,
};
use openssl::ssl::SslVersion;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A client and the backend's side of its connection.
fn pair() -> (Running, Backend, Client, Accepted) {
    let backend = Backend::new();
    let stud = Stud::to(backend.address).start();
    let client = stud.connect();
    let accepted = backend.accept();
    (stud, backend, client, accepted)
}

#[test]
fn a_client_that_has_said_everything_hears_the_answer() {
    for ending in [Ending::CloseNotify, Ending::Fin] {
        let backend = Backend::new().serve(|mut tcp| {
            let mut question = Vec::new();
            let _ = tcp.read_to_end(&mut question);
            question.reverse();
            let _ = tcp.write_all(&question);
        });
        let stud = Stud::to(backend.address).start();
        let (answer, end) = stud.connect().exchange(b"question", ending);
        assert_eq!(
            (answer.as_slice(), end),
            (&b"noitseuq"[..], End::Clean),
            "{ending:?}"
        );
    }
}

#[test]
fn the_end_of_a_clients_words_reaches_the_backend_while_the_connection_lives() {
    for ending in [Ending::CloseNotify, Ending::Fin] {
        let (_stud, _backend, mut client, mut accepted) = pair();
        client.send(b"all");
        match ending {
            Ending::CloseNotify => client.close_notify(),
            _ => client.fin(),
        }
        assert_eq!(accepted.ended(), (b"all".to_vec(), End::Fin), "{ending:?}");
        accepted.send(b"heard");
        assert_eq!(client.receive(5), b"heard");
    }
}

#[test]
fn a_backend_that_has_said_everything_still_gets_an_upload() {
    let (_stud, _backend, mut client, mut accepted) = pair();
    accepted.send(b"done");
    accepted.fin();
    let (words, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!((words.as_slice(), end), (&b"done"[..], End::Clean));
    let upload = pattern(1_000_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send(&upload);
            client.close_notify();
        });
        assert!(accepted.ended() == (upload.clone(), End::Fin));
    });
}

#[test]
fn a_connection_ends_with_close_notify() {
    let backend = Serving::answering(b"short answer");
    let stud = Stud::to(backend.address).start();
    let (answer, end) = stud.connect().exchange(b"x", Ending::Nothing);
    assert_eq!((answer.as_slice(), end), (&b"short answer"[..], End::Clean));
}

#[test]
fn a_backends_reset_does_not_look_like_a_whole_answer() {
    let (_stud, _backend, mut client, mut accepted) = pair();
    accepted.send(b"half an ans");
    assert_eq!(client.receive(11), b"half an ans");
    accepted.reset();
    let (rest, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!(rest, b"");
    assert_ne!(end, End::Clean);
}

#[test]
fn a_clients_reset_ends_the_backends_connection() {
    let (_stud, _backend, mut client, mut accepted) = pair();
    client.send(b"some");
    assert_eq!(accepted.receive(4), b"some");
    Plain::accepted(client.tcp()).reset();
    drop(client);
    assert_eq!(accepted.rest(), b"");
}

#[test]
fn a_client_that_went_away_ends_an_endless_answer() {
    let (_stud, _backend, client, mut accepted) = pair();
    drop(client);
    let piece = vec![7; 1 << 16];
    let error = loop {
        if let Err(error) = accepted.tcp.write_all(&piece) {
            break error;
        }
    };
    let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(gone.contains(&error.kind()), "{error}");
}

#[test]
fn a_slow_client_gets_the_last_byte_of_an_answer_whose_backend_is_gone() {
    let content = pattern(8_000_000);
    let (_stud, _backend, mut client, mut accepted) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            accepted.send(&content);
            drop(accepted);
        });
        let mut received = client.receive(1000);
        let (rest, end) = client.exchange(b"", Ending::Nothing);
        received.extend(rest);
        assert!(received == content, "{} bytes", received.len());
        assert_eq!(end, End::Clean);
    });
}

#[test]
fn a_slow_backend_gets_the_last_byte_of_an_upload_whose_client_is_gone() {
    for ending in [Ending::CloseNotify, Ending::Fin] {
        let content = pattern(5_000_000);
        let backend = Backend::new();
        let stud = Stud::to(backend.address).start();
        // With TLS 1.3 there would be tickets that it has not read, so that it would leave with a reset.
        let mut client = stud.dial().version(SslVersion::TLS1_2).connect();
        let mut accepted = backend.accept();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                client.send(&content);
                match ending {
                    Ending::CloseNotify => client.close_notify(),
                    _ => client.fin(),
                }
                drop(client);
            });
            let mut received = accepted.receive(1000);
            received.extend(accepted.ended().0);
            assert!(received == content, "{ending:?}: {} bytes", received.len());
        });
    }
}

#[test]
fn what_a_client_sends_comes_back_whole_from_an_echo() {
    let backend = Serving::echo();
    let stud = Stud::to(backend.address).start();
    let content = pattern(5_000_000);
    for ending in [Ending::CloseNotify, Ending::Fin] {
        let (echo, end) = stud.connect().exchange(&content, ending);
        assert!(echo == content, "{ending:?}: {} bytes", echo.len());
        assert_eq!(end, End::Clean, "{ending:?}");
    }
}

#[test]
fn many_tiny_pieces_all_arrive_at_a_side_that_did_not_read_meanwhile() {
    let content = pattern(3000);
    let (_stud, _backend, mut client, mut accepted) = pair();
    for piece in content.chunks(1) {
        client.send(piece);
        accepted.send(piece);
    }
    assert!(accepted.receive(content.len()) == content);
    assert!(client.receive(content.len()) == content);
}

#[test]
fn whoever_does_not_read_stops_the_other_side_before_memory_grows() {
    let (stud, _backend, client, accepted) = pair();
    let before = memory(&stud);
    let mut taken = [0, 0];
    fill(&accepted.tcp, |mut tcp, piece| {
        let size = tcp.write(piece).ok()?;
        taken[0] += size;
        Some(taken[0])
    });
    let mut tls = client.tls;
    let tcp = tls.get_ref().try_clone().expect("a copy");
    fill(&tcp, |_, piece| {
        let size = tls.ssl_write(piece).ok()?;
        taken[1] += size;
        Some(taken[1])
    });
    let grown = memory(&stud).saturating_sub(before);
    assert!(grown < 4096, "{grown} kB more after {taken:?}");
}

/// Writes, and tells how much there is so far, until nothing has been taken for a while.
fn fill(tcp: &TcpStream, mut write: impl FnMut(&TcpStream, &[u8]) -> Option<usize>) {
    tcp.set_write_timeout(Some(Duration::from_millis(300)))
        .expect("a limit");
    let piece = vec![7; 1 << 20];
    while let Some(taken) = write(tcp, &piece) {
        assert!(taken < 200 << 20, "nothing stops it");
    }
}

/// Resident, in kB, of the process that has the connections.
fn memory(stud: &Running) -> u64 {
    let text = stud.role("ssl-worker").status("VmRSS");
    let number = text.split(' ').next().expect("a number");
    number.parse().expect("a number")
}
