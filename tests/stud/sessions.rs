//! Clients that come back, to any worker, after a reload, or to another machine.
#![forbid(unsafe_code)]

use crate::common::keys::{authority, leaf, stapled};
use crate::common::{Kind, Running, Serving, Stud};

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];
const TIMES: usize = 11;

fn backend() -> Serving {
    Serving::answering(b"answer")
}

/// A connection that is served; whether it resumed a session.
fn is_reused(stud: &Running, options: &[&str]) -> bool {
    let outcome = stud.s_client(options, "x\n");
    let text = outcome.text();
    assert!(text.contains("answer"), "{outcome:?}");
    assert!(
        text.contains("\nNew, TLS") != text.contains("\nReused, TLS"),
        "{outcome:?}"
    );
    text.contains("\nReused, TLS")
}

/// A full handshake; the session is left in a file.
fn first(stud: &Running, version: &str, more: &[&str]) -> String {
    let file = stud.dir.text(&format!("session{version}"));
    let options = [&[version, "-sess_out", &file], more].concat();
    assert!(!is_reused(stud, &options));
    file
}

fn again(stud: &Running, version: &str, file: &str, more: &[&str]) -> bool {
    is_reused(stud, &[&[version, "-sess_in", file], more].concat())
}

#[test]
fn a_ticket_is_good_at_every_worker() {
    let backend = backend();
    let stud = Stud::to(backend.address).config("workers = 4").start();
    for version in VERSIONS {
        let file = first(&stud, version, &[]);
        for turn in 0..TIMES {
            assert!(again(&stud, version, &file, &[]), "{version} {turn}");
        }
    }
}

#[test]
fn a_ticket_is_good_after_a_reload() {
    let backend = backend();
    let stud = Stud::to(backend.address).start();
    for version in VERSIONS {
        let file = first(&stud, version, &[]);
        for _ in 0..2 {
            stud.reload();
            assert!(again(&stud, version, &file, &[]), "{version}");
        }
    }
}

#[test]
fn a_ticket_is_good_after_a_workers_death() {
    let backend = backend();
    let stud = Stud::to(backend.address).start();
    let files = VERSIONS.map(|version| first(&stud, version, &[]));
    stud.role("ssl-worker")
        .send(nix::sys::signal::Signal::SIGKILL);
    for (version, file) in VERSIONS.iter().zip(&files) {
        assert!(again(&stud, version, file, &[]), "{version}");
    }
}

#[test]
fn a_ticket_is_good_at_another_machine_with_the_same_secrets_and_only_there() {
    let backend = backend();
    let secrets = |word: &str| format!("{}\n", word.repeat(16));
    let machine = |word: &str| {
        let stud = Stud::to(backend.address);
        let file = stud.dir.write("tickets", secrets(word));
        stud.config(&format!("ticket-key-file = \"{}\"", file.display()))
            .start()
    };
    let [one, same, other] = ["same", "same", "diff"].map(machine);
    for version in VERSIONS {
        let file = first(&one, version, &[]);
        assert!(again(&same, version, &file, &[]), "{version}");
        assert!(!again(&other, version, &file, &[]), "{version}");
    }
}

#[test]
fn without_a_ticket_a_session_is_known_to_every_worker_if_there_is_a_cache() {
    let backend = backend();
    let stud = Stud::to(backend.address)
        .config("workers = 4")
        .options(&["-C", "1000"])
        .start();
    let file = first(&stud, "-tls1_2", &["-no_ticket"]);
    for turn in 0..TIMES {
        assert!(again(&stud, "-tls1_2", &file, &["-no_ticket"]), "{turn}");
    }
    for version in VERSIONS {
        let file = first(&stud, version, &[]);
        assert!(
            again(&stud, version, &file, &[]),
            "tickets beside it, {version}"
        );
    }
}

#[test]
fn a_cache_forgets_the_oldest_where_there_is_no_more_room() {
    let backend = backend();
    let stud = Stud::to(backend.address).options(&["-C", "3"]).start();
    let old = first(&stud, "-tls1_2", &["-no_ticket"]);
    let old = std::fs::rename(&old, format!("{old}.old")).map(|()| format!("{old}.old"));
    let old = old.expect("a file of our own");
    let mut last = String::new();
    for _ in 0..8 {
        last = first(&stud, "-tls1_2", &["-no_ticket"]);
    }
    assert!(again(&stud, "-tls1_2", &last, &["-no_ticket"]));
    assert!(!again(&stud, "-tls1_2", &old, &["-no_ticket"]));
}

#[test]
fn the_udp_protocol_of_old_is_refused_with_a_word_of_what_there_is_instead() {
    for option in ["-U", "-P"] {
        let stud = Stud::to(([127, 0, 0, 1], 9).into());
        let outcome = stud.run_with(&["-C", "100", option, "[127.0.0.1]:8844"]);
        assert_eq!(outcome.code(), 1, "{outcome:?}");
        for word in ["ticket-key-file", "session-store"] {
            assert!(outcome.stderr.contains(word), "{outcome:?}");
        }
    }
}

fn with_staple(backend: &Serving, staple: &[u8]) -> Stud {
    let stud = Stud::without_pem(backend.address);
    let cert = stud.file("own.pem", leaf(Kind::P256));
    let file = stud.dir.write("staple.der", staple);
    stud.config(&format!(
        "pem-file = {{\n cert = \"{cert}\"\n ocsp-resp-file = \"{}\"\n}}",
        file.display()
    ))
}

#[test]
fn a_response_from_a_file_is_stapled() {
    let backend = backend();
    let staple = stapled(leaf(Kind::P256), authority());
    let stud = with_staple(&backend, &staple).start();
    for version in VERSIONS {
        let outcome = stud.s_client(&[version, "-status"], "x\n");
        let text = outcome.text();
        assert!(
            text.contains("OCSP Response Status: successful"),
            "{outcome:?}"
        );
        assert!(text.contains("Cert Status: good"), "{outcome:?}");
        let text = stud.s_client(&[version], "x\n").text();
        assert!(!text.contains("OCSP Response Status"), "{text}");
    }
}

#[test]
fn without_a_response_nothing_is_stapled() {
    let backend = backend();
    let stud = Stud::to(backend.address).start();
    let outcome = stud.s_client(&["-status"], "x\n");
    assert!(
        outcome.text().contains("OCSP response: no response sent"),
        "{outcome:?}"
    );
}
