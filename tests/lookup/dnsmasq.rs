//! Against a name server that nobody here wrote.
#![forbid(unsafe_code)]

use crate::common::Dnsmasq;
use crate::role::{CHECKED, NAME, Role, Setup, about};
use sslserver::privsep::message::lookup::Wanted;

crate::tests! {
    a_name_is_found_in_lower_case
    an_address_without_a_name_has_none
    a_name_counts_under_p_only_if_the_address_is_one_of_its_own
    our_own_name_is_found_beside_the_clients
    many_different_names_are_asked_for_at_once
}

const RECORDS: [&str; 9] = [
    "--ptr-record=1.2.0.192.in-addr.arpa,Client-1.Example.ORG",
    "--host-record=client-1.example.org,192.0.2.1,2001:db8::1",
    "--ptr-record=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa,client-1.example.org",
    // Claims to be somebody else.
    "--ptr-record=2.2.0.192.in-addr.arpa,client-1.example.org",
    "--ptr-record=2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa,client-1.example.org",
    // Claims to be somebody who has no address.
    "--ptr-record=3.2.0.192.in-addr.arpa,nobody.example.org",
    // As in RFC 2317.
    "--cname=alias.example.org,client-1.example.org",
    "--ptr-record=4.2.0.192.in-addr.arpa,alias.example.org",
    "--ptr-record=5.0.0.127.in-addr.arpa,server.example.org",
];

fn start() -> Option<(Dnsmasq, Role)> {
    let server = Dnsmasq::start(RECORDS)?;
    let role = Setup::asking(&[server.address]).start();
    Some((server, role))
}

fn a_name_is_found_in_lower_case() {
    let Some((_server, role)) = start() else {
        return;
    };
    for ip in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(role.name(NAME, ip).as_deref(), Some("client-1.example.org"));
    }
    // An address of this machine's own is one like any other.
    assert_eq!(
        role.name(NAME, "127.0.0.5").as_deref(),
        Some("server.example.org")
    );
}

fn an_address_without_a_name_has_none() {
    let Some((_server, role)) = start() else {
        return;
    };
    for ip in ["192.0.2.99", "2001:db8::99"] {
        assert_eq!(role.name(NAME, ip), None, "{ip}");
        assert_eq!(role.name(CHECKED, ip), None, "{ip}");
    }
}

fn a_name_counts_under_p_only_if_the_address_is_one_of_its_own() {
    let Some((_server, role)) = start() else {
        return;
    };
    for (ip, name) in [
        ("192.0.2.1", Some("client-1.example.org")),
        ("2001:db8::1", Some("client-1.example.org")),
        ("192.0.2.2", None),
        ("2001:db8::2", None),
        ("192.0.2.3", None),
        ("192.0.2.4", None),
    ] {
        assert!(role.name(NAME, ip).is_some(), "{ip}");
        assert_eq!(role.name(CHECKED, ip).as_deref(), name, "{ip}");
    }
}

fn our_own_name_is_found_beside_the_clients() {
    let Some((_server, role)) = start() else {
        return;
    };
    let wanted = Wanted {
        local_name: true,
        ..NAME
    };
    let mut question = about(1, wanted, "192.0.2.1");
    question.local.set_ip([127, 0, 0, 5].into());
    let answer = role.ask(question);
    assert_eq!(answer.remote_name.as_deref(), Some("client-1.example.org"));
    assert_eq!(answer.local_name.as_deref(), Some("server.example.org"));
    assert_eq!(answer.remote_info, None);
}

fn many_different_names_are_asked_for_at_once() {
    let more: Vec<String> = (1..=200)
        .map(|number| format!("--host-record=host-{number}.example.org,198.51.100.{number}"))
        .collect();
    let Some(server) = Dnsmasq::start(&more) else {
        return;
    };
    let role = Setup::asking(&[server.address]).start();
    let questions: Vec<_> = (1..=200)
        .map(|number| about(number, CHECKED, &format!("198.51.100.{number}")))
        .collect();
    for (number, answer) in role.ask_all(&questions) {
        let name = format!("host-{number}.example.org");
        assert_eq!(answer.remote_name, Some(name));
    }
}
