//! Servers that lie, and owners of reverse zones who choose names to do harm.
#![forbid(unsafe_code)]

use crate::common::message::{A, CNAME, PTR, Question, SAME, labels, name, record};
use crate::common::responder::{By, Responder};
use crate::role::{CHECKED, NAME, Role, Setup};

crate::tests! {
    hostile_bytes_in_a_name_are_escaped
    the_root_is_no_name
    the_longest_name_arrives_whole
    ten_kilobytes_over_udp_do_no_harm
    thousands_of_names_do_no_harm
    aliases_in_a_circle_end
    answers_that_are_no_answers_do_no_harm
    an_answer_to_another_question_does_not_count
    a_name_may_not_be_confirmed_by_an_address_of_another
}

/// The server still serves, and the process too.
fn assert_well(role: &Role) {
    let found = role.name(NAME, "192.0.2.200");
    assert_eq!(found.as_deref(), Some("well.example.org"));
}

/// Answers as told, but a question about 192.0.2.200 always well.
fn server(
    answers: impl Fn(&Question, By) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> (Responder, Role) {
    let server = Responder::new(
        move |question, by| match question.name.starts_with("200.") {
            true => vec![question.simply(&name("well.example.org"))],
            false => answers(question, by),
        },
    );
    let role = Setup::asking(&[server.address]).patience(1000).start();
    (server, role)
}

fn hostile_bytes_in_a_name_are_escaped() {
    let (_server, role) = server(|question, _| {
        let data: [&[u8]; 3] = [b"we%ird\x01", b"A.b =\n", b"\0\xff:\\'\""];
        vec![question.simply(&labels(data))]
    });
    assert_eq!(
        role.name(NAME, "192.0.2.1").as_deref(),
        Some(r"we\045ird\001.a\056b\040\075\012.\000\377\072\134\047\042")
    );
    assert_well(&role);
}

fn the_root_is_no_name() {
    let (_server, role) = server(|question, _| vec![question.simply(&[0])]);
    assert_eq!(role.name(NAME, "192.0.2.1"), None);
    assert_well(&role);
}

fn the_longest_name_arrives_whole() {
    let label = [0xee_u8; 63];
    let (_server, role) = server(move |question, _| {
        vec![question.simply(&labels([&label[..], &label, &label, &label[..61]]))]
    });
    let found = role.name(NAME, "192.0.2.1").map(|name| name.len());
    assert_eq!(found, Some(4 * 250 + 3));
    assert_well(&role);
}

fn ten_kilobytes_over_udp_do_no_harm() {
    let (_server, role) = server(|question, _| {
        let data = name("client.example.org");
        vec![question.answer(0, &vec![record(SAME, PTR, 60, &data); 320])]
    });
    // Found or not: more than was asked for may be cut off by the system.
    role.name(NAME, "192.0.2.1");
    assert_well(&role);
}

fn thousands_of_names_do_no_harm() {
    let (_server, role) = server(|question, by| match by {
        By::Udp => vec![question.answer(crate::common::message::TRUNCATED, &[])],
        By::Tcp => {
            let names = (0..1500).map(|number| name(&format!("name-{number}.example")));
            let records: Vec<_> = names.map(|name| record(SAME, PTR, 60, &name)).collect();
            vec![question.answer(0, &records)]
        }
    });
    assert!(role.name(NAME, "192.0.2.1").is_some());
    // None of them has an address; not all are asked about.
    assert_eq!(role.name(CHECKED, "192.0.2.1"), None);
    assert_well(&role);
}

fn aliases_in_a_circle_end() {
    let (_server, role) = server(|question, _| {
        let (one, other) = (name("one.example"), name("other.example"));
        let records = [
            record(SAME, CNAME, 60, &one),
            record(&one, CNAME, 60, &other),
            record(&other, CNAME, 60, &one),
        ];
        vec![question.answer(0, &records)]
    });
    assert_eq!(role.name(NAME, "192.0.2.1"), None);
    assert_well(&role);
}

fn answers_that_are_no_answers_do_no_harm() {
    type Spoil = fn(&Question) -> Vec<u8>;
    let spoils: [(&str, Spoil); 9] = [
        ("nothing", |_| Vec::new()),
        ("noise", |_| crate::common::pattern(300)),
        ("the number and noise", |question| {
            [&question.id.to_be_bytes()[..], &crate::common::pattern(300)].concat()
        }),
        ("cut off", |question| {
            let mut bytes = question.simply(&name("client.example.org"));
            bytes.truncate(bytes.len() - 3);
            bytes
        }),
        ("a name that points to itself", |question| {
            question.simply(&[0xc0, (question.answer(0, &[]).len() + 12) as u8])
        }),
        ("a name that points beyond the end", |question| {
            question.simply(&[0xff, 0xff])
        }),
        ("more records than there are", |question| {
            let mut bytes = question.simply(&name("client.example.org"));
            bytes[6..12].fill(0xff);
            bytes
        }),
        ("data longer than the message", |question| {
            let mut bytes = question.answer(0, &[]);
            bytes[7] = 1;
            bytes.extend(SAME);
            bytes.extend([0, PTR as u8, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 1, b'x']);
            bytes
        }),
        ("a label of a kind that does not exist", |question| {
            question.simply(&[0x80, b'x', 0])
        }),
    ];
    let (_server, role) = server(move |question, _| {
        let number = question
            .name
            .split('.')
            .next()
            .and_then(|text| text.parse().ok());
        let number: usize = number.unwrap_or_default();
        spoils
            .get(number)
            .map(|(_, spoil)| spoil(question))
            .into_iter()
            .collect()
    });
    for (number, (what, _)) in spoils.iter().enumerate() {
        assert_eq!(
            role.name(NAME, &format!("192.0.2.{number}")),
            None,
            "{what}"
        );
    }
    assert_well(&role);
}

fn an_answer_to_another_question_does_not_count() {
    let (_server, role) = server(|question, _| {
        let good = question.simply(&name("good.example.org"));
        let mut number = question.simply(&name("forged.example.org"));
        number[0] ^= 1;
        let mut other = question.simply(&name("forged.example.org"));
        // The last digit of the address asked about.
        other[13] ^= 1;
        vec![number, other, good]
    });
    let found = role.name(NAME, "192.0.2.1");
    assert_eq!(found.as_deref(), Some("good.example.org"));
}

fn a_name_may_not_be_confirmed_by_an_address_of_another() {
    let (_server, role) = server(|question, _| match question.kind {
        PTR => vec![question.simply(&name("bank.example.org"))],
        // The right address, but of a name that nobody asked for.
        _ => vec![question.answer(0, &[record(&name("evil.example"), A, 60, &[192, 0, 2, 1])])],
    });
    assert_eq!(
        role.name(NAME, "192.0.2.1").as_deref(),
        Some("bank.example.org")
    );
    assert_eq!(role.name(CHECKED, "192.0.2.1"), None);
}
