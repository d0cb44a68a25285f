//! Connections that are served, and who asks for the counters.

use nix::sys::signal::Signal;
use openssl::ssl::SslVersion;

use crate::assert_counted;
use crate::common::keys::Kind;
use crate::common::server::LAST_COUNTERS;
use crate::common::{End, Ending, Setup, eventually, s_client};

#[test]
fn a_connection_is_counted_while_it_runs_and_its_bytes_when_it_has_ended() {
    let server = Setup::new().start();
    assert_counted(&server, &[]);
    let mut client = server.connect();
    client.assert_echoes();
    assert_counted(
        &server,
        &[
            ("applications started", 1),
            ("connections accepted", 1),
            ("connections running", 1),
            ("handshakes TLSv1.3", 1),
        ],
    );
    assert_eq!(
        client.exchange(b"12345", Ending::CloseNotify),
        (b"12345".to_vec(), End::Clean)
    );
    drop(client);
    let old = server.dial().version(SslVersion::TLS1_2);
    let reply = old.connect().exchange(b"", Ending::CloseNotify);
    assert_eq!(reply.1, End::Clean);
    let bytes = "still there?\n12345".len() as u64;
    assert_counted(
        &server,
        &[
            ("applications started", 2),
            ("bytes received", bytes),
            ("bytes sent", bytes),
            ("connections accepted", 2),
            ("handshakes TLSv1.2", 1),
            ("handshakes TLSv1.3", 1),
        ],
    );
}

#[test]
fn resumed_handshakes_are_counted_among_the_others() {
    let server = Setup::new().shell("read line; echo hello").start();
    let file = server.dir.text("session");
    for (option, resumed) in [("-sess_out", 0), ("-sess_in", 1)] {
        let outcome = s_client(&server, &["-tls1_3", option, &file], "hello\n");
        assert!(outcome.text().contains("\nhello"), "{outcome:?}");
        eventually("the resumed handshake", || {
            let now = server.counters();
            let expected = (1 + resumed, resumed);
            let found = (now["handshakes TLSv1.3"], now["handshakes resumed"]);
            (found == expected).then_some(())
        });
    }
}

#[test]
fn connections_that_share_processes_are_counted_the_same() {
    let server = Setup::new().options(&["-V", "-j", "2"]).start();
    let dial = server
        .dial()
        .name("mail.example.org")
        .set(|settings| settings.set_groups_list("X25519").expect("a group"));
    let reply = dial.connect().exchange(b"hello", Ending::CloseNotify);
    assert_eq!(reply, (b"hello".to_vec(), End::Clean));
    let line = "sslserver: finished * name=mail.example.org protocol=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 \
                group=x25519 resumed=no received=5 sent=5 seconds=* status=0 end=complete";
    server.log.wait_for(line);
    let mut plain = server.dial().plain();
    plain.send(b"GET / HTTP/1.0\r\n\r\n");
    plain.rest();
    assert_counted(
        &server,
        &[
            ("applications started", 1),
            ("bytes received", 5),
            ("bytes sent", 5),
            ("connections accepted", 2),
            ("failed not_tls", 1),
            ("handshakes TLSv1.3", 1),
        ],
    );
    assert!(server.counters()["memory terminator"] > 0);
}

#[test]
fn an_application_in_plain_text_is_counted_without_a_handshake() {
    let server = Setup::new()
        .options(&["-n"])
        .shell("echo hello; read line")
        .start();
    let mut plain = server.dial().plain();
    assert_eq!(plain.line(), "hello");
    let started = ("applications started", 1);
    let accepted = ("connections accepted", 1);
    assert_counted(&server, &[started, accepted, ("connections running", 1)]);
    drop(plain);
    assert_counted(&server, &[started, accepted]);
}

#[test]
fn keys_that_are_read_again_are_counted_and_those_that_cannot_be() {
    let server = Setup::new().start();
    server.signal(Signal::SIGHUP);
    assert_counted(&server, &[("reloads taken", 1)]);
    server.dir.write("cert0.pem", "rubbish");
    server.signal(Signal::SIGHUP);
    assert_counted(&server, &[("reloads taken", 1), ("reloads refused", 1)]);
}

#[test]
fn every_role_has_memory_and_one_that_is_not_there_has_none() {
    let server = Setup::new().start();
    let found = server.counters();
    for (role, most) in [("listener", 16), ("keeper", 16), ("terminator", 16)] {
        let bytes = found[&format!("memory {role}")];
        assert!((4096..most << 20).contains(&bytes), "{role}: {bytes}");
    }
    assert_eq!(found["memory lookup"], 0);
    let server = Setup::new().options(&["-h"]).start();
    server.role("ssl-lookup");
    assert!(server.counters()["memory lookup"] > 0);
}

#[test]
fn the_counters_are_said_at_every_level_but_q() {
    for level in ["-Q", "-v", "-V"] {
        let server = Setup::bare()
            .keys(&[Kind::P256])
            .options(&["-1", "-H", level])
            .start();
        server.signal(Signal::SIGUSR1);
        server.log.wait_for(LAST_COUNTERS);
    }
    let server = Setup::bare()
        .keys(&[Kind::P256])
        .options(&["-1", "-H", "-q"])
        .start();
    server.signal(Signal::SIGUSR1);
    // SIGTERM is taken after it.
    assert_eq!(server.stop().wait_for_end(), Vec::<String>::new());
}
