//! Very many requests, while the configuration is read again and again.
#![forbid(unsafe_code)]

use crate::common::{Stud, say};
use crate::footprint::{Footprint, Witness};
use crate::part::Part;
use crate::{backend, crowd, size};

crate::tests! {
    no_request_is_lost_while_the_configuration_is_read_again_and_again
    sessions_in_the_cache_are_resumed_by_all_workers_through_all_reloads
}

const WORKERS: usize = 2;
/// Connections at a time.
const AT_ONCE: u64 = 200;
/// What may stay of all that was done, in bytes.
const REST: u64 = 6 << 20;

fn no_request_is_lost_while_the_configuration_is_read_again_and_again() {
    let load = Load {
        requests: size::of(20_000, 1_000_000),
        reloads: size::of(5, 50),
        crowd: crowd::ROLE,
        rest: REST,
    };
    load.put_on(|stud| stud);
}

fn sessions_in_the_cache_are_resumed_by_all_workers_through_all_reloads() {
    let sessions = size::of(10_000, 100_000);
    let load = Load {
        requests: size::of(10_000, 200_000),
        reloads: size::of(3, 20),
        crowd: crowd::TICKETLESS,
        // The sessions are kept.
        rest: REST + sessions * 512,
    };
    load.put_on(|stud| stud.options(&["-C", &sessions.to_string()]));
}

struct Load {
    requests: u64,
    reloads: u64,
    /// The role of the clients.
    crowd: &'static str,
    /// What may be left in memory, in bytes.
    rest: u64,
}

impl Load {
    fn put_on(&self, change: impl Fn(Stud) -> Stud) {
        let Load {
            requests, reloads, ..
        } = *self;
        let mut backend = Part::start(&[], &[backend::ROLE, "0"]);
        let port = backend.result()[0] as u16;
        let stud = Stud::to(([127, 0, 0, 1], port).into()).config(&format!("workers = {WORKERS}"));
        let stud = change(stud).start();
        let _witness = Witness(&stud);
        let mut crowd = Part::start(&[], &[self.crowd, &stud.address().to_string()]);
        // What is touched for the first time stays.
        crowd.ask(&format!("work {} {AT_ONCE} 0 1", requests / 20));
        stud.reload();
        let before = Footprint::settled(&stud, WORKERS);
        crowd.tell(&format!("work {requests} {AT_ONCE} {reloads} 2"));
        for _ in 0..reloads {
            assert_eq!(crowd.hear(), "mark");
            stud.reload();
        }
        let result = crowd.result();
        let [answers, connections, offered, resumed] = result[..] else {
            panic!("{result:?}");
        };
        let after = Footprint::settled(&stud, WORKERS);
        say(&format!(
            "{answers} answers on {connections} connections, {resumed} of {offered} sessions resumed, \
             {reloads} reloads; before: {before}; after: {after}"
        ));
        assert_eq!(answers, requests);
        assert_eq!(resumed, offered, "a reload forgets nothing");
        assert!(offered > connections / 4, "{offered} of {connections}");
        assert_eq!(after.descriptors, before.descriptors);
        let more = after.total().saturating_sub(before.total());
        assert!(more <= self.rest, "{more} bytes more than before");
    }
}
