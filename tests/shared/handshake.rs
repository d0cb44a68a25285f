//! Handshakes that come to nothing, and their time.
#![forbid(unsafe_code)]

use crate::common::{Dial, End, Plain};
use crate::role::{Role, Setup, Side, Wishes};
use openssl::ssl::SslVersion;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

crate::tests! {
    a_client_that_says_nothing_has_its_time_and_no_more
    bytes_now_and_then_do_not_lengthen_the_time
    rubbish_is_answered_with_an_alert_that_arrives
    who_hangs_up_in_the_handshake_is_told_of
    a_version_that_is_too_old_is_refused
    a_handshake_in_single_bytes_is_one_too
    what_comes_with_the_end_of_the_handshake_reaches_the_application
    a_handshake_under_way_keeps_nobody_waiting
}

fn hasty(role: &Role) -> Side {
    role.connect_as(&Wishes {
        patience: 1000,
        ..Wishes::default()
    })
}

fn a_client_that_says_nothing_has_its_time_and_no_more() {
    let role = Setup::new().start();
    let mut side = hasty(&role);
    let mut client = side.take_client();
    assert_eq!(role.failure(&side), "timed out");
    assert_eq!(client.read(&mut [0; 1]).expect("an end"), 0);
    side.assert_application_ends();
    role.connect().assert_serves(&role);
}

fn bytes_now_and_then_do_not_lengthen_the_time() {
    let role = Setup::new().start();
    let mut side = hasty(&role);
    let mut client = side.take_client();
    // A record of 512 bytes that would take minutes.
    let hello = [&[22, 3, 1, 2, 0, 1][..], &[0; 64]].concat();
    for byte in hello {
        // One that the other side has closed takes none.
        if client.write_all(&[byte]).is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(role.failure(&side), "timed out");
}

/// What a client hears to the end.
fn answer(tcp: TcpStream) -> (Vec<u8>, End) {
    Plain::accepted(tcp).ended()
}

fn rubbish_is_answered_with_an_alert_that_arrives() {
    let role = Setup::new().start();
    let mut long = b"\x16\x03\x01\x00\x05hello".to_vec();
    long.resize(300_000, 0);
    for (rubbish, reason, length) in [
        (&long[..10], "unexpected message", 7),
        (&long, "unexpected message", 7),
        // To that the library says nothing.
        (b"GET / HTTP/1.0\r\n\r\n", "http request", 0),
    ] {
        let mut side = role.connect();
        let mut client = side.take_client();
        // More than is read before the verdict, so that closing at once would take the alert back.
        client.write_all(rubbish).expect("room");
        let said = role.failure(&side);
        let (bytes, end) = answer(client);
        assert_eq!(end, End::Fin, "{said}");
        assert_eq!((&said[..], bytes.len()), (reason, length), "{bytes:?}");
        assert!(bytes.first().is_none_or(|first| *first == 21), "no alert");
        side.assert_application_ends();
    }
}

fn who_hangs_up_in_the_handshake_is_told_of() {
    let role = Setup::new().start();
    let mut side = role.connect();
    drop(side.take_client());
    assert_eq!(role.failure(&side), "the client hung up");
    let mut side = role.connect();
    Plain::accepted(side.take_client()).reset();
    assert_eq!(role.failure(&side), "Connection reset by peer");
    side.assert_application_ends();
}

fn a_version_that_is_too_old_is_refused() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let old = |dial: Dial| {
        dial.version(SslVersion::TLS1_1)
            .set(|settings| settings.set_cipher_list("ALL:@SECLEVEL=0").expect("known"))
    };
    assert!(side.try_tls(old).is_err());
    assert_eq!(role.failure(&side), "unsupported protocol");
}

/// A client whose bytes somebody passes on, the end as none at all.
fn through(
    role: &Role,
    mut pass: impl FnMut(&[u8], &mut TcpStream) + Send + 'static,
) -> (Side, TcpStream) {
    let mut side = role.connect();
    let mut outer = side.take_client();
    let door = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let client = Dial::to(door.local_addr().expect("bound")).tcp();
    let (mut inner, _) = door.accept().expect("the client");
    let (mut from, mut to) = (
        outer.try_clone().expect("one"),
        inner.try_clone().expect("one"),
    );
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::thread::spawn(move || {
        let mut piece = vec![0; 1 << 16];
        while let Ok(count @ 1..) = inner.read(&mut piece) {
            pass(&piece[..count], &mut outer);
        }
        pass(&[], &mut outer);
        let _ = outer.shutdown(Shutdown::Write);
    });
    (side, client)
}

fn a_handshake_in_single_bytes_is_one_too() {
    let role = Setup::new().start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (mut side, tcp) = through(&role, |bytes, to| {
            for byte in bytes {
                to.write_all(&[*byte]).expect("room");
            }
        });
        let mut client = Dial::to(role.address()).version(version).over(tcp);
        role.established(&side);
        side.assert_talks(&mut client);
    }
}

fn what_comes_with_the_end_of_the_handshake_reaches_the_application() {
    let role = Setup::new().start();
    // What the client says after its first flight is held back until it has said everything.
    let mut held = Vec::new();
    let (mut side, tcp) = through(&role, move |bytes, to| {
        let is_first = held.is_empty();
        held.extend(bytes);
        match bytes {
            [] => to.write_all(&held[1..]).expect("room"),
            _ if is_first => {
                to.write_all(bytes).expect("room");
                held = vec![0];
            }
            _ => {}
        }
    });
    let mut client = Dial::to(role.address()).over(tcp);
    client.send(b"early");
    client.close_notify();
    client.fin();
    role.established(&side);
    assert_eq!(side.hear_out(), b"early");
}

fn a_handshake_under_way_keeps_nobody_waiting() {
    let role = Setup::new().start();
    let mut silent: Vec<Side> = (0..20).map(|_| role.connect()).collect();
    let held: Vec<_> = silent.iter_mut().map(Side::take_client).collect();
    for _ in 0..3 {
        role.connect().assert_serves(&role);
    }
    drop(held);
    for side in &silent {
        assert_eq!(role.failure(side), "the client hung up");
    }
}
