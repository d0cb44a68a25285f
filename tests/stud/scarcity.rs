//! Out of descriptors: said once, waited for without work, and over when there are some again.
#![forbid(unsafe_code)]

use crate::common::{End, Ending, Serving, Stud, eventually};
use std::time::Duration;

const SHORT: &str = "*accepts no more for now: *";

#[test]
fn a_worker_without_descriptors_waits_without_spinning_and_recovers() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address)
        .config("log-level = 1")
        .prefix(&["prlimit", "--nofile=48"])
        .start();
    let worker = stud.role("ssl-worker");
    // More than there are descriptors for; some finish the handshake, and all wait for something.
    let held: Vec<_> = (0..100).map(|_| stud.dial().plain()).collect();
    stud.log.wait_for(SHORT);
    let ticks = |now: Option<crate::common::Process>| now.expect("it lives").ticks;
    let before = ticks(crate::common::Process::read(worker.pid));
    std::thread::sleep(Duration::from_secs(1));
    let used = ticks(crate::common::Process::read(worker.pid)) - before;
    assert!(used < 50, "{used} hundredths of a second");
    assert_eq!(stud.log.count(SHORT), 1, "{:?}", stud.log.lines());
    assert!(stud.log.lines().len() < 30, "{:?}", stud.log.lines());
    drop(held);
    let (words, end) = stud.connect().exchange(b"x", Ending::Nothing);
    assert_eq!((words.as_slice(), end), (&b"answer"[..], End::Clean));
    assert_eq!(stud.role("ssl-worker").pid, worker.pid);
}

#[test]
fn whoever_waited_for_a_descriptor_is_served_when_there_is_one() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address)
        .prefix(&["prlimit", "--nofile=48"])
        .start();
    let mut held: Vec<_> = (0..60).map(|_| stud.dial().plain()).collect();
    stud.log.wait_for(SHORT);
    let last = held.pop().expect("some");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| last.tls().exchange(b"x", Ending::Nothing).0);
        eventually("a queue behind the limit", || {
            (!waiting.is_finished()).then_some(())
        });
        drop(held);
        assert_eq!(waiting.join().expect("an answer"), b"answer");
    });
}
