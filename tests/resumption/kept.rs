//! What tickets outlive: new keys, other processes, other machines; and how they are switched off.
#![forbid(unsafe_code)]

use crate::common::keys::{authority, for_names};
use crate::common::{Kind, Server, Setup};
use crate::{ANSWER, VERSIONS, again, assert_quiet, first, is_new};
use nix::sys::signal::Signal;
use std::fs;

const ONE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
const TWO: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\n";

fn with_file(content: &str) -> Server {
    Setup::new()
        .options(&["-s"])
        .shell(ANSWER)
        .file("TICKETKEYFILE", "tickets", content)
        .start()
}

fn reload(server: &Server, times: usize) {
    server.signal(Signal::SIGHUP);
    server
        .log
        .wait_for_nth("sslserver: info: keys are renewed: *", times);
}

#[test]
fn tickets_are_good_after_a_reload_with_another_certificate() {
    let server = Setup::new().options(&["-s"]).shell(ANSWER).start();
    let files = VERSIONS.map(|(version, _)| (version, first(&server, version)));
    let pair = for_names(Kind::P256, authority(), "renewed", &["localhost"]);
    server.dir.write("cert0.pem", &pair.certificate);
    server.dir.write("key0.pem", &pair.key);
    reload(&server, 1);
    for (version, file) in files {
        assert!(!is_new(&again(&server, version, &file)), "{version}");
    }
    assert_quiet(&server);
}

#[test]
fn machines_that_share_a_file_open_each_others_tickets() {
    let (here, there) = (with_file(ONE), with_file(ONE));
    let stranger = with_file(TWO);
    for (version, _) in VERSIONS {
        let file = first(&here, version);
        assert!(!is_new(&again(&there, version, &file)), "{version}");
        assert!(is_new(&again(&stranger, version, &file)), "{version}");
    }
}

#[test]
fn a_new_key_in_front_seals_and_the_old_one_behind_it_still_opens() {
    let server = with_file(ONE);
    let old = VERSIONS.map(|(version, _)| (version, first(&server, version)));
    let old = old.map(|(version, file)| {
        let kept = format!("{file}-old");
        fs::copy(file, &kept).expect("copied");
        (version, kept)
    });
    server.dir.write("tickets", format!("{TWO}{ONE}"));
    reload(&server, 1);
    let other = with_file(TWO);
    for (version, file) in &old {
        assert!(!is_new(&again(&server, version, file)), "{version}");
        assert!(is_new(&again(&other, version, file)), "{version}");
        let new = first(&server, version);
        assert!(!is_new(&again(&other, version, &new)), "{version}");
    }
    server.dir.write("tickets", TWO);
    reload(&server, 2);
    for (version, file) in &old {
        assert!(is_new(&again(&server, version, file)), "{version}");
    }
}

#[test]
fn a_bad_file_is_told_and_the_keys_before_it_stay() {
    let server = with_file(ONE);
    let files = VERSIONS.map(|(version, _)| (version, first(&server, version)));
    server.dir.write("tickets", "once upon a time\n");
    reload(&server, 1);
    let line = server
        .log
        .wait_for("sslserver: error: (111) keys are not renewed, the old ones stay: *");
    assert!(line.contains("/tickets: line 1: "), "{line}");
    for (version, file) in files {
        assert!(!is_new(&again(&server, version, &file)), "{version}");
    }
    let outcome = Setup::new()
        .file("TICKETKEYFILE", "tickets", "once upon a time\n")
        .run();
    assert_eq!(outcome.code(), 111, "{outcome:?}");
}

#[test]
fn tickets_can_be_switched_off_for_all_and_by_rule() {
    for (setup, source) in [
        (Setup::new().env("TICKETS", "off"), "127.0.0.1:0"),
        (
            Setup::new().rules("-x", "127.0.0.2:allow,TICKETS=\"off\"\n:allow\n"),
            "127.0.0.2:0",
        ),
    ] {
        let server = setup.options(&["-s"]).shell(ANSWER).start();
        for (version, _) in VERSIONS {
            let file = server.dir.text("none");
            let options = [version, "-bind", source, "-sess_out", &file];
            let outcome = crate::common::s_client(&server, &options, "hello\n");
            assert!(is_new(&outcome), "{outcome:?}");
            let without = !outcome.text().contains("session ticket:\n");
            assert!(without, "{outcome:?}");
            if fs::exists(&file).expect("known") {
                let options = [version, "-bind", source, "-sess_in", &file];
                let outcome = crate::common::s_client(&server, &options, "hello\n");
                assert!(is_new(&outcome), "{outcome:?}");
            }
        }
    }
    let outcome = Setup::new().env("TICKETS", "perhaps").run();
    assert_eq!(outcome.code(), 100, "{outcome:?}");
}

#[test]
fn whom_an_authority_vouched_for_is_not_resumed_when_it_is_trusted_no_more() {
    let (old, new) = (authority(), crate::common::keys::root("/CN=New Root"));
    let client = crate::common::keys::of_client("DNS:client.example.org");
    let server = Setup::new()
        .options(&["-s", "-m"])
        .shell(ANSWER)
        .file("CAFILE", "authorities", &old.certificate)
        .start();
    let cert = server.dir.write("client-cert", &client.certificate);
    let key = server.dir.write("client-key", &client.key);
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    for (version, _) in VERSIONS {
        let file = server.dir.text(&format!("session{version}"));
        let shown = [version, "-cert", &cert, "-key", &key];
        let come = |more: &[&str]| {
            crate::common::s_client(&server, &[&shown[..], more].concat(), "hello\n")
        };
        assert!(is_new(&come(&["-sess_out", &file])));
        assert!(!is_new(&come(&["-sess_in", &file])));
    }
    server.dir.write("authorities", &new.certificate);
    reload(&server, 1);
    for (version, _) in VERSIONS {
        let file = server.dir.text(&format!("session{version}"));
        let options = [version, "-cert", &cert, "-key", &key, "-sess_in", &file];
        let outcome = crate::common::s_client(&server, &options, "hello\n");
        assert!(!outcome.text().contains("\nhello\n"), "{outcome:?}");
    }
}
