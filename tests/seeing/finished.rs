//! The line at the end of a connection (`-V`).

use std::collections::BTreeMap;
use std::io::Write;

use openssl::ssl::SslVersion;

use crate::common::{End, Ending, Server, Setup, s_client, session};
use crate::reset;

const KEYS: [&str; 11] = [
    "ip", "port", "name", "protocol", "cipher", "group", "resumed", "received", "sent", "seconds",
    "status",
];

fn detailed() -> Setup {
    Setup::new().options(&["-V"])
}

/// The fields of the line with this number, each of which is in its place.
fn finished(server: &Server, number: usize) -> BTreeMap<String, String> {
    let line = server
        .log
        .wait_for_nth("sslserver: finished * end=*", number);
    let (line, reason) = line.split_once(" reason=").unwrap_or((&line, ""));
    let words: Vec<&str> = line.split(' ').collect();
    let pid = words[2];
    server.log.wait_for(&format!("sslserver: ended by {pid} *"));
    let pairs = words[3..]
        .iter()
        .map(|word| word.split_once('=').expect("key=value"));
    let keys: Vec<&str> = pairs.clone().map(|(key, _)| key).collect();
    assert_eq!(keys, [&KEYS[..], &["end"]].concat(), "{line}");
    let mut fields: BTreeMap<String, String> = pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let seconds = &fields["seconds"];
    let (whole, rest) = seconds.split_once('.').expect("a point");
    assert!(whole.parse::<u64>().is_ok() && rest.len() == 3, "{seconds}");
    fields.insert("reason".to_owned(), reason.to_owned());
    fields
}

fn assert_fields(found: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(found[*key], *value, "{key} in {found:?}");
    }
}

#[test]
fn a_finished_connection_tells_what_tls_agreed_on_and_what_it_moved() {
    let server = detailed().shell("cat; exit 3").start();
    for (number, (version, protocol, cipher, (list, group))) in [
        (
            SslVersion::TLS1_2,
            "TLSv1.2",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            ("prime256v1", "secp256r1"),
        ),
        (
            SslVersion::TLS1_3,
            "TLSv1.3",
            "TLS_AES_256_GCM_SHA384",
            ("P-384", "secp384r1"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let dial = server.dial().version(version).name("Mail.Example.org");
        let mut client = dial
            .set(|settings| settings.set_groups_list(list).expect("a group"))
            .connect();
        let port = client.local().port().to_string();
        let echo = client.exchange(b"hello", Ending::CloseNotify);
        assert_eq!(echo, (b"hello".to_vec(), End::Clean));
        drop(client);
        assert_fields(
            &finished(&server, number + 1),
            &[
                ("ip", "127.0.0.1"),
                ("port", &port),
                ("name", "Mail.Example.org"),
                ("protocol", protocol),
                ("cipher", cipher),
                ("group", group),
                ("resumed", "no"),
                ("received", "5"),
                ("sent", "5"),
                ("status", "768"),
                ("end", "complete"),
                ("reason", ""),
            ],
        );
    }
}

#[test]
fn without_a_name_its_field_is_empty_and_a_strange_one_is_made_harmless() {
    let server = detailed().program(&["true"]).start();
    server.reply();
    assert_fields(&finished(&server, 1), &[("name", "")]);
    server.dial().name("a b\n%end=x").connect().text();
    assert_fields(&finished(&server, 2), &[("name", "a?b??end=x")]);
}

#[test]
fn a_resumed_connection_says_so_and_has_a_group() {
    let server = detailed().shell("read line; echo hello").start();
    let mut number = 0;
    for version in ["-tls1_2", "-tls1_3"] {
        let file = server.dir.text(version);
        for (option, resumed) in [("-sess_out", "no"), ("-sess_in", "yes")] {
            let outcome = s_client(&server, &[version, option, &file], "hello\n");
            assert!(outcome.text().contains("\nhello"), "{outcome:?}");
            number += 1;
            assert_fields(
                &finished(&server, number),
                &[
                    ("resumed", resumed),
                    ("group", "x25519"),
                    ("end", "complete"),
                ],
            );
        }
    }
}

#[test]
fn a_client_that_resets_the_connection_is_gone() {
    let server = detailed()
        .shell("read line; echo $line; exec cat /dev/zero")
        .start();
    let mut client = server.connect();
    client.send(b"now\n");
    assert_eq!(client.line(), "now");
    reset(client);
    let found = finished(&server, 1);
    assert_fields(&found, &[("end", "client_gone"), ("received", "4")]);
    let reasons = ["Connection reset by peer", "Broken pipe"];
    assert!(reasons.contains(&found["reason"].as_str()), "{found:?}");
}

#[test]
fn an_idle_connection_says_so() {
    let server = detailed()
        .options(&["-w", "1"])
        .program(&["sleep", "3600"])
        .start();
    let client = server.connect();
    assert_fields(
        &finished(&server, 1),
        &[("end", "idle"), ("status", "15"), ("reason", "")],
    );
    drop(client);
}

#[test]
fn a_client_that_breaks_the_protocol_is_told_with_the_reason() {
    let server = detailed().start();
    let mut client = server.connect();
    client.assert_echoes();
    client.tcp().write_all(&[23, 3, 3, 0, 40]).expect("room");
    client.tcp().write_all(&[0; 40]).expect("room");
    let found = finished(&server, 1);
    assert_fields(&found, &[("end", "broken"), ("received", "13")]);
    assert!(!found["reason"].is_empty(), "{found:?}");
}

#[test]
fn a_session_that_was_killed_ended_without_a_word() {
    let server = detailed().start();
    let mut client = server.connect();
    client.assert_echoes();
    server.kill(session());
    let expected = [
        ("end", "no_word"),
        ("protocol", "TLSv1.3"),
        ("received", "0"),
    ];
    assert_fields(&finished(&server, 1), &expected);
}

#[test]
fn an_application_that_never_asks_for_tls_leaves_its_fields_empty() {
    let server = detailed()
        .options(&["-n"])
        .shell("echo hello; exit 1")
        .start();
    assert_eq!(server.dial().plain().rest(), b"hello\n");
    let expected = [
        ("end", "no_tls"),
        ("protocol", ""),
        ("cipher", ""),
        ("group", ""),
        ("resumed", "no"),
        ("status", "256"),
    ];
    assert_fields(&finished(&server, 1), &expected);
}

#[test]
fn an_application_that_asked_for_tls_in_vain_has_a_line_too() {
    let server = detailed()
        .options(&["-n"])
        .shell("printf y >&$SSLCTLFD; exec cat <&$SSLREADFD")
        .start();
    let mut plain = server.dial().plain();
    plain.send(b"rubbish rubbish rubbish");
    plain.rest();
    let expected = [("end", "handshake_failed"), ("protocol", "")];
    assert_fields(&finished(&server, 1), &expected);
}

#[test]
fn the_line_is_not_there_below_capital_v() {
    let server = Setup::new().program(&["true"]).start();
    server.reply();
    server.wait_until_idle();
    let lines = server.stop().wait_for_end();
    let found = lines.iter().find(|line| line.contains(" end="));
    assert_eq!(found, None);
}
