//! A hundred renewals while clients come and go: nobody is lost, and nothing grows.
#![forbid(unsafe_code)]

use super::{renew, shown};
use crate::common::{End, Ending, Process, Server, Setup, terminator, without_root};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Renewals that fill what is filled once.
const FIRST: usize = 5;

const RELOADS: usize = 100;

/// Private memory in kB and descriptors of what stays.
fn size(server: &Server) -> Vec<(String, usize, usize)> {
    let one = |process: Process| {
        let memory = process.status("RssAnon");
        let memory = memory.split(' ').next().and_then(|kb| kb.parse().ok());
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("as root");
        let memory: usize = memory.expect("kB");
        (memory, descriptors.count())
    };
    let of = |name: &str| {
        let all = server.roles(name).into_iter().map(one);
        let (memory, descriptors): (Vec<usize>, Vec<usize>) = all.unzip();
        (
            name.to_owned(),
            memory.iter().sum(),
            descriptors.iter().sum(),
        )
    };
    ["sslserver", "ssl-keeper", terminator()].map(of).into()
}

/// The size when nobody is served and nothing is left of what served before.
fn size_at_rest(server: &Server) -> Vec<(String, usize, usize)> {
    server.wait_until_idle();
    size(server)
}

fn renew_and_wait(server: &Server, number: usize) {
    renew(server, &format!("renewed-{number}"));
    server.signal(Signal::SIGHUP);
    server
        .log
        .wait_for_nth("sslserver: info: keys are renewed: 1 of 1", number);
}

#[test]
fn a_hundred_renewals_under_load_fail_nobody_and_leave_every_role_as_it_was() {
    if without_root("a_hundred_renewals_under_load_fail_nobody_and_leave_every_role_as_it_was") {
        return;
    }
    let server = Setup::new().options(&["-c", "100"]).start();
    for number in 1..=FIRST {
        renew_and_wait(&server, number);
        shown(&server);
    }
    let before = size_at_rest(&server);
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = Mutex::new(BTreeSet::new());
    let mut held = server.dial().name("localhost").connect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = server.dial().name("localhost").connect();
                    let (echo, end) = client.exchange(b"hello", Ending::CloseNotify);
                    assert_eq!((&echo[..], end), (&b"hello"[..], End::Clean));
                    seen.lock().expect("whole").insert(client.shown());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in FIRST + 1..=FIRST + RELOADS {
            renew_and_wait(&server, number);
            assert_eq!(shown(&server), format!("renewed-{number}"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    held.send(b"from the first to the last");
    assert_eq!(held.receive(26), b"from the first to the last");
    let (_, end) = held.exchange(b"", Ending::CloseNotify);
    assert_eq!(end, End::Clean);
    for class in ["fatal", "error", "warning"] {
        let lines = server.log.matching(&format!("sslserver: {class}: *"));
        assert!(lines.is_empty(), "{lines:?}");
    }
    let seen = seen.into_inner().expect("whole").len();
    assert!(seen > 10, "{seen} certificates seen by those who came");
    // What was renewed is as young again, and has served as little, as at the beginning.
    renew_and_wait(&server, FIRST + RELOADS + 1);
    shown(&server);
    let after = size_at_rest(&server);
    for (before, after) in before.iter().zip(&after) {
        // 4 kB lost with each would be more than 400; a process that shares sessions has 264 kB more while it has
        // served somebody just now.
        let grown = after.1 > before.1 + 380 || after.2 > before.2 + 2;
        assert!(!grown, "{before:?} then {after:?}");
    }
    let served = served.into_inner();
    println!("{served} connections, {seen} certificates, {before:?} then {after:?}");
}
