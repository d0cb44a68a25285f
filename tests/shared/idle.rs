//! Connections on which nothing moves: what they cost, and when they end.
#![forbid(unsafe_code)]

use crate::common::process::status_field;
use crate::common::{Client, End, Ending as Way, library_state, say};
use crate::role::{Role, Setup, Side};
use sslserver::privsep::message::Ending;
use std::time::Duration;

crate::tests! {
    an_idle_connection_ends_its_input_first_and_then_as_a_whole
    what_moves_keeps_a_connection
    a_client_that_never_closes_is_left_soon_after_the_end_of_the_application
    an_application_that_never_reads_costs_bounded_memory
    waiting_costs_no_processor_time_whoever_has_closed_what
    an_idle_connection_costs_little_memory
}

fn idling(milliseconds: u64) -> Role {
    let mut setup = Setup::new();
    setup.idle = milliseconds;
    setup.start()
}

fn an_idle_connection_ends_its_input_first_and_then_as_a_whole() {
    let role = idling(1000);
    let [mut silent, mut speaking] = [(); 2].map(|()| role.connect());
    let mut clients = [&mut silent, &mut speaking].map(Side::tls);
    for side in [&mut silent, &mut speaking] {
        role.established(side);
        assert_eq!(side.hear_out(), b"");
    }
    // That is heard, and begins the time anew.
    speaking.say(b"anybody there?");
    assert_eq!(clients[1].receive(14), b"anybody there?");
    assert_eq!(role.ending(&silent), Ending::Idle);
    assert_eq!(role.finished(&speaking), (0, 14, Ending::Idle));
    silent.assert_application_ends();
}

fn what_moves_keeps_a_connection() {
    let role = idling(3000);
    let mut side = role.connect();
    let mut client = side.tls();
    role.established(&side);
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(500));
        client.send(b"x");
        side.hear(1);
    }
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(500));
        side.say(b"x");
        client.receive(1);
    }
    role.assert_says_nothing();
}

fn a_client_that_never_closes_is_left_soon_after_the_end_of_the_application() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut client = side.tls();
    role.established(&side);
    side.say(b"hi");
    (side.input, side.output) = (None, None);
    let (reply, end) = client.exchange(b"", Way::Nothing);
    assert_eq!((&reply[..], end), (&b"hi"[..], End::Clean));
    assert_eq!(role.finished(&side), (0, 2, Ending::Complete));
}

/// Writes as much as the other side takes without reading.
fn stuff(client: &mut Client, most: usize) -> usize {
    let limit = Some(Duration::from_secs(1));
    client.tls.get_ref().set_write_timeout(limit).expect("set");
    let (piece, mut sent) = (vec![0; 1 << 16], 0);
    while sent < most
        && let Ok(size) = client.tls.ssl_write(&piece)
    {
        sent += size;
    }
    sent
}

fn kilobytes(role: &Role, field: &str) -> usize {
    let text = role.process().status(field);
    let number = text.split(' ').next().and_then(|kb| kb.parse().ok());
    number.expect("kB")
}

fn an_application_that_never_reads_costs_bounded_memory() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut client = side.tls();
    let most = 100 << 20;
    let sent = stuff(&mut client, most);
    assert!(sent < most, "what nobody reads is taken: {sent}");
    let peak = kilobytes(&role, "VmHWM");
    assert!(peak < 32 << 10, "{peak} kB resident");
}

fn waiting_costs_no_processor_time_whoever_has_closed_what() {
    type Action = fn(&mut Side, &mut Client);
    let actions: [Action; 9] = [
        |_, _| {},
        |_, client| client.close_notify(),
        |_, client| client.fin(),
        |side, _| side.input = None,
        |side, _| side.output = None,
        |side, client| {
            side.output = None;
            client.send(&[0; 300_000]);
            client.fin();
        },
        |side, client| {
            side.input = None;
            client.send(&[0; 1000]);
        },
        |_, client| {
            stuff(client, 100 << 20);
        },
        |side, client| {
            side.say(b"more than it reads");
            client.fin();
        },
    ];
    let role = Setup::new().start();
    let mut held = Vec::new();
    for act in actions {
        let mut side = role.connect();
        let mut client = side.tls();
        act(&mut side, &mut client);
        held.push((side, client));
    }
    let before = role.process().ticks;
    std::thread::sleep(Duration::from_secs(2));
    let ticks = role.process().ticks - before;
    assert!(ticks < 20, "{ticks} ticks in two seconds");
}

/// Private memory of the process in kB.
fn private(role: &Role) -> usize {
    let path = format!("/proc/{}/smaps_rollup", role.process().pid);
    let text = std::fs::read_to_string(path).expect("root may read it");
    let kilobytes = |name| {
        let words = status_field(&text, name);
        let number = words.split(' ').next().and_then(|kb| kb.parse().ok());
        number.unwrap_or(0)
    };
    kilobytes("Private_Dirty") + kilobytes("Private_Clean")
}

fn an_idle_connection_costs_little_memory() {
    if crate::common::without_root("an_idle_connection_costs_little_memory") {
        return;
    }
    const NUMBER: usize = 1000;
    let role = Setup::new().start();
    let mut held = Vec::new();
    let more = |held: &mut Vec<_>, number| {
        for _ in 0..number {
            let mut side = role.connect();
            let mut client = side.tls();
            role.established(&side);
            side.assert_talks(&mut client);
            held.push((side, client));
        }
    };
    more(&mut held, 10);
    let before = private(&role);
    more(&mut held, NUMBER);
    // Once it is quiet what was needed meanwhile is given back.
    let each = || (private(&role) - before) as f64 / NUMBER as f64;
    let most = library_state() as f64 / 1000.0 + 6.0;
    let each = crate::common::eventually("little memory", || {
        let each = each();
        (each < most).then_some(each)
    });
    say(&format!("an idle connection costs {each:.1} kB"));
}
