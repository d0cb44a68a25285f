//! What is looked up for the program: the names of both ends, and the user at the other.
#![forbid(unsafe_code)]

use crate::common::{Caller, Dnsmasq, Responder, Server, Setup, without_root};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};

const TOLD: &str = "echo \"$SSLLOCALHOST $TCPLOCALHOST $SSLREMOTEHOST $TCPREMOTEHOST $SSLREMOTEINFO $TCPREMOTEINFO\"";

/// /etc/hosts does not know its address.
fn server() -> Server {
    Setup::new().host("127.0.0.3").start()
}

fn call(server: &Server, dns: SocketAddr) -> Caller {
    let options = ["-v", "-N", "-i", "127.0.0.5"];
    Caller::bare("127.0.0.3", server.port())
        .trusting(&[crate::common::keys::authority()])
        .options(&options)
        .env("DNSCACHEIP", &dns.to_string())
        .shell(TOLD)
}

#[test]
fn the_names_of_both_ends_are_looked_up_unless_they_are_not_wanted() {
    let Some(dns) = Dnsmasq::start([
        "--ptr-record=3.0.0.127.in-addr.arpa,Server.Example.ORG",
        "--ptr-record=5.0.0.127.in-addr.arpa,client.example.org",
    ]) else {
        return;
    };
    let server = server();
    let (ours, theirs) = ("client.example.org", "server.example.org");
    for (options, told) in [
        (&[][..], format!("{ours} {ours} {theirs} {theirs}  \n")),
        (&["-l", "me"], format!("me me {theirs} {theirs}  \n")),
        (&["-E"], format!("{ours}  {theirs}   \n")),
        (&["-H"], "     \n".to_owned()),
        (&["-Hl0"], "0 0    \n".to_owned()),
        (&["-Hh"], format!("{ours} {ours} {theirs} {theirs}  \n")),
    ] {
        let outcome = call(&server, dns.address).options(options).run();
        assert_eq!(outcome.text(), told, "{options:?} {outcome:?}");
    }
}

#[test]
fn name_servers_that_do_not_answer_cost_their_time_and_nothing_else() {
    let silent = Responder::new(|_, _| Vec::new());
    let server = server();
    let outcome = call(&server, silent.address).options(&["-t", "1"]).run();
    assert_eq!(
        (outcome.code(), &*outcome.text()),
        (0, "     \n"),
        "{outcome:?}"
    );
    let bad = call(&server, silent.address).env("DNSCACHEIP", "dns.example");
    crate::assert_ended(
        &bad.run(),
        100,
        "sslclient: usage: DNSCACHEIP: not an IP address: *",
    );
}

#[test]
fn the_user_at_the_other_end_is_asked_for() {
    if without_root("the_user_at_the_other_end_is_asked_for") {
        return;
    }
    let server = Setup::new().host("127.0.3.1").start();
    let ident = TcpListener::bind("127.0.3.1:113").expect("port 113 as root");
    let asked = std::thread::spawn(move || {
        let (mut tcp, _) = ident.accept().expect("a question");
        let mut line = String::new();
        let _ = BufReader::new(tcp.try_clone().expect("a copy")).read_line(&mut line);
        let _ = tcp.write_all(b"1,2 : USERID : UNIX : imap\r\n");
        line
    });
    let outcome = Caller::of(&server)
        .options(&["-rN"])
        .shell("echo $SSLREMOTEINFO $TCPREMOTEINFO $SSLLOCALPORT")
        .run();
    let text = outcome.text();
    let port = text
        .trim_end()
        .strip_prefix("imap imap ")
        .expect("the user and a port");
    let line = asked.join().expect("the IDENT server");
    assert_eq!(line, format!("{} , {port}\r\n", server.port()));
}
