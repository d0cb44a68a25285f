//! Programs that begin in plain text (`-y`) and say on the channel of ucspi-tls when TLS begins.
#![forbid(unsafe_code)]

use crate::common::keys::{Kind, leaf};
use crate::common::{Caller, Server, Setup, say};
use crate::counterpart::{Counterpart, accept};
use crate::{assert_ended, assert_quiet};
use openssl::ssl::SslVersion;
use std::io::{Read, Write};
use std::path::Path;

/// Answers one line in plain text, begins TLS and says every line again.
fn server() -> Server {
    Setup::new()
        .options(&["-n"])
        .shell("echo 220 hello; read line; echo \"220 $line\"; printf y >&3; cat <&4 >&5")
        .start()
}

fn call(server: &Server, script: &str) -> Caller {
    Caller::of(server).options(&["-y"]).shell(script)
}

/// In plain text, up to the command.
const ASK: &str = "read one <&6; echo \"$one\"; echo STARTTLS >&7; read two <&6; echo \"$two\"";

#[test]
fn plain_text_comes_first_and_tls_when_the_program_says_so() {
    let server = server();
    let script = format!("{ASK}; printf y >&3; echo secret >&5; exec 5>&-; cat <&4; exit 8");
    let outcome = call(&server, &script).run();
    assert_eq!(
        outcome.text(),
        "220 hello\n220 STARTTLS\nsecret\n",
        "{outcome:?}"
    );
    assert_ended(&outcome, 8, "sslclient: connected to: 127.0.0.1 port: *");
    assert_ended(
        &outcome,
        8,
        "sslclient: tls connected to: 127.0.0.1 port: *",
    );
    assert!(!outcome.stderr.contains("error"), "{outcome:?}");
    server.log.wait_for("sslserver: tls * accept");
    server.wait_until_idle();
}

#[test]
fn the_channels_are_in_the_environment_and_the_program_may_ask_what_was_agreed_on() {
    let server = server();
    let script = format!(
        "{ASK}; echo $SSLCTLFD $SSLREADFD $SSLWRITEFD $SSLREMOTEIP \"$SSL_PROTOCOL\"
         printf Y >&3; exec 5>&-; cat <&4; exec 4<&-; cat <&3 | tr '\\0' '\\n' | grep -a -e ^SSL_P -e _S_DN="
    );
    let outcome = call(&server, &script).options(&["-s"]).run();
    let expected = "220 hello\n220 STARTTLS\n3 4 5 127.0.0.1 \n\
                    SSL_PROTOCOL=TLSv1.3\nSSL_SERVER_S_DN=/CN=localhost\n";
    assert_eq!(outcome.text(), expected, "{outcome:?}");
}

#[test]
fn a_program_that_never_asks_goes_on_in_plain_text() {
    let server = Setup::new().options(&["-n"]).shell("cat; exit 4").start();
    for act in ["exec 3>&-", "printf n >&3", ":"] {
        let script = format!("{act}; echo plain >&7; read line <&6; echo \"$line\"; exit 7");
        let outcome = call(&server, &script).run();
        assert_eq!(
            (outcome.code(), &*outcome.text()),
            (7, "plain\n"),
            "{outcome:?}"
        );
        assert!(!outcome.stderr.contains("error"), "{outcome:?}");
    }
}

#[test]
fn a_stranger_is_refused_and_nothing_more_goes_to_it_in_plain_text() {
    let counterpart = Counterpart::new(|mut tcp| {
        tcp.write_all(b"220 go\r\n").expect("room");
        let own = crate::common::keys::root("/CN=localhost");
        let refused = std::panic::catch_unwind(|| {
            accept(tcp.try_clone().expect("a copy"), &own, SslVersion::TLS1_2)
        });
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest);
        // It does not hang up by itself.
        (refused.is_err(), rest, tcp)
    });
    let script = "read go <&6; printf y >&3; cat <&4; cat <&3; cat <&6; (echo password >&7) 2>/dev/null || echo broken";
    let outcome = Caller::to(counterpart.address)
        .options(&["-y"])
        .shell(script)
        .run();
    // It sees the end of all channels, and may say what it has to say of that.
    assert_eq!(outcome.text(), "broken\n", "{outcome:?}");
    assert!(!outcome.stderr.contains("cat: "), "{outcome:?}");
    assert_ended(
        &outcome,
        110,
        "sslclient: error: (110) *unable to validate server certificate*",
    );
    let (refused, rest, _tcp) = counterpart.end();
    assert_eq!((refused, rest), (true, Vec::new()));
}

#[test]
fn what_is_slipped_in_behind_the_answer_is_not_taken_for_tls() {
    let counterpart = Counterpart::new(|mut tcp| {
        tcp.write_all(b"220 go\r\n250 a forged answer\r\n")
            .expect("room");
        std::panic::catch_unwind(|| accept(tcp, leaf(Kind::P256), SslVersion::TLS1_3)).is_err()
    });
    let outcome = Caller::to(counterpart.address)
        .options(&["-y"])
        .shell("read go <&6; printf y >&3; cat <&4")
        .run();
    assert_eq!(outcome.text(), "", "{outcome:?}");
    assert_ended(
        &outcome,
        111,
        "sslclient: fatal: (111) unable to TLS connect to: *",
    );
    assert!(counterpart.end());
}

#[test]
fn plain_text_is_limited_by_the_idle_time() {
    let counterpart = Counterpart::new(|mut tcp| {
        let _ = std::io::copy(&mut tcp, &mut std::io::sink());
    });
    let outcome = Caller::to(counterpart.address)
        .options(&["-y", "-w", "1"])
        .shell("cat <&3; exit 3")
        .run();
    assert_ended(
        &outcome,
        111,
        "sslclient: error: (111) unable to speak TLS with: * idle for too long",
    );
}

#[test]
fn a_letter_goes_to_mailfront_by_starttls() {
    const MAILFRONT: &str = "/usr/sbin/mailfront";
    if !Path::new(MAILFRONT).exists() {
        return say("a_letter_goes_to_mailfront_by_starttls: skipped: needs mailfront");
    }
    let setup = Setup::new();
    for folder in ["queue", "queue/tmp", "queue/new"] {
        setup.dir.subdirectory(folder);
    }
    let queue = setup.dir.text("queue");
    let server = setup
        .options(&["-n", "-l", "mail.example"])
        .env("QUEUEDIR", &queue)
        .env("UCSPITLS", "")
        .program(&[MAILFRONT, "smtp", "queuedir", "starttls-ucspi", "accept"])
        .start();
    // One answer may have several lines; the last has no dash.
    let script = r#"
        in=6 out=7
        hear() { while read -r code <&$in; do case $code in ???-*) ;; *) break;; esac; done; echo "${code%% *}"; }
        say() { printf '%s\r\n' "$1" >&$out; hear; }
        hear; say 'EHLO client.example'; say STARTTLS
        printf y >&3; in=4 out=5
        say 'EHLO client.example'; say 'MAIL FROM:<joe@example.org>'; say 'RCPT TO:<ann@example.org>'
        say DATA; printf 'Subject: by sslclient\r\n\r\nwritten for TLS\r\n' >&$out; say .; say QUIT"#;
    let outcome = call(&server, script).run();
    let codes: Vec<String> = outcome.text().lines().map(str::to_owned).collect();
    let expected = [
        "220", "250", "220", "250", "250", "250", "354", "250", "221",
    ];
    assert_eq!(codes, expected, "{outcome:?}");
    server.wait_until_idle();
    let mut letters = std::fs::read_dir(server.dir.join("queue/new")).expect("the queue");
    let letter = letters.next().expect("a letter").expect("an entry");
    let letter = std::fs::read_to_string(letter.path()).expect("text");
    assert!(letter.contains("written for TLS"), "{letter}");
}

#[test]
fn capital_y_begins_tls_at_once() {
    let server = Setup::new().start();
    let outcome = call(&server, "env | grep CTLFD; exit 1")
        .options(&["-Y"])
        .run();
    assert_eq!((outcome.code(), &*outcome.text()), (1, ""), "{outcome:?}");
    assert_quiet(&outcome);
}
