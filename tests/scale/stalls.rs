//! Clients and backends that stop reading: what is on its way to them has a bound, however many they are.
#![forbid(unsafe_code)]

use crate::common::{Running, Stud, eventually, say};
use crate::footprint::{Footprint, Witness, moved};
use crate::part::Part;
use crate::{backend, crowd, size};

crate::tests! {
    clients_that_do_not_read_take_bounded_memory_and_get_every_byte_at_last
    a_backend_that_does_not_read_takes_bounded_memory
}

const WORKERS: usize = 1;
/// What all of a worker's may keep together in bytes, and each beyond that: OpenSSL's state and a record or two.
const ALL: u64 = 80 << 20;
const EACH: u64 = 48 << 10;
/// What a worker keeps of its first work.
const REST: u64 = 3 << 20;
/// What each client asks for, in bytes: much more than the kernel keeps for it.
const ANSWER: u64 = 2_000_000;
const RECEIVE_BUFFER: u64 = 16_384;

/// With so little room in the kernel that the proxy has to wait.
fn start() -> (Part, Running) {
    let mut backend = Part::start(&[], &[backend::ROLE, "0"]);
    let port = backend.result()[0] as u16;
    let stud = Stud::to(([127, 0, 0, 1], port).into()).config(&format!(
        "workers = {WORKERS}\nsend-bufsize = 65536\nrecv-bufsize = 65536"
    ));
    (backend, stud.start())
}

fn check(what: &str, count: u64, before: &Footprint, now: &Footprint) {
    let more = now.total().saturating_sub(before.total());
    say(&format!(
        "{count} {what}: {now}, {} kB each",
        more / 1024 / count
    ));
    let most = ALL + count * EACH;
    assert!(more <= most, "{more} bytes, {most} at most");
}

fn clients_that_do_not_read_take_bounded_memory_and_get_every_byte_at_last() {
    let count = size::of(600, 3000);
    let (_backend, stud) = start();
    let _witness = Witness(&stud);
    let before = Footprint::of(&stud);
    let mut crowd = Part::start(&[], &[crowd::ROLE, &stud.address().to_string()]);
    crowd.ask(&format!("narrow {RECEIVE_BUFFER}"));
    crowd.ask(&format!("ask {count} {ANSWER}"));
    let mut last = 0;
    let (stalled, sent) = eventually("an end of all that can be sent", || {
        let now = Footprint::settled(&stud, WORKERS);
        let (_, sent) = moved(&stud);
        (std::mem::replace(&mut last, sent) == sent).then_some((now, sent))
    });
    assert!(sent < count * ANSWER, "nobody had to wait");
    check("clients that do not read", count, &before, &stalled);
    assert_eq!(crowd.ask("read"), [count]);
    crowd.ask("close");
    assert_given_back(&stud, &before, &stalled);
}

fn a_backend_that_does_not_read_takes_bounded_memory() {
    let count = size::of(600, 3000);
    let (backend, stud) = start();
    let _witness = Witness(&stud);
    let before = Footprint::of(&stud);
    let mut crowd = Part::start(&[], &[crowd::ROLE, &stud.address().to_string()]);
    let mut poured = crowd.ask(&format!("pour {count}"));
    let stalled = eventually("clients that wait", || {
        let now = Footprint::settled(&stud, WORKERS);
        let more = crowd.ask("pour 0");
        (std::mem::replace(&mut poured, more.clone()) == more).then_some(now)
    });
    check(
        "clients of a backend that does not read",
        count,
        &before,
        &stalled,
    );
    drop((crowd, backend));
    assert_given_back(&stud, &before, &stalled);
}

fn assert_given_back(stud: &Running, before: &Footprint, stalled: &Footprint) {
    let more = stalled.total().saturating_sub(before.total());
    eventually(
        "as few descriptors as before, and memory given back",
        || {
            let now = Footprint::of(stud);
            let rest = now.total().saturating_sub(before.total());
            (now.descriptors == before.descriptors && rest <= more / 5 + REST).then_some(())
        },
    );
}
