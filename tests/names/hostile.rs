//! Whoever owns a reverse zone chooses its bytes.
#![forbid(unsafe_code)]

use crate::common::message::{PTR, SAME, labels, name, record};
use crate::common::responder::too_long_for_udp;
use crate::common::{Responder, Server};
use crate::{CLIENT, ENVIRONMENT, NOBODY, OTHER, asking, host};

/// The process that met the answer still answers.
fn assert_well(server: &Server) {
    assert_eq!(host(server, OTHER).as_deref(), Some("well.example.org"));
    assert_eq!(server.log.count("sslserver: warning: *"), 0);
}

fn well(question: &crate::Question) -> Option<Vec<Vec<u8>>> {
    let asked = question.name.starts_with("7.");
    asked.then(|| vec![question.simply(&name("well.example.org"))])
}

#[test]
fn hostile_bytes_are_escaped_in_log_environment_and_rules() {
    let dns = Responder::new(|question, _| {
        let data: [&[u8]; 3] = [b"We%ird\x01", b"a.b =\n", b"\0\xff:\\'\"$(x)"];
        well(question).unwrap_or_else(|| vec![question.simply(&labels(data))])
    });
    let escaped = r#"we\045ird\001.a\056b\040\075\012.\000\377\072\134\047\042\044\050x\051"#;
    let rules = format!("={escaped}:allow,MARK=\"matched\"\n:allow\n");
    let setup = asking(dns.address).rules("-x", &rules).program(ENVIRONMENT);
    let server = setup.start();
    let environment = server.dial().from(CLIENT).connect().environment();
    assert_eq!(environment["SSLREMOTEHOST"], escaped);
    assert_eq!(environment["TCPREMOTEHOST"], escaped);
    assert_eq!(environment["MARK"], "matched");
    let line = format!("sslserver: ok * localhost:* {escaped}:{CLIENT}::*");
    server.log.wait_for(&line);
    assert_well(&server);
    let strange = |line: &String| !line.starts_with("sslserver: ");
    assert_eq!(server.log.lines().iter().find(|line| strange(line)), None);
}

#[test]
fn the_longest_name_arrives_whole_and_is_cut_in_the_log() {
    let label = [0xee_u8; 63];
    let dns = Responder::new(move |question, _| {
        let data = labels([&label[..], &label, &label, &label[..61]]);
        vec![question.simply(&data)]
    });
    let server = asking(dns.address).program(ENVIRONMENT).start();
    let escaped = |count: usize| r"\356".repeat(count);
    let labels = [63, 63, 63, 61].map(escaped).join(".");
    assert_eq!(host(&server, CLIENT), Some(labels));
    let line = format!("sslserver: ok * {}...:{CLIENT}::*", escaped(25));
    server.log.wait_for(&line);
}

#[test]
fn ten_kilobytes_in_one_answer_do_no_harm() {
    let dns = Responder::new(|question, _| {
        let data = name("client.example.org");
        let many = vec![record(SAME, PTR, 60, &data); 320];
        well(question).unwrap_or_else(|| vec![question.answer(0, &many)])
    });
    let server = asking(dns.address).program(ENVIRONMENT).start();
    // Found or not: more than was asked for may be cut off by the system.
    for source in [CLIENT, NOBODY] {
        host(&server, source);
    }
    assert_well(&server);
}

#[test]
fn what_udp_cuts_off_is_fetched_by_tcp() {
    let dns = Responder::new(too_long_for_udp);
    let server = asking(dns.address).program(ENVIRONMENT).start();
    assert_eq!(host(&server, CLIENT).as_deref(), Some("client.example.org"));
    assert_eq!(dns.asked(), 2);
}
