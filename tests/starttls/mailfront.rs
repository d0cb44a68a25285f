//! A mail server that nobody here wrote: mailfront with its plugin for ucspi-tls, and clients of the same kind.
#![forbid(unsafe_code)]

use crate::common::peers::trusted;
use crate::common::{Client, LIMIT, Outcome, Plain, Server, TempDir, run, s_client, say};
use crate::delayed;
use std::fs;
use std::path::Path;
use std::process::Command;

pub const MAILFRONT: &str = "/usr/sbin/mailfront";
const PROGRAM: [&str; 5] = [MAILFRONT, "smtp", "queuedir", "starttls-ucspi", "accept"];

/// Where messages go, below the test's directory.
pub const NEW: &str = "queue/new";

/// True, said aloud, where a program is missing.
pub fn without(programs: &[&str], test: &str) -> bool {
    let missing = programs.iter().find(|program| !Path::new(program).exists());
    if let Some(program) = missing {
        say(&format!("{test}: skipped: needs {program}"));
    }
    missing.is_some()
}

pub fn queue(dir: &TempDir) {
    for folder in ["queue", "queue/tmp", NEW] {
        dir.subdirectory(folder);
    }
}

/// The service of rules/run.starttls-smtp without its other users. A rule offers TLS to all but 127.0.0.9.
fn service() -> Server {
    let setup = delayed();
    queue(&setup.dir);
    let folder = setup.dir.text("queue");
    setup
        .env("QUEUEDIR", &folder)
        .options(&["-l", "mail.example"])
        .rules("-x", "127.0.0.9:allow\n:allow,UCSPITLS=\"\"\n")
        .program(&PROGRAM)
        .start()
}

/// The messages that came, each with its envelope before it.
pub fn messages(server: &Server) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(server.dir.join(NEW))
        .expect("the queue")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text"))
        .collect();
    found.sort();
    found
}

fn swaks(server: &Server, options: &[&str], body: &str) -> Outcome {
    let mut command = Command::new("swaks");
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .args(["--server", "127.0.0.1", "--port"])
        .arg(server.port().to_string())
        .args(["--ehlo", "client.example", "--from", "joe@example.org"])
        .args(["--to", "ann@example.org", "--timeout", "20", "--body"])
        .arg(body)
        .args(options);
    run(command, b"", LIMIT)
}

/// With TLS, and with a look at the certificate.
pub fn swaks_tls(server: &Server, body: &str) -> Outcome {
    let authority = trusted(&server.dir).display().to_string();
    let options = ["--tls", "--tls-verify", "--tls-ca-path", &authority];
    swaks(server, &options, body)
}

pub fn assert_letter(letter: &str, body: &str) {
    assert!(
        letter.starts_with("joe@example.org\0ann@example.org\0\0"),
        "{letter:?}"
    );
    assert!(letter.contains(body), "{letter:?}");
}

#[test]
fn swaks_delivers_through_starttls() {
    if without(
        &[MAILFRONT, "/usr/bin/swaks"],
        "swaks_delivers_through_starttls",
    ) {
        return;
    }
    let server = service();
    let outcome = swaks_tls(&server, "written for TLS");
    assert_eq!(outcome.code(), 0, "{outcome:?} {:?}", server.log.lines());
    assert!(
        outcome
            .text()
            .contains("=== TLS started with cipher TLSv1.3:"),
        "{outcome:?}"
    );
    server.wait_until_idle();
    let found = messages(&server);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_letter(&found[0], "written for TLS");
    server.log.wait_for("sslserver: tls * accept");
    server.log.wait_for("sslserver: ended by * status 0");
    server.stop();
}

#[test]
fn swaks_delivers_in_plain_text_to_the_same_server() {
    let test = "swaks_delivers_in_plain_text_to_the_same_server";
    if without(&[MAILFRONT, "/usr/bin/swaks"], test) {
        return;
    }
    let server = service();
    let outcome = swaks(&server, &[], "written for all");
    assert_eq!(outcome.code(), 0, "{outcome:?} {:?}", server.log.lines());
    server.wait_until_idle();
    let found = messages(&server);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_letter(&found[0], "written for all");
    server.log.wait_for("sslserver: ended by * status 0");
    assert_eq!(server.log.count("sslserver: tls *"), 0);
    assert_eq!(server.log.count("sslserver: error: *"), 0);
}

#[test]
fn starttls_is_offered_where_a_rule_says_so() {
    let test = "starttls_is_offered_where_a_rule_says_so";
    if without(&[MAILFRONT, "/usr/bin/swaks"], test) {
        return;
    }
    let server = service();
    let options = ["--tls", "--local-interface", "127.0.0.9"];
    let outcome = swaks(&server, &options, "never");
    assert_ne!(outcome.code(), 0, "{outcome:?}");
    assert!(!outcome.text().contains("STARTTLS\n"), "{outcome:?}");
    server.wait_until_idle();
    assert_eq!(messages(&server), Vec::<String>::new());
}

const LETTER: &str = "MAIL FROM:<joe@example.org>\nRCPT TO:<ann@example.org>\nDATA\nSubject: a letter\n\nwith s_client\n.\nQUIT\n";

#[test]
fn s_client_delivers_through_starttls_and_comes_back_with_a_ticket() {
    let test = "s_client_delivers_through_starttls_and_comes_back_with_a_ticket";
    if without(&[MAILFRONT], test) {
        return;
    }
    let server = service();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let file = server.dir.text(&format!("session{version}"));
        for (option, how) in [("-sess_out", "New"), ("-sess_in", "Reused")] {
            let options = ["-starttls", "smtp", "-crlf", version, option, &file];
            let outcome = s_client(&server, &options, LETTER);
            assert_eq!(outcome.code(), 0, "{outcome:?}");
            let text = outcome.text();
            assert!(text.contains(&format!("\n{how}, {name}, ")), "{outcome:?}");
            assert!(text.contains("\n221 "), "{outcome:?}");
        }
    }
    server.wait_until_idle();
    let found = messages(&server);
    assert_eq!(found.len(), 4, "{found:?}");
    for letter in &found {
        assert_letter(letter, "with s_client");
    }
}

/// The last line of an answer, whose code must be this one.
fn expect(code: &str, mut line: impl FnMut() -> String) -> String {
    loop {
        let line = line();
        assert!(line.starts_with(code), "not {code}: {line:?}");
        if line.as_bytes().get(3) == Some(&b' ') {
            return line;
        }
    }
}

/// Up to the point where STARTTLS may be said.
fn greeted(server: &Server) -> Plain {
    let mut plain = server.dial().plain();
    expect("220", || plain.line());
    plain.send(b"EHLO client.example\r\n");
    expect("250", || plain.line());
    plain
}

const WORDS: [(&str, &str); 4] = [
    ("MAIL FROM:<joe@example.org>", "250"),
    ("RCPT TO:<ann@example.org>", "250"),
    ("DATA", "354"),
    ("Subject: a letter\r\n\r\nby hand\r\n.", "250"),
];

fn in_tls(client: &mut Client, word: &str, code: &str) -> String {
    client.send(format!("{word}\r\n").as_bytes());
    expect(code, || client.line())
}

#[test]
fn one_connection_delivers_before_and_after_starttls() {
    let test = "one_connection_delivers_before_and_after_starttls";
    if without(&[MAILFRONT], test) {
        return;
    }
    let server = service();
    let mut plain = greeted(&server);
    for (word, code) in WORDS {
        plain.send(format!("{word}\r\n").as_bytes());
        expect(code, || plain.line());
    }
    plain.send(b"STARTTLS\r\n");
    expect("220", || plain.line());
    let mut client = plain.tls();
    in_tls(&mut client, "EHLO client.example", "250");
    for (word, code) in WORDS {
        in_tls(&mut client, word, code);
    }
    // Once is enough.
    in_tls(&mut client, "STARTTLS", "5");
    client.send(b"QUIT\r\n");
    let farewell = client.text();
    assert!(farewell.starts_with("221 "), "{farewell:?}");
    server.wait_until_idle();
    let found = messages(&server);
    assert_eq!(found.len(), 2, "{found:?}");
    found
        .iter()
        .for_each(|letter| assert_letter(letter, "by hand"));
}

const FAILED: &str =
    "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: * wrong version number";

/// What mailfront says inside TLS where it had itself read more than STARTTLS before; and nothing besides.
fn assert_not_obeyed(client: &mut Client) {
    let first = client.line();
    assert!(
        first.starts_with("500 5.5.1 Unexpected pipelined"),
        "{first}"
    );
    // An answer to RSET would come first.
    let answer = in_tls(client, "NOOP", "250");
    assert!(answer.starts_with("250 2.3.0"), "{answer}");
    client.send(b"QUIT\r\n");
    expect("221", || client.line());
}

#[test]
fn rset_behind_starttls_in_one_segment_is_never_obeyed_inside_tls() {
    let test = "rset_behind_starttls_in_one_segment_is_never_obeyed_inside_tls";
    if without(&[MAILFRONT], test) {
        return;
    }
    let server = service();
    let mut plain = greeted(&server);
    plain.send(b"STARTTLS\r\nRSET\r\n");
    expect("220", || plain.line());
    assert_not_obeyed(&mut plain.tls());
    server.wait_until_idle();
}

#[test]
fn rset_behind_starttls_in_a_segment_of_its_own_is_never_obeyed_inside_tls() {
    let test = "rset_behind_starttls_in_a_segment_of_its_own_is_never_obeyed_inside_tls";
    if without(&[MAILFRONT], test) {
        return;
    }
    let server = service();
    // Whether mailfront or the session gets it is chance, so more than once; but twenty failures would share a line.
    let mut failed = 0;
    for _ in 0..15 {
        let mut plain = greeted(&server);
        plain.send(b"STARTTLS\r\n");
        plain.send(b"RSET\r\n");
        expect("220", || plain.line());
        match plain.try_tls() {
            Ok(mut client) => assert_not_obeyed(&mut client),
            Err(_) => {
                failed += 1;
                server.log.wait_for_nth(FAILED, failed);
            }
        }
    }
    server.wait_until_idle();
}

#[test]
fn rset_after_the_answer_to_starttls_fails_the_handshake() {
    let test = "rset_after_the_answer_to_starttls_fails_the_handshake";
    if without(&[MAILFRONT], test) {
        return;
    }
    let server = service();
    let mut plain = greeted(&server);
    plain.send(b"STARTTLS\r\n");
    expect("220", || plain.line());
    plain.send(b"RSET\r\n");
    assert!(plain.try_tls().is_err());
    server.log.wait_for(FAILED);
    server.log.wait_for("sslserver: ended by *");
    server.wait_until_idle();
    assert_eq!(server.log.count("sslserver: tls *"), 0);
}
