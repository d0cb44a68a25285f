//! What the process asks, and when it stops to wait.
#![forbid(unsafe_code)]

use crate::common::message::{CNAME, NXDOMAIN, PTR, Question, SAME, SERVFAIL, name, record};
use crate::common::responder::{By, Responder, too_long_for_udp};
use crate::role::{CHECKED, NAME, Setup, about};
use sslserver::privsep::message::lookup::Wanted;
use std::time::Duration;

crate::tests! {
    what_was_found_is_remembered_and_so_is_what_was_not
    what_may_not_be_remembered_is_not
    a_server_that_fails_or_is_silent_is_spared_for_a_while
    who_wants_nothing_sends_nothing
    an_answer_that_udp_cuts_off_is_fetched_by_tcp
    an_alias_leads_to_the_name
    a_silent_server_costs_its_own_question_and_no_other
    of_two_servers_one_may_be_silent
    two_hundred_questions_to_a_server_that_takes_two_seconds_take_little_more
    a_name_found_counts_even_if_the_check_of_another_never_ends
}

fn simple(question: &Question, _: By) -> Vec<Vec<u8>> {
    vec![question.simply(&name("client.example.org"))]
}

const FOUND: Option<&str> = Some("client.example.org");

fn what_was_found_is_remembered_and_so_is_what_was_not() {
    let server = Responder::new(|question, by| match question.name.starts_with("1.") {
        true => simple(question, by),
        false => vec![question.answer(NXDOMAIN, &[])],
    });
    let role = Setup::asking(&[server.address]).start();
    for _ in 0..10 {
        assert_eq!(role.name(NAME, "192.0.2.1").as_deref(), FOUND);
        assert_eq!(role.name(NAME, "192.0.2.2"), None);
    }
    assert_eq!(server.asked(), 2);
}

fn what_may_not_be_remembered_is_not() {
    let server = Responder::new(|question, _| {
        let data = name("client.example.org");
        vec![question.answer(0, &[record(SAME, PTR, 0, &data)])]
    });
    let role = Setup::asking(&[server.address]).start();
    for asked in 1..=3 {
        assert_eq!(role.name(NAME, "192.0.2.1").as_deref(), FOUND);
        assert_eq!(server.asked(), asked);
    }
}

fn a_server_that_fails_or_is_silent_is_spared_for_a_while() {
    for failing in [true, false] {
        let server = Responder::new(move |question, _| match failing {
            true => vec![question.answer(SERVFAIL, &[])],
            false => Vec::new(),
        });
        let role = Setup::asking(&[server.address]).patience(500).start();
        assert_eq!(role.name(NAME, "192.0.2.1"), None);
        let asked = server.asked();
        assert!(asked > 0);
        for _ in 0..5 {
            assert_eq!(role.name(NAME, "192.0.2.1"), None);
        }
        // One that was under way may have been counted late.
        assert!(server.asked() <= asked + 1, "{failing}");
    }
}

fn who_wants_nothing_sends_nothing() {
    let server = Responder::new(simple);
    let role = Setup::asking(&[server.address]).start();
    role.ask(about(1, Wanted::default(), "192.0.2.1"));
    assert_eq!(server.asked(), 0);
}

fn an_answer_that_udp_cuts_off_is_fetched_by_tcp() {
    // Only the first ones count.
    let server = Responder::new(too_long_for_udp);
    let role = Setup::asking(&[server.address]).start();
    assert_eq!(role.name(NAME, "192.0.2.1").as_deref(), FOUND);
    assert_eq!(server.asked(), 2);
}

fn an_alias_leads_to_the_name() {
    let server = Responder::new(|question, _| {
        let alias = name("1.0-63.2.0.192.in-addr.arpa");
        let records = [
            record(SAME, CNAME, 60, &alias),
            record(&alias, PTR, 60, &name("client.example.org")),
        ];
        vec![question.answer(0, &records)]
    });
    let role = Setup::asking(&[server.address]).start();
    assert_eq!(role.name(NAME, "192.0.2.1").as_deref(), FOUND);
}

fn a_silent_server_costs_its_own_question_and_no_other() {
    let server = Responder::new(|question, by| match question.name.starts_with("1.") {
        true => Vec::new(),
        false => simple(question, by),
    });
    let role = Setup::asking(&[server.address]).patience(1500).start();
    role.send(about(1, NAME, "192.0.2.1"), None);
    role.send(about(2, NAME, "192.0.2.2"), None);
    let (number, answer) = role.answer();
    assert_eq!((number, answer.remote_name.as_deref()), (2, FOUND));
    let (number, answer) = role.answer();
    assert_eq!((number, answer.remote_name), (1, None));
}

fn of_two_servers_one_may_be_silent() {
    let silent = Responder::new(|_, _| Vec::new());
    let server = Responder::new(simple);
    for servers in [
        [silent.address, server.address],
        [server.address, silent.address],
    ] {
        let role = Setup::asking(&servers).start();
        for host in 1..=5 {
            let ip = format!("192.0.2.{host}");
            assert_eq!(role.name(NAME, &ip).as_deref(), FOUND);
        }
    }
}

fn two_hundred_questions_to_a_server_that_takes_two_seconds_take_little_more() {
    let server = Responder::slow(Duration::from_secs(2), simple);
    let role = Setup::asking(&[server.address]).start();
    let questions: Vec<_> = (1..=200)
        .map(|number| about(number, NAME, &format!("192.0.2.{number}")))
        .collect();
    for answer in role.ask_all(&questions).values() {
        assert_eq!(answer.remote_name.as_deref(), FOUND);
    }
}

fn a_name_found_counts_even_if_the_check_of_another_never_ends() {
    let server = Responder::new(|question, by| match question.kind {
        PTR => simple(question, by),
        _ => Vec::new(),
    });
    let role = Setup::asking(&[server.address]).patience(1000).start();
    let wanted = Wanted {
        local_name: true,
        ..CHECKED
    };
    let mut question = about(1, wanted, "192.0.2.1");
    question.local.set_ip([192, 0, 2, 2].into());
    let answer = role.ask(question);
    assert_eq!(answer.remote_name, None);
    assert_eq!(answer.local_name.as_deref(), FOUND);
}
