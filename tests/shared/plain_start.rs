//! Connections that begin in plain text: nothing is touched before the application asks for TLS.
#![forbid(unsafe_code)]

use crate::common::{Client, Dial, End, Ending as Way, Plain};
use crate::role::{Role, Setup, Side};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use sslserver::privsep::message::Ending;
use std::io::{Read, Write};
use std::time::Duration;

crate::tests! {
    tls_begins_where_the_application_says_y
    the_application_is_told_of_tls_where_it_asks_with_a_capital
    without_the_command_the_connection_stays_plain
    the_socket_is_as_the_application_has_it_until_tls_begins
    a_handshake_that_fails_ends_every_channel
    the_time_of_the_handshake_counts_from_the_command
    a_quiet_connection_ends_and_one_that_speaks_does_not
    the_application_may_keep_the_socket
}

/// Client and application talk past the process.
fn talk_in_plain_text(side: &mut Side) -> Plain<()> {
    let mut client = Plain::accepted(side.take_client());
    let mut socket = side.socket.take().expect("the application's");
    client.send(b"hello\n");
    let mut heard = [0; 6];
    socket.read_exact(&mut heard).expect("plain text");
    assert_eq!(&heard, b"hello\n");
    socket.write_all(b"220 go\n").expect("room");
    assert_eq!(client.line(), "220 go");
    side.socket = Some(socket);
    client
}

fn command(side: &Side, word: &[u8]) {
    let mut control = side.control.as_ref().expect("its channel");
    control.write_all(word).expect("room");
}

/// Up to the end of the handshake.
fn begin(role: &Role, side: &mut Side, word: &[u8]) -> Client {
    let client = talk_in_plain_text(side);
    role.assert_says_nothing();
    command(side, word);
    let client = Dial::to(role.address()).over(client.tcp);
    role.established(side);
    client
}

fn tls_begins_where_the_application_says_y() {
    let role = Setup::new().start();
    let mut side = role.connect_plain();
    let mut client = begin(&role, &mut side, b"y");
    side.assert_talks(&mut client);
    // Nothing is said back, and the channel stays open as long as the connection does.
    let mut control = side.control.take().expect("its channel");
    control.set_nonblocking(true).expect("set");
    assert!(control.read(&mut [0; 1]).is_err());
    client.close_notify();
    assert_eq!(side.hear_out(), b"");
    side.output = None;
    assert_eq!(client.text(), "");
    assert_eq!(role.finished(&side), (4, 5, Ending::Complete));
    control.set_nonblocking(false).expect("set");
    assert_eq!(control.read(&mut [0; 1]).expect("an end"), 0);
}

fn the_application_is_told_of_tls_where_it_asks_with_a_capital() {
    let role = Setup::new().start();
    let mut side = role.connect_plain();
    let mut client = begin(&role, &mut side, b"Y");
    let mut control = side.control.take().expect("its channel");
    let mut block = vec![0; 1 << 16];
    let count = control.read(&mut block).expect("the report");
    let text = String::from_utf8_lossy(&block[..count]);
    assert!(text.starts_with("SSL_PROTOCOL=TLSv1.3\0"), "{text}");
    assert!(text.ends_with("\0\0"), "{text}");
    side.assert_talks(&mut client);
}

fn without_the_command_the_connection_stays_plain() {
    let role = Setup::new().start();
    for word in [&b"n"[..], b""] {
        let mut side = role.connect_plain();
        let mut client = talk_in_plain_text(&mut side);
        match word {
            [] => side.control = None,
            word => command(&side, word),
        }
        assert_eq!(role.finished(&side), (0, 0, Ending::Plain));
        let mut socket = side.socket.take().expect("the application's");
        socket.write_all(b"still here\n").expect("room");
        assert_eq!(client.line(), "still here");
    }
}

fn the_socket_is_as_the_application_has_it_until_tls_begins() {
    let role = Setup::new().start();
    let mut side = role.connect_plain();
    let flags = |side: &Side| {
        let socket = side.socket.as_ref().expect("the application's");
        OFlag::from_bits_truncate(fcntl(socket, FcntlArg::F_GETFL).expect("flags"))
    };
    let mut client = talk_in_plain_text(&mut side);
    // A byte too many: it is the application's too.
    client.send(b"x");
    // Whoever has served another since has seen this one as well.
    role.connect().assert_serves(&role);
    assert!(!flags(&side).contains(OFlag::O_NONBLOCK));
    let mut socket = side.socket.as_ref().expect("the application's");
    assert_eq!(socket.read(&mut [0; 8]).expect("plain text"), 1);
    command(&side, b"y");
    let mut client = Dial::to(role.address()).over(client.tcp);
    side.assert_talks(&mut client);
    assert!(flags(&side).contains(OFlag::O_NONBLOCK));
}

fn a_handshake_that_fails_ends_every_channel() {
    let role = Setup::new().start();
    let mut side = role.connect_plain();
    let mut client = talk_in_plain_text(&mut side);
    command(&side, b"y");
    client.send(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(role.failure(&side), "http request");
    assert_eq!(client.rest(), b"");
    side.assert_application_ends();
}

fn the_time_of_the_handshake_counts_from_the_command() {
    let mut setup = Setup::new();
    setup.handshake = 1000;
    let role = setup.start();
    let mut side = role.connect_plain();
    let mut client = talk_in_plain_text(&mut side);
    // Longer than the handshake may take.
    std::thread::sleep(Duration::from_millis(1500));
    role.assert_says_nothing();
    command(&side, b"y");
    assert_eq!(role.failure(&side), "timed out");
    assert_eq!(client.rest(), b"");
}

fn a_quiet_connection_ends_and_one_that_speaks_does_not() {
    let mut setup = Setup::new();
    setup.idle = 3000;
    let role = setup.start();
    let mut quiet = role.connect_plain();
    let _client = talk_in_plain_text(&mut quiet);
    let mut lively = role.connect_plain();
    let mut client = talk_in_plain_text(&mut lively);
    let mut socket = lively.socket.as_ref().expect("the application's");
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(500));
        client.send(b"x");
        socket.read_exact(&mut [0; 1]).expect("plain text");
    }
    assert_eq!(role.finished(&quiet), (0, 0, Ending::Idle));
    role.assert_says_nothing();
    command(&lively, b"y");
    let mut client = Dial::to(role.address()).over(client.tcp);
    lively.assert_talks(&mut client);
}

fn the_application_may_keep_the_socket() {
    let role = Setup::new().start();
    let mut side = role.connect_plain();
    let mut client = begin(&role, &mut side, b"y");
    side.assert_talks(&mut client);
    (side.input, side.output) = (None, None);
    // The end that TLS has is the connection's.
    assert_eq!(client.exchange(b"", Way::Nothing).1, End::Clean);
    let mut tcp = client.tcp();
    drop(client);
    assert_eq!(role.ending(&side), Ending::Complete);
    // What the client says to those who still have the socket wakes nobody up.
    let switches = || role.process().status("voluntary_ctxt_switches");
    let before = switches();
    for _ in 0..20 {
        tcp.write_all(&[0; 1000]).expect("room");
    }
    let mut socket = side.socket.as_ref().expect("the application's");
    socket.read_exact(&mut [0; 20_000]).expect("plain text");
    assert_eq!(switches(), before);
}
