//! What a client sends behind STARTTLS without waiting is plain text, whoever sent it, and is never taken for something
//! that came through TLS.
#![forbid(unsafe_code)]

use crate::common::{End, Ending, Server};
use crate::{LINES, delayed};

const FAILED: &str = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: *";

/// Says on the log what came out of TLS, and in which way it ended.
const TELL: &str = "\
    while read -r word; do case $word in \
        tls) echo go; printf y >&3; \
            while read -r line <&4; do echo \"obeyed $line\" >&2; done; echo \"nothing more\" >&2; exit 0;; \
        *) echo \"$word\";; \
    esac; done";

fn refuses(server: &Server, mut act: impl FnMut(&mut crate::common::Plain)) {
    let mut plain = server.dial().plain();
    assert_eq!(plain.ask("hello"), "hello");
    act(&mut plain);
    // From here on it is a good client: what fails is what was smuggled in before it.
    let error = plain.try_tls().err();
    assert!(error.is_some(), "TLS began behind smuggled text");
    let line = server.log.wait_for(FAILED);
    assert!(!line.contains("eof"), "{line}");
    server.log.wait_for("sslserver: ended by *");
    server.wait_until_idle();
    assert_eq!(server.log.count("*obeyed*"), 0, "{:?}", server.log.lines());
    assert_eq!(server.log.count("sslserver: tls *"), 0);
}

#[test]
fn a_command_in_the_same_segment_fails_the_handshake() {
    let server = delayed().shell(TELL).start();
    refuses(&server, |plain| {
        plain.send(b"tls\nRSET\n");
        assert_eq!(plain.line(), "go");
    });
}

#[test]
fn a_command_in_a_segment_of_its_own_fails_the_handshake() {
    let server = delayed().shell(TELL).start();
    refuses(&server, |plain| {
        plain.send(b"tls\n");
        plain.send(b"RSET\n");
        assert_eq!(plain.line(), "go");
    });
}

#[test]
fn a_command_after_the_answer_to_starttls_fails_the_handshake() {
    let server = delayed().shell(TELL).start();
    refuses(&server, |plain| {
        assert_eq!(plain.ask("tls"), "go");
        plain.send(b"RSET\n");
    });
}

#[test]
fn a_single_byte_or_a_whole_record_of_rubbish_fails_the_handshake() {
    for rubbish in [&b"\n"[..], &[0], &[22, 3, 1, 0, 4, 1, 0, 0, 0]] {
        let server = delayed().shell(TELL).start();
        let text = [b"tls\n", rubbish].concat();
        refuses(&server, |plain| {
            plain.send(&text);
            assert_eq!(plain.line(), "go");
        });
    }
}

#[test]
fn a_record_of_application_data_in_the_clear_fails_the_handshake() {
    let server = delayed().shell(TELL).start();
    refuses(&server, |plain| {
        plain.send(b"tls\n\x17\x03\x03\x00\x05RSET\n");
        assert_eq!(plain.line(), "go");
    });
}

#[test]
fn what_the_application_has_in_a_buffer_of_its_own_stays_there() {
    // It reads ahead, as careless programs do; what it then has is not repeated on the channel of TLS.
    let script = r#"
        $| = 1;
        $line = <STDIN>;
        print "go\n";
        open(C, ">&=", $ENV{SSLCTLFD}); open(R, "<&=", $ENV{SSLREADFD}); open(W, ">&=", $ENV{SSLWRITEFD});
        syswrite(C, "y");
        while (sysread(R, $got, 65536)) { syswrite(W, "<$got>"); }
    "#;
    let server = delayed().program(&["perl", "-e", script]).start();
    let mut plain = server.dial().plain();
    plain.send(b"tls\nRSET\n");
    assert_eq!(plain.line(), "go");
    let mut client = plain.tls();
    let (said, end) = client.exchange(b"NOOP\n", Ending::CloseNotify);
    assert_eq!(String::from_utf8_lossy(&said), "<NOOP\n>");
    assert_eq!(end, End::Clean);
}

#[test]
fn what_the_application_says_in_plain_text_is_never_part_of_tls() {
    // Its answer leaves before the command, so it stands before the first record.
    let server = delayed().shell(LINES).start();
    let mut plain = server.dial().plain();
    plain.send(b"a\nb\ntls\n");
    assert_eq!([plain.line(), plain.line(), plain.line()], ["a", "b", "go"]);
    plain.tls().assert_echoes();
}
