//! The end: when the listener says so, and when it is gone.
#![forbid(unsafe_code)]

use crate::common::Dial;
use crate::role::{Setup, Side, Wishes};
use sslserver::privsep::message::{Ending, SessionReport};
use std::io::{Read, Write};

crate::tests! {
    a_process_that_is_to_drain_finishes_what_is_there
    a_process_that_has_nothing_leaves_at_once
    a_handshake_whose_listener_drains_goes_on
    a_handshake_whose_listener_is_gone_is_dropped_and_others_go_on
    an_application_in_plain_text_gets_its_tls_though_the_listener_is_gone
    the_last_reports_are_told_before_it_leaves
}

fn a_process_that_is_to_drain_finishes_what_is_there() {
    let mut role = Setup::new().start();
    let mut side = role.connect();
    let mut client = side.tls();
    role.established(&side);
    role.drain();
    side.assert_talks(&mut client);
    client.close_notify();
    assert_eq!(side.hear_out(), b"");
    side.output = None;
    assert_eq!(client.text(), "");
    assert_eq!(role.finished(&side), (4, 5, Ending::Complete));
    assert_eq!(role.wait(), Some(0));
}

fn a_process_that_has_nothing_leaves_at_once() {
    let mut drained = Setup::new().start();
    drained.drain();
    assert_eq!(drained.wait(), Some(0));
    let mut left = Setup::new().start();
    left.leave();
    assert_eq!(left.wait(), Some(0));
}

fn a_handshake_whose_listener_drains_goes_on() {
    let mut role = Setup::new().start();
    let side = role.connect();
    role.drain();
    side.assert_serves(&role);
    assert_eq!(role.wait(), Some(0));
}

fn a_handshake_whose_listener_is_gone_is_dropped_and_others_go_on() {
    let mut role = Setup::new().start();
    let mut there = role.connect();
    let mut client = there.tls();
    role.established(&there);
    let mut side = role.connect_as(&Wishes {
        patience: 600_000,
        ..Wishes::default()
    });
    let mut silent = side.take_client();
    role.leave();
    assert_eq!(silent.read(&mut [0; 1]).expect("an end"), 0);
    side.assert_application_ends();
    there.assert_talks(&mut client);
    client.close_notify();
    assert_eq!(there.hear_out(), b"");
    there.output = None;
    assert_eq!(client.text(), "");
    assert_eq!(role.wait(), Some(0));
}

fn an_application_in_plain_text_gets_its_tls_though_the_listener_is_gone() {
    let mut role = Setup::new().start();
    let address = role.address();
    let [mut side, mut shaking] = [(); 2].map(|()| role.connect_plain());
    let command = |side: &Side| {
        let mut control = side.control.as_ref().expect("its channel");
        control.write_all(b"y").expect("room");
    };
    command(&shaking);
    // Whoever has served this one has heard that command.
    role.connect().assert_serves(&role);
    role.leave();
    command(&side);
    for side in [&mut side, &mut shaking] {
        let mut client = Dial::to(address).over(side.take_client());
        side.assert_talks(&mut client);
        (side.input, side.output) = (None, None);
        assert_eq!(client.text(), "");
    }
    assert_eq!(role.wait(), Some(0));
}

fn the_last_reports_are_told_before_it_leaves() {
    const NUMBER: usize = 300;
    let mut setup = Setup::new();
    setup.environment = true;
    let mut role = setup.start();
    let mut sides: Vec<Side> = (0..NUMBER).map(|_| role.connect()).collect();
    // More than the channel holds, while nobody listens.
    let mut clients: Vec<_> = sides.iter_mut().map(Side::tls).collect();
    for (side, client) in sides.iter_mut().zip(&mut clients) {
        side.assert_talks(client);
    }
    role.drain();
    for (side, client) in sides.iter_mut().zip(clients) {
        (side.input, side.output) = (None, None);
        assert_eq!(client.text(), "");
    }
    let mut established = vec![false; NUMBER];
    let mut finished = vec![false; NUMBER];
    for _ in 0..2 * NUMBER {
        let (number, report) = role.report();
        let place = sides.iter().position(|side| side.number == number);
        let place = place.expect("one of ours");
        match report {
            SessionReport::Established { environment, .. } => {
                assert!(environment.starts_with(b"SSL_"));
                assert!(!std::mem::replace(&mut established[place], true));
            }
            SessionReport::Finished { received, sent, .. } => {
                assert_eq!((received, sent), (4, 5));
                assert!(established[place]);
                assert!(!std::mem::replace(&mut finished[place], true));
            }
            _ => panic!("a failure"),
        }
    }
    assert!(finished.iter().all(|told| *told));
    assert_eq!(role.wait(), Some(0));
}
