//! What the process has, what it may not have, and what happens when something has run out.
#![forbid(unsafe_code)]

use crate::common::{eventually, without_root};
use crate::role::{Role, Setup, Side};
use sslserver::privsep::message::SessionReport;
use std::fs;
use std::path::PathBuf;

crate::tests! {
    the_process_is_confined_and_has_nothing_but_its_channels
    a_listener_that_does_not_listen_keeps_nobody_waiting
    connections_beyond_the_descriptors_wait_and_are_not_lost
    connections_that_have_gone_leave_no_descriptors
    descriptors_that_are_missing_cost_the_connection_alone
}

/// What kinds of descriptors it has, beside what this program was started with.
fn descriptors(role: &Role) -> Vec<String> {
    let folder = fs::read_dir(format!("/proc/{}/fd", role.process().pid));
    let links = folder.expect("root may read it").flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
    let kind = |link: PathBuf| {
        link.display()
            .to_string()
            .split(':')
            .next()
            .map(str::to_owned)
    };
    let mut kinds: Vec<String> = links.filter_map(kind).collect();
    kinds.retain(|kind| ["socket", "anon_inode", "pipe"].contains(&kind.as_str()));
    kinds.sort();
    kinds
}

fn the_process_is_confined_and_has_nothing_but_its_channels() {
    let role = Setup::new().start();
    let process = role.process();
    assert_eq!(process.name, "ssl-shared");
    for (field, value) in [("Seccomp", "2"), ("NoNewPrivs", "1")] {
        assert_eq!(process.status(field), value, "{field}");
    }
    if without_root("the_process_is_confined_and_has_nothing_but_its_channels") {
        return;
    }
    let sockets = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "socket").count();
    let before = descriptors(&role);
    assert_eq!(sockets(&before), 3);
    role.connect().assert_serves(&role);
    eventually("its channels alone", || {
        (descriptors(&role) == before).then_some(())
    });
}

fn a_listener_that_does_not_listen_keeps_nobody_waiting() {
    let mut setup = Setup::new();
    setup.environment = true;
    let role = setup.start();
    let mut sides: Vec<Side> = (0..300).map(|_| role.connect()).collect();
    // Far more than the channel holds.
    let mut clients: Vec<_> = sides.iter_mut().map(Side::tls).collect();
    for (side, client) in sides.iter_mut().zip(&mut clients) {
        side.assert_talks(client);
    }
    for side in &sides {
        assert!(role.established(side).1.starts_with(b"SSL_"));
    }
    role.assert_says_nothing();
}

fn connections_beyond_the_descriptors_wait_and_are_not_lost() {
    let mut setup = Setup::new();
    setup.open_files = 92;
    let role = setup.start();
    // Sixty descriptors are for connections, each of which has three; one that begins in plain text would need four.
    let mut sides: Vec<Side> = (0..30).map(|_| role.connect()).collect();
    let later = sides.split_off(19);
    let mut clients: Vec<_> = sides.iter_mut().map(Side::tls).collect();
    for (side, client) in sides.iter_mut().zip(&mut clients) {
        role.established(side);
        side.assert_talks(client);
    }
    let short = "as many connections as there are descriptors for";
    assert_eq!(role.spells(), [short]);
    drop(clients);
    for side in &mut sides {
        (side.input, side.output) = (None, None);
        role.ending(side);
    }
    for side in later {
        side.assert_serves(&role);
    }
    let spells = role.spells();
    let first_and_last = [spells.first(), spells.last()];
    assert_eq!(
        first_and_last.map(|word| word.map(String::as_str)),
        [Some(short), Some("recovered")]
    );
}

fn connections_that_have_gone_leave_no_descriptors() {
    if without_root("connections_that_have_gone_leave_no_descriptors") {
        return;
    }
    let role = Setup::new().start();
    let before = descriptors(&role);
    for round in 0..60 {
        let mut side = match round % 3 {
            0 => role.connect_plain(),
            _ => role.connect(),
        };
        match round % 4 {
            0 => drop(side.take_client()),
            1 if round % 3 != 0 => drop(side.tls()),
            2 => (side.input, side.output) = (None, None),
            _ => {}
        }
        drop(side);
        while let SessionReport::Established { .. } = role.report().1 {}
    }
    eventually("no more descriptors than before", || {
        (descriptors(&role) == before).then_some(())
    });
}

fn descriptors_that_are_missing_cost_the_connection_alone() {
    let role = Setup::new().start();
    role.announce(99);
    let (number, report) = role.report();
    let SessionReport::Failed { reason, .. } = report else {
        panic!("served without descriptors");
    };
    assert_eq!(
        (number, reason.as_str()),
        (99, "its descriptors are missing")
    );
    role.connect().assert_serves(&role);
}
