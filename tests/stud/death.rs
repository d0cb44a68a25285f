//! What happens when a process dies.
#![forbid(unsafe_code)]

use crate::common::{Backend, End, Ending, Running, Serving, Stud, eventually};
use nix::sys::signal::Signal;

fn answer(stud: &Running) {
    let (words, end) = stud.connect().exchange(b"x", Ending::Nothing);
    assert_eq!((words.as_slice(), end), (&b"answer"[..], End::Clean));
}

#[test]
fn eight_workers_that_die_at_once_all_come_back() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).config("workers = 8").start();
    let workers = stud.roles("ssl-worker");
    assert_eq!(workers.len(), 8);
    for worker in &workers {
        worker.send(Signal::SIGKILL);
    }
    for worker in &workers {
        eventually("a worker's end", || worker.is_gone().then_some(()));
    }
    stud.wait_for_roles("ssl-worker", 8);
    for _ in 0..16 {
        answer(&stud);
    }
    for worker in &workers {
        stud.log
            .wait_for(&format!("*worker*{}*signal 9*", worker.pid));
    }
    stud.stop();
}

#[test]
fn connections_that_wait_to_be_accepted_survive_a_workers_death() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).start();
    let worker = stud.role("ssl-worker");
    worker.send(Signal::SIGSTOP);
    let waiting: Vec<_> = (0..5).map(|_| stud.dial().plain()).collect();
    worker.send(Signal::SIGKILL);
    for plain in waiting {
        let (words, _) = plain.tls().exchange(b"x", Ending::Nothing);
        assert_eq!(words, b"answer");
    }
}

#[test]
fn a_worker_that_keeps_dying_is_started_ever_more_seldom() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).start();
    let mut deaths = 0;
    let end = std::time::Instant::now() + std::time::Duration::from_millis(1500);
    while std::time::Instant::now() < end {
        for worker in stud.roles("ssl-worker") {
            if worker.state != 'Z' {
                worker.send(Signal::SIGKILL);
                eventually("a worker's end", || worker.is_gone().then_some(()));
                deaths += 1;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!((2..60).contains(&deaths), "{deaths} deaths");
    stud.wait_for_roles("ssl-worker", 1);
    answer(&stud);
}

#[test]
fn a_dead_keeper_is_replaced_and_costs_no_connection() {
    let backend = Backend::new();
    let stud = Stud::to(backend.address).start();
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    let old = stud.role("ssl-keeper");
    old.send(Signal::SIGKILL);
    eventually("the keeper's end", || old.is_gone().then_some(()));
    eventually("another keeper", || {
        let keepers = stud.roles("ssl-keeper");
        keepers
            .iter()
            .any(|one| one.pid != old.pid && one.state != 'Z')
            .then_some(())
    });
    client.send(b"still there?");
    assert_eq!(accepted.receive(12), b"still there?");
    let mut fresh = stud.connect();
    let mut accepted = backend.accept();
    fresh.send(b"new");
    assert_eq!(accepted.receive(3), b"new");
    stud.log.wait_for(&format!("*keeper*{}*", old.pid));
}

#[test]
fn a_dead_signer_costs_no_more_than_its_worker() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).config("workers = 2").start();
    for signer in stud.roles("ssl-signer") {
        signer.send(Signal::SIGKILL);
        eventually("a signer's end", || signer.is_gone().then_some(()));
    }
    stud.wait_for_roles("ssl-signer", 2);
    stud.wait_for_roles("ssl-worker", 2);
    for _ in 0..4 {
        answer(&stud);
    }
}

#[test]
fn workers_whose_parent_was_killed_serve_their_connections_to_the_end() {
    let backend = Backend::new();
    let mut stud = Stud::to(backend.address).config("workers = 2").start();
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    stud.signal(Signal::SIGKILL);
    stud.wait();
    // Whoever still had a listening socket would take this one in.
    eventually("the end of listening", || {
        std::net::TcpStream::connect(stud.address()).err()
    });
    client.send(b"question");
    assert_eq!(accepted.receive(8), b"question");
    accepted.send(b"answer");
    assert_eq!(client.receive(6), b"answer");
    accepted.fin();
    assert_eq!(client.exchange(b"", Ending::CloseNotify).1, End::Clean);
    drop((client, accepted));
    stud.assert_nothing_left();
}
