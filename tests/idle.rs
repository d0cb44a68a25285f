//! Connections on which nothing moves: what they cost, and when they end.
#![forbid(unsafe_code)]

mod common;

use common::{Client, End, Ending, Server, Setup, session};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::ErrorKind;
use std::time::Duration;

/// Writes as much as the other side takes without reading.
fn stuff(client: &mut Client, most: usize) -> usize {
    client
        .tls
        .get_ref()
        .set_write_timeout(Some(Duration::from_secs(1)))
        .expect("a limit");
    let (piece, mut sent) = (vec![0; 1 << 16], 0);
    while sent < most {
        match client.tls.ssl_write(&piece) {
            Ok(size) => sent += size,
            Err(error) => {
                let kind = error.io_error().map(std::io::Error::kind);
                assert_eq!(kind, Some(ErrorKind::WouldBlock), "{error}");
                break;
            }
        }
    }
    sent
}

#[test]
fn an_application_that_never_reads_costs_bounded_memory_and_is_ended_when_idle() {
    let server = Setup::new()
        .options(&["-w", "5"])
        .program(&["sleep", "3600"])
        .start();
    let mut client = server.connect();
    let most = 100 << 20;
    let sent = stuff(&mut client, most);
    assert!(sent < most, "the server takes what nobody reads: {sent}");
    for session in server.roles(session()) {
        let resident = session.status("VmHWM");
        let kb = resident.split(' ').next().and_then(|kb| kb.parse().ok());
        let kb: usize = kb.expect("kB");
        assert!(kb < 32 << 10, "{kb} kB resident");
    }
    drop(client);
    server.log.wait_for("sslserver: ended by * status 15");
    server.wait_until_idle();
}

#[test]
fn an_idle_connection_ends_after_w_seconds() {
    for (program, status) in [(&["cat"][..], "0"), (&["sleep", "3600"][..], "15")] {
        let server = Setup::new().options(&["-w", "1"]).program(program).start();
        let client = server.connect();
        server
            .log
            .wait_for(&format!("sslserver: ended by * status {status}"));
        drop(client);
        server.wait_until_idle();
    }
}

#[test]
fn a_client_that_vanishes_leaves_no_process() {
    let server = Setup::new().start();
    let mut client = server.connect();
    client.assert_echoes();
    reset(client);
    server.log.wait_for("sslserver: ended by *");
    server.wait_until_idle();
}

#[test]
fn a_client_that_never_closes_is_left_soon_after_the_end_of_the_application() {
    let server = Setup::new().program(&["echo", "hi"]).start();
    let mut client = server.connect();
    let (reply, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!((reply.as_slice(), end), (&b"hi\n"[..], End::Clean));
    server.wait_until_idle();
    drop(client);
}

/// Processor time of all roles while the test does nothing, in ticks of a hundredth of a second.
fn spent(server: &Server) -> u64 {
    let used = || server.ticks();
    let before = used();
    std::thread::sleep(Duration::from_secs(1));
    used() - before
}

fn reset(client: Client) {
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(client.tls.get_ref(), sockopt::Linger, &linger).expect("linger");
}

#[test]
fn waiting_costs_no_processor_time_whoever_has_closed_what() {
    type Action = fn(&mut Client);
    let close_notify: Action = |client| client.close_notify();
    let fin: Action = |client| client.fin();
    let some: Action = |client| client.send(&[0; 1000]);
    let much: Action = |client| {
        stuff(client, 100 << 20);
    };
    let enough_and_fin: Action = |client| {
        client.send(&[0; 300_000]);
        client.fin();
    };
    let cases: [(&str, &str, Action); 9] = [
        ("nothing is closed", "exec sleep 600", some),
        (
            "the client sent close_notify",
            "cat; exec sleep 600",
            close_notify,
        ),
        ("the client sent FIN", "cat; exec sleep 600", fin),
        (
            "the client sent FIN to an application that does not read",
            "exec sleep 600",
            fin,
        ),
        (
            "the application closed its input",
            "exec sleep 600 <&-",
            some,
        ),
        (
            "the application closed its output",
            "exec sleep 600 >&-",
            some,
        ),
        (
            "the application closed both",
            "exec sleep 600 <&- >&-",
            some,
        ),
        ("the application does not read", "exec sleep 600", much),
        (
            "the application closed its output and does not read",
            "exec sleep 600 >&-",
            enough_and_fin,
        ),
    ];
    std::thread::scope(|scope| {
        for (case, script, act) in cases {
            scope.spawn(move || {
                let server = Setup::new().shell(&format!("echo go; {script}")).start();
                let mut client = server.connect();
                assert_eq!(client.line(), "go");
                act(&mut client);
                let ticks = spent(&server);
                assert!(ticks < 20, "{case}: {ticks} ticks in a second");
                reset(client);
                let ticks = spent(&server);
                assert!(
                    ticks < 20,
                    "{case}, then a reset: {ticks} ticks in a second"
                );
            });
        }
    });
}
