//! Sessions in the memory of the process, and what holds for the process whatever keeps them.
#![forbid(unsafe_code)]

use crate::common::{TempDir, without_root};
use crate::role::{Setup, id};
use nix::sys::socket::{MsgFlags, send};
use sslserver::privsep::message::ToStore;
use sslserver::tls::sessions::MAX_SEALED;
use std::os::fd::{AsFd, AsRawFd};

crate::tests! {
    what_one_worker_puts_the_others_find
    a_session_for_one_connection_is_found_once
    a_full_memory_forgets_the_oldest
    a_session_whose_time_is_over_is_not_kept
    a_worker_that_breaks_its_word_loses_its_channel_and_no_more
    a_worker_that_reads_no_answers_holds_nobody_up
    a_hundred_workers_come_and_go
    it_ends_when_the_parent_does
    jailed_and_powerless_it_still_keeps_sessions
}

fn what_one_worker_puts_the_others_find() {
    let role = Setup::new(10).start();
    let (one, other) = (role.worker(), role.worker());
    one.put(1, &[7; MAX_SEALED]);
    // It was read before the question, which comes on another channel.
    assert!(one.get(1).is_some());
    assert_eq!(other.get(1), Some(vec![7; MAX_SEALED]));
    assert_eq!(other.get(2), None);
    drop(one);
    assert!(other.get(1).is_some());
}

fn a_session_for_one_connection_is_found_once() {
    let role = Setup::new(10).start();
    let (one, other) = (role.worker(), role.worker());
    one.put(1, b"sealed");
    assert_eq!(one.take(1).as_deref(), Some(&b"sealed"[..]));
    assert_eq!(other.take(1), None);
    assert_eq!(one.take(1), None);
}

fn a_full_memory_forgets_the_oldest() {
    let role = Setup::new(100).start();
    let worker = role.worker();
    for number in 0..1000 {
        worker.put(number, b"sealed");
    }
    let kept = (0..1000).filter(|&number| worker.get(number).is_some());
    assert!(kept.eq(900..1000));
}

fn a_session_whose_time_is_over_is_not_kept() {
    let role = Setup::new(10).start();
    let worker = role.worker();
    worker.put_for(1, 0, b"sealed");
    worker.put_for(2, u32::MAX, b"sealed");
    assert_eq!(worker.get(1), None);
    assert!(worker.get(2).is_some());
}

fn a_worker_that_breaks_its_word_loses_its_channel_and_no_more() {
    let role = Setup::new(10).start();
    let honest = role.worker();
    honest.put(1, b"sealed");
    for bytes in [&b"x"[..], b"G", &[b'P'; 100], &[0xff; 40], &[0; 20_000]] {
        let hostile = role.worker();
        let socket = hostile.channel.as_fd().as_raw_fd();
        send(socket, bytes, MsgFlags::empty()).expect("room");
        hostile.assert_is_cut_off();
        assert!(honest.get(1).is_some());
    }
    role.assert_says_nothing();
}

fn a_worker_that_reads_no_answers_holds_nobody_up() {
    let role = Setup::new(10).start();
    let (hostile, honest) = (role.worker(), role.worker());
    honest.put(1, &[7; MAX_SEALED]);
    assert!(honest.get(1).is_some());
    let question = ToStore::Get {
        token: 1,
        id: id(1),
        once: false,
    };
    // Until both its channel and that of the answers are full.
    let asked = (0..100_000).take_while(|_| hostile.channel.try_send(&question, &[]).is_ok());
    assert!(asked.count() < 100_000);
    assert!(honest.get(1).is_some());
    // It was only late.
    assert_eq!(hostile.answer().sealed, Some(vec![7; MAX_SEALED]));
}

fn a_hundred_workers_come_and_go() {
    if without_root("a_hundred_workers_come_and_go") {
        return;
    }
    let role = Setup::new(10).start();
    let worker = role.worker();
    worker.put(1, b"sealed");
    assert!(worker.get(1).is_some());
    let open = || {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", role.process().pid));
        entries.expect("/proc").count()
    };
    let before = open();
    for _ in 0..100 {
        assert!(role.worker().get(1).is_some());
    }
    crate::common::eventually("closed channels", || Some(()).filter(|()| open() == before));
}

fn it_ends_when_the_parent_does() {
    let mut role = Setup::new(10).start();
    let worker = role.worker();
    worker.put(1, b"sealed");
    assert_eq!(role.end(), Some(0));
    worker.assert_is_cut_off();
}

fn jailed_and_powerless_it_still_keeps_sessions() {
    if without_root("jailed_and_powerless_it_still_keeps_sessions") {
        return;
    }
    let dir = TempDir::new();
    let mut setup = Setup::new(10);
    setup.root = Some(dir.subdirectory("jail"));
    setup.ids = (61001, 61002);
    let role = setup.start();
    let worker = role.worker();
    worker.put(1, b"sealed");
    assert!(worker.get(1).is_some());
    let process = role.process();
    assert_eq!(process.name, "ssl-store");
    process.assert_jailed(&dir.join("jail"), 61001, 61002);
}
