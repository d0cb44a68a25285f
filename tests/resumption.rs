//! Sessions that clients come back to with a ticket. Each connection is another process, so nothing but the ticket
//! can have brought them together.
#![forbid(unsafe_code)]

mod common;
#[path = "resumption/kept.rs"]
mod kept;
#[path = "resumption/stored.rs"]
mod stored;

use common::{
    Kind, Outcome, Server, Setup, eventually, glob, s_client, terminator, without_own_processes,
};
use openssl::ssl::{SslSessionCacheMode, SslVersion};
use stored::{read, ticket, with_early_data, write};

const VERSIONS: [(&str, &str); 2] = [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")];

/// Answers one line with what TLS agreed on.
const ANSWER: &str =
    "read line; echo hello; echo line=$line; echo id=$SSL_SESSION_ID; echo protocol=$SSL_PROTOCOL";

fn serving() -> Server {
    Setup::new().options(&["-s"]).shell(ANSWER).start()
}

/// Whether the session is a new one, which must have served the client in either case.
fn is_new(outcome: &Outcome) -> bool {
    let text = outcome.text();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert!(text.contains("\nhello"), "{outcome:?}");
    let (new, reused) = (
        text.contains("\nNew, TLSv1."),
        text.contains("\nReused, TLSv1."),
    );
    assert!(new != reused, "{outcome:?}");
    new
}

/// A full handshake; the ticket is left in a file.
fn first(server: &Server, version: &str) -> String {
    let file = server.dir.text(&format!("session{version}"));
    let outcome = s_client(server, &[version, "-sess_out", &file], "hello\n");
    assert!(is_new(&outcome), "{outcome:?}");
    file
}

/// Comes with the ticket of the file.
fn again(server: &Server, version: &str, file: &str) -> Outcome {
    s_client(server, &[version, "-sess_in", file], "hello\n")
}

fn assert_quiet(server: &Server) {
    for class in ["fatal", "error", "warning"] {
        let lines = server.log.matching(&format!("sslserver: {class}: *"));
        assert!(lines.is_empty(), "{lines:?}");
    }
}

#[test]
fn a_client_that_comes_back_is_recognized_by_another_process() {
    let server = serving();
    for (version, name) in VERSIONS {
        let file = first(&server, version);
        server.wait_until_idle();
        for _ in 0..3 {
            let outcome = again(&server, version, &file);
            assert!(!is_new(&outcome), "{outcome:?}");
            assert!(
                outcome.text().contains(&format!("\nprotocol={name}")),
                "{outcome:?}"
            );
        }
    }
    server.wait_until_idle();
    assert_quiet(&server);
    server.stop();
}

#[test]
fn a_resumed_session_hands_out_tickets_that_work_too() {
    let server = serving();
    for (version, _) in VERSIONS {
        let file = first(&server, version);
        for turn in 0..3 {
            let options = [version, "-sess_in", &file, "-sess_out", &file];
            let outcome = s_client(&server, &options, "hello\n");
            assert!(!is_new(&outcome), "{version} {turn}: {outcome:?}");
        }
    }
}

#[test]
fn every_kind_of_key_resumes() {
    for kind in common::keys::KINDS {
        let server = Setup::new()
            .keys(&[kind])
            .options(&["-s"])
            .shell(ANSWER)
            .start();
        for (version, _) in VERSIONS {
            let file = first(&server, version);
            assert!(
                !is_new(&again(&server, version, &file)),
                "{kind:?} {version}"
            );
        }
    }
}

#[test]
fn a_ticket_is_opened_after_the_terminator_was_killed() {
    let server = serving();
    let files = VERSIONS.map(|(version, _)| first(&server, version));
    restart(&server, terminator());
    for ((version, _), file) in VERSIONS.iter().zip(&files) {
        let outcome = again(&server, version, file);
        assert!(!is_new(&outcome), "{version}: {outcome:?}");
    }
}

#[test]
fn a_ticket_from_before_the_keeper_was_killed_means_a_full_handshake() {
    let server = serving();
    let files = VERSIONS.map(|(version, _)| first(&server, version));
    restart(&server, "ssl-keeper");
    for ((version, _), file) in VERSIONS.iter().zip(&files) {
        let outcome = again(&server, version, file);
        assert!(is_new(&outcome), "{version}: {outcome:?}");
        let file = first(&server, version);
        assert!(!is_new(&again(&server, version, &file)), "{version}");
    }
    assert_eq!(server.log.count("sslserver: fatal: *"), 0);
    assert_eq!(server.log.count("sslserver: error: *"), 0);
}

/// Kills what there is of a role and waits for what takes its place.
fn restart(server: &Server, role: &str) {
    let old = server.kill(role);
    server
        .log
        .wait_for("sslserver: warning: * ended by signal 9, starting another");
    server.successor(role, &old);
}

#[test]
fn the_ticket_of_another_server_means_a_full_handshake() {
    let (one, other) = (serving(), serving());
    for (version, _) in VERSIONS {
        let file = first(&one, version);
        assert!(is_new(&again(&other, version, &file)), "{version}");
    }
    assert_quiet(&other);
}

#[test]
fn a_ticket_with_one_bit_changed_means_a_full_handshake() {
    let server = serving();
    for (version, _) in VERSIONS {
        let file = first(&server, version);
        let der = read(&file);
        let range = ticket(&der);
        assert!(range.len() > 16 + 16 + 32, "{}", range.len());
        let last = range.len() - 1;
        // The name's two parts, the vector, the sealed state, and the code that vouches for it.
        for place in [0, 5, 20, 40, last - 31, last] {
            let mut changed = der.clone();
            changed[range.start + place] ^= 1;
            let outcome = again(&server, version, &write(&server, &changed));
            assert!(is_new(&outcome), "{version}, byte {place}: {outcome:?}");
        }
        // It was the change and nothing else.
        let outcome = again(&server, version, &write(&server, &der));
        assert!(!is_new(&outcome), "{version}: {outcome:?}");
    }
    assert_quiet(&server);
}

#[test]
fn every_ticket_has_a_name_of_its_own() {
    // Those who share a process have one name a minute.
    if without_own_processes("every_ticket_has_a_name_of_its_own") {
        return;
    }
    let server = serving();
    for (version, _) in VERSIONS {
        let mut names: Vec<Vec<u8>> = (0..5)
            .map(|_| {
                let der = read(&first(&server, version));
                let range = ticket(&der);
                der[range.start..range.start + 16].to_vec()
            })
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 5, "{version}");
    }
}

#[test]
fn no_data_is_taken_before_the_handshake_is_over() {
    let server = serving();
    let file = first(&server, "-tls1_3");
    let bold = write(&server, &with_early_data(&read(&file)));
    let early = server.dir.write("early", "early\n").display().to_string();
    let options = ["-tls1_3", "-sess_in", &bold, "-early_data", &early];
    let outcome = s_client(&server, &options, "late\n");
    assert!(
        outcome.text().contains("Early data was rejected"),
        "{outcome:?}"
    );
    assert!(outcome.text().contains("\nline=late\n"), "{outcome:?}");
}

#[test]
fn a_ticket_comes_to_a_client_that_says_nothing_and_is_told_nothing() {
    let server = Setup::new().program(&["cat"]).start();
    let (giver, given) = std::sync::mpsc::channel();
    let dial = server.dial().version(SslVersion::TLS1_3).set(|settings| {
        settings.set_session_cache_mode(SslSessionCacheMode::CLIENT);
        settings.set_new_session_callback(move |_, session| drop(giver.send(session)));
    });
    let mut client = dial.connect();
    client.tcp().set_nonblocking(true).expect("flags");
    let ticket = eventually("a ticket", || {
        // There is nothing else to be read.
        assert!(client.tls.ssl_read(&mut [0]).is_err());
        given.try_recv().ok()
    });
    assert_eq!(ticket.protocol_version(), SslVersion::TLS1_3);
}

/// What the application was told, in a new session and in a resumed one.
fn identities(server: &Server, version: &str) -> [String; 2] {
    let file = server.dir.text("session");
    ["-sess_out", "-sess_in"].map(|option| {
        let outcome = s_client(server, &[version, option, &file], "hello\n");
        let text = outcome.text();
        let line = text.lines().find_map(|line| line.strip_prefix("id="));
        line.unwrap_or_else(|| panic!("{outcome:?}")).to_owned()
    })
}

#[test]
fn the_application_is_told_the_session_id_as_the_library_has_it() {
    let server = serving();
    for id in identities(&server, "-tls1_3") {
        let digits = id.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        assert!(digits && id.len() == 64, "{id}");
    }
    // Under 1.2 a ticket takes the id's place; who comes back with one chooses an id to be answered with.
    let [new, resumed] = identities(&server, "-tls1_2");
    assert_eq!(new, "");
    let digits = resumed
        .bytes()
        .all(|byte| b"0123456789abcdef".contains(&byte));
    assert!(digits && [0, 64].contains(&resumed.len()), "{resumed}");
}

#[test]
fn many_clients_come_back_at_once() {
    let server = serving();
    let files = VERSIONS.map(|(version, _)| (version, first(&server, version)));
    std::thread::scope(|scope| {
        for turn in 0..20 {
            let (version, file) = &files[turn % 2];
            let server = &server;
            scope.spawn(move || assert!(!is_new(&again(server, version, file)), "{turn}"));
        }
    });
    server.wait_until_idle();
    assert_quiet(&server);
}

#[test]
fn a_resumed_session_is_logged_like_any_other() {
    let server = Setup::new()
        .keys(&[Kind::P256])
        .options(&["-V", "-s"])
        .shell(ANSWER)
        .start();
    let file = first(&server, "-tls1_3");
    assert!(!is_new(&again(&server, "-tls1_3", &file)));
    let line = server.log.wait_for_nth("sslserver: tls *", 2);
    let expected = "sslserver: tls * accept TLSv1.3:TLS_AES_256_GCM_SHA384";
    assert!(glob(expected, &line), "{line}");
}
