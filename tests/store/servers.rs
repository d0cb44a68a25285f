//! Sessions in a Redis server, as machines share them.
#![forbid(unsafe_code)]

use crate::common::{TempDir, without_root};
use crate::redis::{Redis, key};
use crate::role::Setup;
use sslserver::privsep::message::StoreReport;
use sslserver::tls::sessions::MAX_SEALED;
use std::path::{Path, PathBuf};

crate::tests! {
    what_one_machine_puts_another_finds
    a_session_for_one_connection_is_found_by_one_machine_alone
    the_server_forgets_a_session_when_its_time_is_over
    database_and_password_are_those_of_the_address
    a_server_is_reached_by_number_and_by_name
    a_name_without_an_address_is_fatal
    what_is_too_long_to_be_a_session_is_nothing
    jailed_and_powerless_it_reaches_the_server
}

fn what_one_machine_puts_another_finds() {
    let Some(redis) = Redis::start("what_one_machine_puts_another_finds", &[]) else {
        return;
    };
    let roles = [(); 2].map(|()| Setup::new(redis.address("")).start());
    let [one, other] = roles.each_ref().map(|role| role.worker());
    // Bytes that are no text.
    let sealed: Vec<u8> = (0..MAX_SEALED).map(|place| place as u8).collect();
    one.eventually_keeps(1, &sealed);
    other.eventually_keeps(2, b"sealed");
    assert_eq!(other.get(1), Some(sealed));
    assert!(one.get(2).is_some());
    assert_eq!(one.get(3), None);
    for role in &roles {
        role.assert_says_nothing();
    }
}

fn a_session_for_one_connection_is_found_by_one_machine_alone() {
    let test = "a_session_for_one_connection_is_found_by_one_machine_alone";
    let Some(redis) = Redis::start(test, &[]) else {
        return;
    };
    let roles = [(); 2].map(|()| Setup::new(redis.address("")).start());
    let [one, other] = roles.each_ref().map(|role| role.worker());
    one.eventually_keeps(1, b"sealed");
    other.eventually_keeps(2, b"sealed");
    assert!(other.take(1).is_some());
    assert_eq!(one.take(1), None);
    assert_eq!(other.take(1), None);
    assert!(one.take(2).is_some());
    assert_eq!(other.get(2), None);
}

fn the_server_forgets_a_session_when_its_time_is_over() {
    let test = "the_server_forgets_a_session_when_its_time_is_over";
    let Some(redis) = Redis::start(test, &[]) else {
        return;
    };
    let role = Setup::new(redis.address("")).start();
    let worker = role.worker();
    worker.eventually_keeps(1, b"sealed");
    let left = |number| {
        let reply = redis.ask(&format!("TTL {}", key(number))).expect("a reply");
        reply[1..].parse::<u64>().expect("seconds")
    };
    assert!((7100..=7200).contains(&left(1)));
    // What nobody should ask for: a day at the most.
    worker.put_for(2, u32::MAX, b"sealed");
    assert!(worker.get(2).is_some());
    assert!((86_300..=86_400).contains(&left(2)));
}

fn database_and_password_are_those_of_the_address() {
    let test = "database_and_password_are_those_of_the_address";
    let Some(redis) = Redis::start(test, &["--requirepass", "geheim"]) else {
        return;
    };
    let role = Setup::new(redis.address("?db=3&pass=geheim")).start();
    role.worker().eventually_keeps(1, b"sealed");
    let over = format!("redis://:geheim@127.0.0.1:{}/3", redis.port);
    let other = Setup::new(over).start();
    other.worker().eventually_keeps(2, b"sealed");
    for number in [1, 2] {
        for (database, there) in [(3, ":1"), (0, ":0")] {
            let question = format!("EXISTS {}", key(number));
            let question = format!("AUTH geheim\r\nSELECT {database}\r\n{question}");
            assert_eq!(redis.ask(&question).as_deref(), Some(there));
        }
    }
}

fn a_server_is_reached_by_number_and_by_name() {
    let Some(redis) = Redis::start("a_server_is_reached_by_number_and_by_name", &[]) else {
        return;
    };
    // The name may have an address of the other family as well, where nobody listens.
    for (number, host) in [(1, "127.0.0.1"), (2, "localhost")] {
        let role = Setup::new(format!("redis://{host}:{}", redis.port)).start();
        role.worker().eventually_keeps(number, b"sealed");
        role.assert_says_nothing();
    }
}

fn a_name_without_an_address_is_fatal() {
    // Too long to be one, so nobody is asked.
    let name = "n".repeat(70);
    let mut role = Setup::new(format!("redis://:geheim@{name}:6380")).launch();
    match role.report() {
        StoreReport::Fatal(text) => {
            let named = format!("fatal: (111) session store {name}:6380: ");
            assert!(text.starts_with(&named), "{text}");
            assert!(!text.contains("geheim"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(role.ended(), Some(111));
}

fn what_is_too_long_to_be_a_session_is_nothing() {
    let Some(redis) = Redis::start("what_is_too_long_to_be_a_session_is_nothing", &[]) else {
        return;
    };
    let role = Setup::new(redis.address("")).start();
    let worker = role.worker();
    worker.eventually_keeps(1, b"sealed");
    for (length, is_found) in [(MAX_SEALED, true), (MAX_SEALED + 1, false)] {
        let value = "x".repeat(length);
        let told = redis.ask(&format!("SET {} {value}", key(1)));
        assert_eq!(told.as_deref(), Some("+OK"));
        assert_eq!(worker.get(1).is_some(), is_found);
    }
    role.assert_says_nothing();
}

fn jailed_and_powerless_it_reaches_the_server() {
    let test = "jailed_and_powerless_it_reaches_the_server";
    if without_root(test) {
        return;
    }
    let Some(mut redis) = Redis::start(test, &[]) else {
        return;
    };
    let dir = TempDir::new();
    let jail = dir.subdirectory("jail");
    // A path leads out of every other root, so there is none.
    for (address, root) in [
        (format!("redis://localhost:{}", redis.port), jail.as_path()),
        (redis.address(""), Path::new("/")),
    ] {
        let mut setup = Setup::new(address);
        setup.root = Some(jail.clone());
        setup.ids = (61001, 61002);
        let role = setup.start();
        let worker = role.worker();
        worker.eventually_keeps(1, b"sealed");
        let process = role.process();
        assert_eq!(process.status("Uid"), "61001 61001 61001 61001");
        assert_eq!(process.status("Gid"), "61002 61002 61002 61002");
        assert_eq!(process.link("root"), root);
        assert_eq!(process.link("fd/2"), PathBuf::from("/dev/null"));
        assert_eq!(process.status("Threads"), "1");
        assert_eq!(process.status("Seccomp"), "2");
        assert_eq!(process.status("CapEff"), "0000000000000000");
        // It finds the way again.
        redis.stop();
        assert!(matches!(role.report(), StoreReport::Down(_)));
        redis.run();
        assert_eq!(role.report(), StoreReport::Up);
        worker.eventually_keeps(2, b"sealed");
    }
}
