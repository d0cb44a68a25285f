//! Very many bytes, each of which has to arrive.
#![forbid(unsafe_code)]

use std::time::Instant;

use crate::common::{Stud, say};
use crate::footprint::Witness;
use crate::part::{self, Part};
use crate::{backend, crowd, size};

crate::tests! {
    every_byte_of_long_streams_arrives_in_its_place
}

fn every_byte_of_long_streams_arrives_in_its_place() {
    // The last record is not a full one.
    let size = size::of(200_000_123, 1_000_000_123);
    let mut backend = Part::start(&[], &[backend::ROLE, "0"]);
    let port = backend.result()[0] as u16;
    let stud = Stud::to(([127, 0, 0, 1], port).into())
        .config("workers = 1")
        .start();
    let _witness = Witness(&stud);
    let target = stud.address().to_string();
    let crowd = |_| Part::start(&[], &[crowd::ROLE, &target]);
    let mut crowds: Vec<Part> = (0..2).map(crowd).collect();
    for version in ["older", "newest"] {
        for direction in ["down", "up"] {
            let began = Instant::now();
            let answers = crowds[0].ask(&format!("stream {version} {direction} {size}"));
            assert_eq!(answers, [1], "{version} {direction}");
            let took = began.elapsed();
            say(&format!("{size} bytes {direction}, {version}: {took:?}"));
        }
    }
    // Both ways at the same time.
    crowds[0].tell(&format!("stream newest down {size}"));
    crowds[1].tell(&format!("stream newest up {size}"));
    let answers: Vec<_> = crowds.iter_mut().map(Part::result).collect();
    assert_eq!(answers, [[1], [1]]);
    assert_eq!(part::all(&mut crowds, "close"), [[0], [0]]);
}
