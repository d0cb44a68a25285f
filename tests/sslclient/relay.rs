//! Every byte arrives in both directions, however either side ends; and what is no proper end is told.
#![forbid(unsafe_code)]

use crate::common::keys::{Kind, leaf};
use crate::common::{Caller, Setup, pattern};
use crate::counterpart::{Counterpart, Tls, accept};
use crate::{assert_ended, assert_quiet};
use nix::sys::socket::{setsockopt, sockopt};
use openssl::ssl::SslVersion;
use std::io::{Read, Write};

fn reset_at_close(tls: &Tls) {
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(tls.get_ref(), sockopt::Linger, &linger).expect("linger");
}

const BROKEN: &str = "sslclient: error: (111) unable to speak TLS with: 127.0.0.1 for pid:";

#[test]
fn a_hundred_megabytes_go_to_sslserver_and_come_back() {
    let server = Setup::new().start();
    let content = pattern(100_000_000);
    // The shell gives what runs in the background no input of its own.
    let script = "exec 3<&0; cat <&3 >&7 & exec 7>&-; cat <&6";
    let outcome = Caller::of(&server).shell(script).run_with(&content);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert!(outcome.stdout == content, "{} bytes", outcome.stdout.len());
    server.log.wait_for("sslserver: ended by * status 0");
    server.wait_until_idle();
}

#[test]
fn a_hundred_megabytes_have_one_checksum_at_both_ends_in_either_direction() {
    let setup = Setup::new();
    let file = setup.dir.text("sent");
    let server = setup
        .shell(&format!(
            "head -c 100000000 /dev/urandom >{file}; cat {file}
             sha256sum >{file}.of-client; sha256sum <{file} >&2"
        ))
        .start();
    let caller = Caller::of(&server);
    let own = caller.dir.write("own", pattern(100_000_000));
    let own = own.display();
    let outcome = caller
        .shell(&format!(
            "head -c 100000000 <&6 | sha256sum; cat {own} >&7; exec 7>&-; sha256sum <{own}"
        ))
        .run_with(b"");
    let text = outcome.text();
    let [received, sent] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{outcome:?}");
    };
    server.log.wait_for(received);
    let of_client = std::fs::read_to_string(server.dir.join("sent.of-client"));
    assert_eq!(of_client.expect("its sum").trim_end(), sent.trim_end());
}

#[test]
fn the_server_hears_the_end_of_our_side_and_answers() {
    let server = Setup::new().shell("wc -c; sleep 1; echo done").start();
    let outcome = Caller::of(&server)
        .shell("echo hello >&7; exec 7>&-; cat <&6; exit 5")
        .run();
    assert_eq!(
        (outcome.code(), &*outcome.text()),
        (5, "6\ndone\n"),
        "{outcome:?}"
    );
    assert_quiet(&outcome);
}

#[test]
fn the_program_hears_the_end_of_the_servers_side_and_answers() {
    let counterpart = Counterpart::tls(|mut tls| {
        tls.write_all(b"go on\n").expect("room");
        tls.shutdown().expect("close_notify");
        let mut rest = Vec::new();
        tls.read_to_end(&mut rest).expect("a proper end");
        rest
    });
    let outcome = Caller::to(counterpart.address)
        .shell("cat <&6; sleep 1; echo still here >&7")
        .run();
    assert_eq!(
        (outcome.code(), &*outcome.text()),
        (0, "go on\n"),
        "{outcome:?}"
    );
    assert_quiet(&outcome);
    assert_eq!(counterpart.end(), b"still here\n");
}

#[test]
fn both_sides_writing_first_do_not_block_each_other() {
    let server = Setup::new()
        .shell("head -c 3000000 /dev/zero; head -c 3000000 | wc -c")
        .start();
    let outcome = Caller::of(&server)
        .shell("head -c 3000000 /dev/zero >&7; head -c 3000000 <&6 | wc -c; cat <&6")
        .run();
    assert_eq!(outcome.text(), "3000000\n3000000\n", "{outcome:?}");
}

#[test]
fn what_the_program_wrote_before_it_ended_arrives() {
    let server = Setup::new().shell("cat | wc -c >&2").start();
    let outcome = Caller::of(&server)
        .shell("head -c 5000000 /dev/zero >&7; exit 4")
        .run();
    assert_eq!(outcome.code(), 4, "{outcome:?}");
    server.log.wait_for("5000000");
    server.wait_until_idle();
}

#[test]
fn a_program_that_does_not_read_does_not_hold_up_the_end() {
    let server = Setup::new().shell("head -c 5000000 /dev/zero; cat").start();
    let outcome = Caller::of(&server).program(&["true"]).run();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert_quiet(&outcome);
}

#[test]
fn an_end_without_close_notify_is_told_and_what_came_before_it_arrives() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let counterpart = Counterpart::new(move |tcp| {
            let mut tls = accept(tcp, leaf(Kind::P256), version);
            tls.write_all(b"half of the truth").expect("room");
            // Nothing of the client's is left unread, so that this is no reset.
            let mut request = [0; 4];
            tls.read_exact(&mut request).expect("a request");
        });
        let outcome = Caller::to(counterpart.address)
            .shell("printf tell >&7; cat <&6")
            .run();
        assert_eq!(outcome.text(), "half of the truth", "{outcome:?}");
        assert_ended(
            &outcome,
            111,
            &format!("{BROKEN} * it ended without close_notify"),
        );
    }
}

#[test]
fn so_is_one_that_comes_when_the_program_has_said_its_own_end_and_listens() {
    for is_reset in [false, true] {
        let counterpart = Counterpart::tls(move |mut tls| {
            let mut request = Vec::new();
            tls.read_to_end(&mut request).expect("a proper end");
            tls.write_all(b"half of the truth").expect("room");
            if is_reset {
                reset_at_close(&tls);
            }
            request
        });
        let outcome = Caller::to(counterpart.address)
            .shell("printf tell >&7; exec 7>&-; cat <&6")
            .run();
        // What a reset overtakes is lost.
        assert!(
            is_reset || outcome.text() == "half of the truth",
            "{outcome:?}"
        );
        let line = format!("{BROKEN} * it ended without close_notify");
        assert_ended(&outcome, 111, &line);
        assert_eq!(counterpart.end(), b"tell");
    }
}

#[test]
fn an_end_that_nobody_waits_for_need_not_be_proper() {
    let counterpart = Counterpart::tls(|mut tls| {
        let mut all = Vec::new();
        tls.read_to_end(&mut all).expect("a proper end");
        all
    });
    let outcome = Caller::to(counterpart.address)
        .shell("echo bye >&7; exit 2")
        .run();
    assert_eq!(outcome.code(), 2, "{outcome:?}");
    assert_quiet(&outcome);
    assert_eq!(counterpart.end(), b"bye\n");
}

#[test]
fn a_reset_is_told_and_the_program_runs_to_its_end() {
    let counterpart = Counterpart::tls(|tls| reset_at_close(&tls));
    let outcome = Caller::to(counterpart.address)
        .shell("cat <&6; echo over; exit 3")
        .run();
    assert_eq!(outcome.text(), "over\n", "{outcome:?}");
    assert_ended(
        &outcome,
        111,
        &format!("{BROKEN} * Connection reset by peer"),
    );
}

#[test]
fn bytes_that_are_no_tls_end_the_connection() {
    let counterpart = Counterpart::tls(|tls| {
        let mut tcp = tls.get_ref().try_clone().expect("a copy");
        // The type of a record, because not every library looks at the version first.
        tcp.write_all(b"\x17his is not TLS at all, and longer than a header")
            .expect("room");
        std::io::copy(&mut tcp, &mut std::io::sink()).expect("its end");
    });
    let outcome = Caller::to(counterpart.address).run();
    assert_ended(&outcome, 111, &format!("{BROKEN} * wrong version number"));
}

#[test]
fn idle_time_ends_first_the_input_and_then_the_connection() {
    let server = Setup::new().start();
    // The program has something to say to the first.
    let outcome = Caller::of(&server)
        .options(&["-w", "1"])
        .shell("cat <&6; echo input is over; echo last word >&7")
        .run();
    assert_eq!(
        (outcome.code(), &*outcome.text()),
        (0, "input is over\n"),
        "{outcome:?}"
    );
    let outcome = Caller::of(&server)
        .options(&["-w", "1"])
        .shell("cat <&6; while echo x >&7; do sleep 3; done; exit 6")
        .run();
    assert_ended(&outcome, 111, &format!("{BROKEN} * idle for too long"));
}

#[test]
fn plain_text_is_no_handshake() {
    let counterpart = Counterpart::new(|mut tcp| {
        let _ = tcp.write_all(b"220 mail.example ESMTP\r\n");
        let _ = std::io::copy(&mut tcp, &mut std::io::sink());
    });
    let outcome = Caller::to(counterpart.address).run();
    let line =
        "sslclient: fatal: (111) unable to TLS connect to: 127.0.0.1 port: * wrong version number";
    assert_ended(&outcome, 111, line);
}
