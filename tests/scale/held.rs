//! Very many connections at a time.
#![forbid(unsafe_code)]

use crate::common::{Stud, eventually, library_state, say};
use crate::footprint::{Footprint, Witness};
use crate::part::{self, Part};
use crate::{backend, crowd, size};

crate::tests! {
    all_connections_answer_after_all_are_open_and_their_memory_is_given_back
}

/// Clients of one process.
const CROWD: usize = 8000;
/// What a connection may take beside the library's state, in bytes.
const MOST: u64 = 6000;

fn all_connections_answer_after_all_are_open_and_their_memory_is_given_back() {
    let count = size::of(4000, 20_000);
    let (_backends, port) = backends(count);
    // A connection has two descriptors of a worker's.
    let workers = size::processes(2 * count as u64);
    let stud = Stud::to(([127, 0, 0, 1], port).into())
        .config(&format!("workers = {workers}"))
        .start();
    let _witness = Witness(&stud);
    let before = Footprint::of(&stud);
    let target = stud.address().to_string();
    let crowds = count.div_ceil(CROWD).max(size::processes(count as u64));
    let crowd = |_| Part::start(&[], &[crowd::ROLE, &target]);
    let mut crowds: Vec<Part> = (0..crowds).map(crowd).collect();
    let each = count.div_ceil(crowds.len());
    for crowd in &mut crowds {
        crowd.ask(&format!("open {each}"));
    }
    part::all(&mut crowds, "echo 1");
    let held = Footprint::of(&stud);
    let more = held.total().saturating_sub(before.total());
    let each = more / (each * crowds.len()) as u64;
    say(&format!(
        "{count} connections: {held}, before them {before}, {each} bytes each"
    ));
    let most = library_state() + MOST;
    assert!(each < most, "{each} bytes for each connection");
    // Whoever is there stays with the old workers.
    stud.reload();
    part::all(&mut crowds, "echo 1");
    part::all(&mut crowds, "close");
    let after = eventually(
        "as few descriptors as before, and memory given back",
        || {
            let now = Footprint::of(&stud);
            let rest = now.total().saturating_sub(before.total());
            (now.descriptors == before.descriptors && rest <= more / 5).then_some(now)
        },
    );
    say(&format!("after them: {after}"));
}

/// As many as it takes, on one port.
fn backends(count: usize) -> (Vec<Part>, u16) {
    let mut port = 0;
    let mut parts = Vec::new();
    // The kernel shares connections out by chance.
    for _ in 0..size::processes(count as u64 * 11 / 10) {
        let mut part = Part::start(&[], &[backend::ROLE, &port.to_string()]);
        port = part.result()[0] as u16;
        parts.push(part);
    }
    (parts, port)
}
