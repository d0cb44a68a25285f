//! Every byte arrives, in both directions, however either side ends.
#![forbid(unsafe_code)]

use crate::common::{End, Ending as Way, Plain, TempDir, pattern};
use crate::role::{Role, Setup};
use sslserver::privsep::message::Ending;
use std::fs;

crate::tests! {
    input_echoed_by_cat_comes_back_whole_after_close_notify_and_after_a_bare_fin
    a_hundred_megabytes_of_output_are_complete
    an_application_that_works_on_after_the_end_of_its_input_is_heard
    an_application_that_closes_its_output_first_still_gets_its_input
    input_that_waits_for_the_application_outlives_both_ends_of_the_connection
    an_application_that_exits_at_once_closes_the_connection_cleanly
    both_sides_writing_without_reading_first_do_not_block_each_other
    a_client_that_is_reset_is_told_of_and_breaks_the_output
    rubbish_in_the_middle_is_told_of_and_answered_with_an_alert
    a_hundred_connections_at_once_lose_nothing
}

fn input_echoed_by_cat_comes_back_whole_after_close_notify_and_after_a_bare_fin() {
    let role = Setup::new().start();
    let content = pattern(5_000_000);
    for way in [Way::CloseNotify, Way::Fin] {
        let mut side = role.connect();
        let mut cat = side.run("exec cat");
        let (echo, end) = side.tls().exchange(&content, way);
        assert!(echo == content, "{way:?}: {} bytes", echo.len());
        assert_eq!(end, End::Clean, "{way:?}");
        assert_eq!(cat.wait().expect("an end").code(), Some(0));
        role.established(&side);
        let told = (5_000_000, 5_000_000, Ending::Complete);
        assert_eq!(role.finished(&side), told);
    }
}

fn a_hundred_megabytes_of_output_are_complete() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut head = side.run("exec head -c 100M /dev/zero");
    let mut size = 0;
    let end = side
        .tls()
        .transfer(b"", Way::Nothing, |piece| size += piece.len());
    assert_eq!((size, end), (100 << 20, End::Clean));
    head.wait().expect("an end");
}

fn an_application_that_works_on_after_the_end_of_its_input_is_heard() {
    let role = Setup::new().start();
    for way in [Way::CloseNotify, Way::Fin] {
        let mut side = role.connect();
        let mut client = side.tls();
        match way {
            Way::Fin => client.fin(),
            _ => client.close_notify(),
        }
        assert_eq!(side.hear_out(), b"");
        side.say(b"done");
        side.output = None;
        let (reply, end) = client.exchange(b"", Way::Nothing);
        assert_eq!((&reply[..], end), (&b"done"[..], End::Clean), "{way:?}");
        role.established(&side);
        assert_eq!(role.finished(&side), (0, 4, Ending::Complete));
    }
}

fn an_application_that_closes_its_output_first_still_gets_its_input() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut client = side.tls();
    side.output = None;
    let (reply, end) = client.exchange(b"", Way::Nothing);
    assert_eq!((reply.len(), end), (0, End::Clean));
    client.send(&pattern(30_000));
    client.close_notify();
    client.fin();
    assert!(side.hear_out() == pattern(30_000));
    role.established(&side);
    assert_eq!(role.finished(&side), (30_000, 0, Ending::Complete));
}

/// More than its pipe takes, before it reads: both directions of the socket have ended while bytes are still in it.
fn input_that_waits_for_the_application_outlives_both_ends_of_the_connection() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut client = side.tls();
    side.output = None;
    assert_eq!(client.exchange(b"", Way::Nothing).1, End::Clean);
    let content = pattern(3_000_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send(&content);
            client.close_notify();
            client.fin();
        });
        // Not before the client's end may have been told of.
        std::thread::sleep(std::time::Duration::from_millis(500));
        let heard = side.hear_out();
        assert!(heard == content, "{} bytes", heard.len());
    });
    role.established(&side);
    assert_eq!(role.finished(&side), (3_000_000, 0, Ending::Complete));
}

fn an_application_that_exits_at_once_closes_the_connection_cleanly() {
    let role = Setup::new().start();
    for content in [&b""[..], b"never read"] {
        let mut side = role.connect();
        let mut client = side.tls();
        (side.input, side.output) = (None, None);
        let (reply, end) = client.exchange(content, Way::Nothing);
        assert_eq!((reply.len(), end), (0, End::Clean), "sent {content:?}");
        drop(client);
        role.established(&side);
        assert_eq!(role.ending(&side), Ending::Complete);
    }
}

fn both_sides_writing_without_reading_first_do_not_block_each_other() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut application = side.run("head -c 3000000 /dev/zero; head -c 3000000 | wc -c");
    let (reply, end) = side.tls().exchange(&pattern(3_000_000), Way::Nothing);
    assert_eq!((&reply[3_000_000..], end), (&b"3000000\n"[..], End::Clean));
    application.wait().expect("an end");
}

fn a_client_that_is_reset_is_told_of_and_breaks_the_output() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut client = side.tls();
    role.established(&side);
    side.assert_talks(&mut client);
    Plain::accepted(client.tcp()).reset();
    drop(client);
    let told = Ending::ClientGone("Connection reset by peer".into());
    assert_eq!(role.finished(&side), (4, 5, told));
    side.assert_application_ends();
}

fn rubbish_in_the_middle_is_told_of_and_answered_with_an_alert() {
    let role = Setup::new().start();
    let mut side = role.connect();
    let mut client = side.tls();
    role.established(&side);
    side.assert_talks(&mut client);
    let mut tcp = client.tcp();
    std::io::Write::write_all(&mut tcp, &[0xff; 1000]).expect("room");
    let Ending::Broken(reason) = role.ending(&side) else {
        panic!("it goes on");
    };
    // Which of both the library looks at first.
    let wrong = ["wrong version number", "bad record type"];
    assert!(wrong.contains(&&*reason), "{reason}");
    let (bytes, end) = Plain::accepted(tcp).ended();
    assert_eq!((bytes.is_empty(), end), (false, End::Fin));
    side.assert_application_ends();
}

/// Each with a cat of its own.
fn echo(role: &Role, size: usize) {
    let mut side = role.connect();
    let mut cat = side.run("exec cat");
    let content = pattern(size);
    let (echo, end) = side.tls().exchange(&content, Way::CloseNotify);
    assert!(echo == content, "{} bytes of {size}", echo.len());
    assert_eq!(end, End::Clean, "{size}");
    cat.wait().expect("an end");
}

fn a_hundred_connections_at_once_lose_nothing() {
    let role = Setup::new().start();
    let dir = TempDir::new();
    let mut ways = Vec::new();
    for number in 0..100 {
        let mut side = role.connect();
        let file = dir.text(&number.to_string());
        let application = side.run(&format!("head -c {number}00000 | tee {file}; cat >&2"));
        ways.push((number, side.tls(), application));
    }
    std::thread::scope(|scope| {
        for (number, client, _) in &mut ways {
            let dir = &dir;
            scope.spawn(move || {
                let content = pattern(*number * 100_000);
                let (echo, end) = client.exchange(&content, Way::CloseNotify);
                assert!(echo == content, "{number}: {} bytes", echo.len());
                assert_eq!(end, End::Clean, "{number}");
                let written = fs::read(dir.join(&number.to_string())).expect("a file");
                assert!(written == content, "{number}");
            });
        }
    });
    for (_, _, mut application) in ways {
        application.wait().expect("an end");
    }
    echo(&role, 1000);
}
