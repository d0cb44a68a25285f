//! A Redis server that is away: full handshakes at once, and one line.
#![forbid(unsafe_code)]

use crate::redis::Redis;
use crate::role::{Role, Setup};
use sslserver::privsep::message::StoreReport;

crate::tests! {
    a_server_that_is_not_there_yet_is_found_when_it_comes
    the_death_of_the_server_is_said_once_and_so_is_its_return
    a_server_that_stands_still_holds_nobody_up
    a_wrong_password_is_told_without_the_password
    a_server_that_keeps_nothing_is_no_store
}

/// The line that says that it is down, and why.
fn down(role: &Role) -> String {
    match role.report() {
        StoreReport::Down(text) => text,
        other => panic!("{other:?}"),
    }
}

fn a_server_that_is_not_there_yet_is_found_when_it_comes() {
    let test = "a_server_that_is_not_there_yet_is_found_when_it_comes";
    let Some(mut redis) = Redis::prepare(test, &[]) else {
        return;
    };
    let role = Setup::new(format!("redis://127.0.0.1:{}", redis.port)).start();
    let text = format!("127.0.0.1:{}: Connection refused", redis.port);
    assert_eq!(down(&role), text);
    let worker = role.worker();
    worker.put(1, b"sealed");
    assert_eq!(worker.get(1), None);
    redis.run();
    assert_eq!(role.report(), StoreReport::Up);
    worker.eventually_keeps(1, b"sealed");
    role.assert_says_nothing();
}

fn the_death_of_the_server_is_said_once_and_so_is_its_return() {
    let test = "the_death_of_the_server_is_said_once_and_so_is_its_return";
    let Some(mut redis) = Redis::start(test, &[]) else {
        return;
    };
    let role = Setup::new(redis.address("")).start();
    let workers = [(); 3].map(|()| role.worker());
    for worker in &workers {
        worker.eventually_keeps(1, b"sealed");
    }
    redis.stop();
    // Nobody needs to ask for it.
    let text = down(&role);
    assert!(
        text.ends_with("redis.sock: the server closed the connection"),
        "{text}"
    );
    for number in 0..1000 {
        for worker in &workers {
            worker.put(number, b"sealed");
            assert_eq!(worker.get(number), None);
        }
    }
    role.assert_says_nothing();
    redis.run();
    assert_eq!(role.report(), StoreReport::Up);
    for worker in &workers {
        worker.eventually_keeps(2, b"sealed");
    }
    role.assert_says_nothing();
}

fn a_server_that_stands_still_holds_nobody_up() {
    let test = "a_server_that_stands_still_holds_nobody_up";
    let Some(redis) = Redis::start(test, &[]) else {
        return;
    };
    let role = Setup::new(redis.address("")).start();
    let (one, other) = (role.worker(), role.worker());
    one.eventually_keeps(1, b"sealed");
    redis.pause();
    for token in 0..100 {
        one.ask(token, 1, false);
    }
    assert_eq!(other.get(1), None);
    for _ in 0..100 {
        assert_eq!(one.answer().sealed, None);
    }
    let text = down(&role);
    assert!(text.ends_with(": no answer within 250 ms"), "{text}");
    // Nobody waits for it any more, one after the other.
    for _ in 0..1000 {
        assert_eq!(one.get(1), None);
    }
    redis.go_on();
    assert_eq!(role.report(), StoreReport::Up);
    assert!(one.get(1).is_some());
    role.assert_says_nothing();
}

fn a_wrong_password_is_told_without_the_password() {
    let test = "a_wrong_password_is_told_without_the_password";
    let Some(redis) = Redis::start(test, &["--requirepass", "geheim"]) else {
        return;
    };
    for (login, why) in [("?pass=falsch", "authentication failed"), ("", "NOAUTH")] {
        let role = Setup::new(redis.address(login)).start();
        let text = down(&role);
        assert!(text.contains(why) && !text.contains("falsch"), "{text}");
        assert_eq!(role.worker().get(1), None);
    }
}

fn a_server_that_keeps_nothing_is_no_store() {
    let test = "a_server_that_keeps_nothing_is_no_store";
    for (option, why, cure) in [
        (
            ["--replicaof", "127.0.0.1 9"],
            "ReadOnly",
            "REPLICAOF NO ONE",
        ),
        (["--maxmemory", "1"], "OOM", "CONFIG SET maxmemory 0"),
    ] {
        let Some(redis) = Redis::start(test, &option) else {
            return;
        };
        let role = Setup::new(redis.address("")).start();
        let text = down(&role);
        assert!(text.contains(why), "{text}");
        assert_eq!(redis.ask(cure).as_deref(), Some("+OK"));
        assert_eq!(role.report(), StoreReport::Up);
        role.worker().eventually_keeps(1, b"sealed");
    }
}
