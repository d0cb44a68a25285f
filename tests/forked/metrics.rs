//! The metrics socket of a process that is out of descriptors.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sslserver::net::metrics::Metrics;
use sslserver::sys::descriptor;

crate::tests! {
    a_process_without_descriptors_does_not_spin_and_answers_later
}

fn a_process_without_descriptors_does_not_spin_and_answers_later() {
    let path = std::env::temp_dir().join(format!("stud-metrics-{}", std::process::id()));
    let mut metrics = Metrics::open(&path).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Descriptors are given from the lowest free number on.
    let next = client.try_clone().unwrap().as_raw_fd() as u64;
    setrlimit(Resource::RLIMIT_NOFILE, next, hard).unwrap();
    let now = Instant::now();
    metrics.turn(now, String::new);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    let wanted = [Some((metrics.as_fd(), PollFlags::POLLIN))];
    assert!(!descriptor::wait(wanted, Duration::ZERO).unwrap()[0].readable);
    let due = metrics.due().unwrap();
    assert_eq!(due, now + Duration::from_secs(1));
    metrics.turn(due, String::new);
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
}
