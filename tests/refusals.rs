//! What a client may ask for in a handshake and does not get.
#![forbid(unsafe_code)]

mod common;

use common::{Kind, Log, Setup, s_client};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

#[test]
fn rsa_key_transport_is_refused_even_when_the_ciphers_name_it() {
    let server = Setup::new()
        .keys(&[Kind::Rsa2048])
        .env("CIPHERS", "ALL")
        .shell("read line; echo hello")
        .start();
    for cipher in ["AES256-GCM-SHA384", "AES128-SHA256", "AES128-SHA"] {
        let outcome = s_client(&server, &["-tls1_2", "-cipher", cipher], "hello\n");
        assert!(!outcome.text().contains("\nhello"), "{cipher}: {outcome:?}");
    }
    assert!(
        s_client(&server, &["-tls1_2"], "hello\n")
            .text()
            .contains("\nhello")
    );
}

#[test]
fn rubbish_costs_its_own_session_and_nothing_else() {
    let server = Setup::new().shell("echo hi").start();
    let hello = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    let mut long = [22, 3, 1, 0x40, 0].to_vec();
    long.extend(common::pattern(0x4000));
    let cases = [
        vec![],
        vec![0],
        vec![22, 3, 1],
        hello.to_vec(),
        vec![0xff; 70_000],
        vec![0; 70_000],
        long,
    ];
    for (number, rubbish) in cases.iter().enumerate() {
        let mut tcp = server.dial().tcp();
        // The server may hang up before it has read all.
        let _ = tcp.write_all(rubbish);
        let _ = tcp.shutdown(std::net::Shutdown::Write);
        let _ = tcp.read_to_end(&mut Vec::new());
        let line = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: * *";
        server.log.wait_for_nth(line, number + 1);
        assert_eq!(server.reply(), "hi\n");
    }
    server.wait_until_idle();
    assert_eq!(
        server.log.count("sslserver: warning: *"),
        0,
        "{:?}",
        server.log.lines()
    );
}

#[test]
fn a_client_cannot_have_a_second_handshake() {
    let server = Setup::new().start();
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-tls1_2",
        "-connect",
        &server.address.to_string(),
    ]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut client = command.spawn().expect("s_client");
    let said = Log::collect(client.stderr.take().expect("piped"));
    server.log.wait_for("sslserver: tls *");
    // A line of one R is s_client's command to ask for another handshake.
    client
        .stdin
        .as_mut()
        .expect("piped")
        .write_all(b"R\n")
        .expect("sending");
    said.wait_for("*no renegotiation*");
    drop(client.stdin.take());
    assert!(common::peers::wait(&mut client, common::LIMIT).is_some());
    server.wait_until_idle();
}
