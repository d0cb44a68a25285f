//! IDENT (`-r`): the user that the client's machine names, in rules, log and environment. The servers are the tests' own,
//! at port 113 of addresses of this machine; to listen there takes root.
#![forbid(unsafe_code)]

mod common;

use common::message::name;
use common::{Responder, Server, Setup, without_root};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// An IDENT server; it tells who asked and what.
fn ident(
    address: &str,
    talk: impl Fn(TcpStream) + Send + 'static,
) -> Receiver<(SocketAddr, String)> {
    let ip: IpAddr = address.parse().expect("an address");
    let listener = TcpListener::bind((ip, 113)).expect("port 113 as root");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let peer = stream.peer_addr().expect("connected");
            let mut question = String::new();
            let mut reader = BufReader::new(stream.try_clone().expect("the same socket"));
            let _ = reader.read_line(&mut question);
            let _ = tell.send((peer, question));
            talk(stream);
        }
    });
    told
}

fn says(answer: &'static [u8]) -> impl Fn(TcpStream) + Send + 'static {
    move |mut stream| drop(stream.write_all(answer))
}

/// Asks for users, not for names.
fn setup() -> Setup {
    let setup = Setup::new().options(&["-r", "-l", "0"]);
    setup
        .host("127.0.0.3")
        .program(&["cat", "/proc/self/environ"])
}

fn environment(server: &Server, source: &str) -> BTreeMap<String, String> {
    server.dial().from(source).connect().environment()
}

#[test]
fn the_user_is_in_the_environment_and_in_the_log() {
    if without_root("the_user_is_in_the_environment_and_in_the_log") {
        return;
    }
    let told = ident("127.0.2.1", says(b"1,2 : USERID : UNIX : joe x\r\n"));
    let server = setup().start();
    let client = server.dial().from("127.0.2.1").connect();
    let port = client.local().port();
    let environment = client.environment();
    assert_eq!(environment["SSLREMOTEINFO"], "joex");
    assert_eq!(environment["TCPREMOTEINFO"], "joex");
    assert_eq!(environment.get("SSLREMOTEHOST"), None);
    let (peer, question) = told.recv().expect("a question");
    assert_eq!(peer.ip(), server.address.ip());
    assert_eq!(question, format!("{port} , {}\r\n", server.port()));
    let local = server.address;
    let line = format!("sslserver: ok * 0:{local} :127.0.2.1:joex:{port}");
    server.log.wait_for(&line);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn rules_know_the_user() {
    if without_root("rules_know_the_user") {
        return;
    }
    let _joe = ident("127.0.2.2", says(b"1,2:USERID:UNIX:joe\r\n"));
    let _eve = ident("127.0.2.3", says(b"1,2:USERID:UNIX:eve\r\n"));
    let rules = "joe@127.0.2.2:allow,MARK=\"joe\"\neve@127.0.2.3:deny\n\
                 joe@127.0.2.3:allow,MARK=\"wrong\"\n:allow,MARK=\"rest\"\n";
    let server = setup().rules("-x", rules).start();
    assert_eq!(environment(&server, "127.0.2.2")["MARK"], "joe");
    assert_eq!(environment(&server, "127.0.2.4")["MARK"], "rest");
    assert!(server.dial().from("127.0.2.3").try_connect().is_err());
    server
        .log
        .wait_for("sslserver: deny * 0:* :127.0.2.3:eve:*");
}

#[test]
fn rules_know_the_user_of_a_host() {
    if without_root("rules_know_the_user_of_a_host") {
        return;
    }
    let _joe = ident("127.0.2.5", says(b"1,2:USERID:UNIX:joe\r\n"));
    let dns = Responder::new(|question, _| vec![question.simply(&name("client.example.org"))]);
    let rules = "joe@=client.example.org:allow,MARK=\"both\"\n:deny\n";
    let setup = setup().rules("-x", rules).options(&["-h"]);
    let server = setup.env("DNSCACHEIP", &dns.address.to_string()).start();
    let environment = environment(&server, "127.0.2.5");
    assert_eq!(environment["MARK"], "both");
    assert_eq!(environment["SSLREMOTEHOST"], "client.example.org");
    let line = "sslserver: ok * 0:* client.example.org:127.0.2.5:joe:*";
    server.log.wait_for(line);
}

#[test]
fn errors_and_refusals_are_no_user() {
    if without_root("errors_and_refusals_are_no_user") {
        return;
    }
    let _error = ident("127.0.2.6", says(b"1,2:ERROR:NO-USER\r\n"));
    let _strange = ident("127.0.2.7", says(b"HTTP/1.0 400 Bad Request\r\n\r\n"));
    let _short = ident("127.0.2.8", says(b"1,2:USERID:UNIX:joe"));
    let server = setup().start();
    // The last one's machine has no such service.
    for source in ["127.0.2.6", "127.0.2.7", "127.0.2.8", "127.0.2.9"] {
        let environment = environment(&server, source);
        assert_eq!(environment.get("SSLREMOTEINFO"), None, "{source}");
    }
    assert_eq!(server.log.count("sslserver: warning: *"), 0);
}

#[test]
fn silence_lasts_no_longer_than_t() {
    if without_root("silence_lasts_no_longer_than_t") {
        return;
    }
    let (hold, held) = channel();
    let told = ident("127.0.2.10", move |stream| drop(hold.send(stream)));
    let server = setup().options(&["-t", "1"]).start();
    let environment = environment(&server, "127.0.2.10");
    assert_eq!(environment.get("SSLREMOTEINFO"), None);
    told.recv().expect("a question");
    drop(held);
    server.log.wait_for("sslserver: ok * 0:* :127.0.2.10::*");
    server.wait_until_idle();
}

#[test]
fn an_answer_without_end_is_ended_by_its_length() {
    if without_root("an_answer_without_end_is_ended_by_its_length") {
        return;
    }
    let (gone, left) = channel();
    let _told = ident("127.0.2.11", move |mut stream| {
        let _ = stream.write_all(b"1,2:USERID:UNIX:");
        while stream.write_all(&[b'u'; 4096]).is_ok() {}
        let _ = gone.send(());
    });
    let server = setup().options(&["-t", "600"]).start();
    let environment = environment(&server, "127.0.2.11");
    assert_eq!(environment.get("SSLREMOTEINFO"), None);
    left.recv_timeout(common::LIMIT).expect("it hung up");
}

#[test]
fn an_answer_that_comes_byte_by_byte_without_end_lasts_no_longer_than_t() {
    if without_root("an_answer_that_comes_byte_by_byte_without_end_lasts_no_longer_than_t") {
        return;
    }
    let _told = ident("127.0.2.12", move |mut stream| {
        let _ = stream.set_nodelay(true);
        while stream.write_all(b"u").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    });
    let server = setup().options(&["-t", "1"]).start();
    let environment = environment(&server, "127.0.2.12");
    assert_eq!(environment.get("SSLREMOTEINFO"), None);
}

#[test]
fn a_user_of_hostile_bytes_breaks_no_line() {
    if without_root("a_user_of_hostile_bytes_breaks_no_line") {
        return;
    }
    let _told = ident(
        "127.0.2.13",
        says(b"1,2:USERID:UNIX:a%s\x01\xc3\xa9:=b\x1b[2J\r\n"),
    );
    // The whole of it is no text: the application shows what is.
    let server = setup()
        .shell("printf %s \"$SSLREMOTEINFO\" | od -An -c -w99")
        .start();
    let shown = server.dial().from("127.0.2.13").connect().text();
    assert_eq!(
        shown.split_whitespace().collect::<String>(),
        r"a%s001303251:=b033[2J"
    );
    let line = "sslserver: ok * 0:* :127.0.2.13:a?s???:=b?[2J:*";
    server.log.wait_for(line);
}

#[test]
fn with_capital_h_only_the_ident_server_is_asked_and_with_capital_r_not_even_that() {
    if without_root("with_capital_h_only_the_ident_server_is_asked") {
        return;
    }
    let told = ident("127.0.2.14", says(b"1,2:USERID:UNIX:joe\r\n"));
    let dns = Responder::new(|question, _| vec![question.simply(&name("client.example.org"))]);
    let servers = dns.address.to_string();
    for (option, info) in [("-r", Some("joe")), ("-R", None)] {
        let setup = setup().env("DNSCACHEIP", &servers).options(&[option]);
        let server = setup.start();
        let environment = environment(&server, "127.0.2.14");
        assert_eq!(environment.get("SSLREMOTEINFO").map(String::as_str), info);
    }
    assert_eq!(told.try_iter().count(), 1);
    assert_eq!(dns.asked(), 0);
}

#[test]
fn many_users_are_asked_for_at_once() {
    if without_root("many_users_are_asked_for_at_once") {
        return;
    }
    let (hold, held) = channel::<TcpStream>();
    let told = ident("127.0.2.15", move |stream| drop(hold.send(stream)));
    let server = setup().options(&["-t", "600"]).start();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..30)
            .map(|_| scope.spawn(|| environment(&server, "127.0.2.15")))
            .collect();
        // Nobody is answered before all are asked about.
        let questions: Vec<_> = (0..30)
            .map(|_| told.recv_timeout(common::LIMIT).expect("a question"))
            .collect();
        assert_eq!(questions.len(), 30);
        for _ in 0..30 {
            let mut stream = held.recv_timeout(common::LIMIT).expect("a connection");
            stream.write_all(b"1,2:USERID:UNIX:joe\r\n").expect("room");
        }
        for client in clients {
            let environment = client.join().expect("no panic");
            assert_eq!(environment["SSLREMOTEINFO"], "joe");
        }
    });
    server.wait_until_idle();
}
