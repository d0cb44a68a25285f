//! A day's worth of connections in minutes, of every kind there is: nothing of them stays. 200,000 with
//! SSLSERVER_SCALE=full, otherwise as many as show a leak.
#![forbid(unsafe_code)]

use super::{WAYS, assert_serves, size};
use crate::common::{Server, Setup, eventually, without_root};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many do the same at a time.
const CLIENTS: usize = 6;

/// What one client does; every kind has its turn.
fn visit(server: &Server, kind: usize) {
    match kind % 8 {
        // Normal, as most are.
        0..=2 => assert_serves(server),
        // Denied before anything else.
        3 => drop(server.dial().from("127.0.0.2").tcp()),
        // Gone in the middle of the handshake.
        4 => {
            let mut tcp = server.dial().tcp();
            let hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
            let _ = tcp.write_all(&hello);
            let _ = tcp.shutdown(Shutdown::Write);
            let _ = tcp.read(&mut [0; 64]);
        }
        // Not TLS at all.
        5 => {
            let mut tcp = server.dial().tcp();
            let _ = tcp.write_all(b"GET / HTTP/1.0\r\n\r\n");
            let _ = tcp.read(&mut [0; 64]);
        }
        // Reset in the middle of an answer.
        6 => {
            let mut client = server.connect();
            client.send(&[7; 4000]);
            client.receive(1);
            reset(&client.tcp());
        }
        // Slow, a byte at a time.
        _ => {
            let mut client = server.connect();
            for byte in b"slow" {
                client.send(&[*byte]);
                assert_eq!(client.receive(1), [*byte]);
            }
        }
    }
}

/// Has the kernel reset a connection when it is closed.
fn reset(tcp: &std::net::TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    nix::sys::socket::setsockopt(&tcp.as_fd(), nix::sys::socket::sockopt::Linger, &linger)
        .expect("set");
}

fn visits(server: &Server, count: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while let kind = next.fetch_add(1, Ordering::Relaxed)
                    && kind < count
                {
                    visit(server, kind);
                }
            });
        }
    });
    server.wait_until_idle();
}

/// Name, private memory in kB and descriptors of each role; the log is as long as there were visitors.
fn sizes(server: &Server) -> Vec<(String, usize, usize)> {
    let mut all: Vec<_> = server
        .processes()
        .into_iter()
        .map(|process| {
            let memory = process.status("RssAnon");
            let memory = memory.split(' ').next().and_then(|kb| kb.parse().ok());
            let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("as root");
            (process.name.clone(), memory.expect("kB"), open.count())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_days_worth_of_connections_of_every_kind_leaves_nothing_behind() {
    if without_root("a_days_worth_of_connections_of_every_kind_leaves_nothing_behind") {
        return;
    }
    for way in WAYS {
        let server = Setup::new()
            .options(way)
            .options(&["-Q", "-c", "200"])
            .rules("-y", "127.0.0.2:deny\n")
            .start();
        visits(&server, size(800, 20_000));
        let before = sizes(&server);
        visits(&server, size(2_400, 180_000));
        // A heap that was used by more at a time stays larger; ten bytes lost for each would be more.
        let spare = size(200, 1_000);
        let after = eventually("sizes as they were", || {
            let after = sizes(&server);
            assert_eq!(after.len(), before.len(), "{before:?} {after:?}");
            let grown = after
                .iter()
                .zip(&before)
                .any(|(after, before)| after.1 > before.1 + spare || after.2 > before.2 + 8);
            (!grown).then_some(after)
        });
        println!("{way:?}: {before:?} then {after:?}");
        server.stop();
    }
}
