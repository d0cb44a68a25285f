//! Roles that stand still for ten seconds.
#![forbid(unsafe_code)]

use super::{WAYS, assert_serves, serving};
use crate::common::{Dnsmasq, Setup, say};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(10);

#[test]
fn a_keeper_that_stands_still_holds_up_handshakes_alone_and_only_as_long() {
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || {
                let server = serving(way);
                let mut running = server.connect();
                running.assert_echoes();
                let keeper = server.role("ssl-keeper");
                let start = Instant::now();
                keeper.send(Signal::SIGSTOP);
                // This one needs a signature.
                let (server, keeper) = (&server, &keeper);
                std::thread::scope(|waiting| {
                    waiting.spawn(|| {
                        // Whether it waits long enough is the client's and the session's affair.
                        let _ = server.dial().try_connect();
                    });
                    while start.elapsed() < PAUSE {
                        if way.is_empty() {
                            running.assert_echoes();
                        }
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    keeper.send(Signal::SIGCONT);
                });
                running.assert_echoes();
                for _ in 0..10 {
                    assert_serves(server);
                }
                assert_eq!(server.role("ssl-keeper").pid, keeper.pid);
            });
        }
    });
}

#[test]
fn a_lookup_process_that_stands_still_is_replaced_and_nobody_waits_for_it_longer_than_t() {
    let Some(dns) = Dnsmasq::start(["--address=/example.org/192.0.2.1"]) else {
        return say("skipped: needs dnsmasq");
    };
    let server = Setup::new()
        .options(&["-h", "-t", "2"])
        .env("DNSCACHEIP", &dns.address.to_string())
        .start();
    assert_serves(&server);
    let lookup = server.role("ssl-lookup");
    lookup.send(Signal::SIGSTOP);
    assert_serves(&server);
    server
        .log
        .wait_for("sslserver: warning: process * does not answer: ended");
    for _ in 0..5 {
        assert_serves(&server);
    }
    assert_ne!(server.role("ssl-lookup").pid, lookup.pid);
}
