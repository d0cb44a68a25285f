//! IDENT against servers that know, do not know, do not answer, or do not stop.
#![forbid(unsafe_code)]

use crate::common::message::name;
use crate::common::responder::Responder;
use crate::role::{INFO, Setup, about};
use sslserver::privsep::message::ToLookup;
use sslserver::privsep::message::lookup::{Answer, Wanted};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

crate::tests! {
    the_user_is_found_and_the_question_comes_from_the_address_that_was_called
    an_error_is_no_user
    a_refused_connection_is_no_user
    silence_is_no_user_and_what_else_is_known_counts
    an_answer_without_end_is_no_user
    an_answer_cut_off_is_no_user
    a_user_of_hostile_bytes_is_bounded
    an_answer_in_single_bytes_counts
}

/// An IDENT server for one connection; it tells who asked and what.
fn server(talk: impl FnOnce(TcpStream) + Send + 'static) -> (u16, Receiver<(SocketAddr, String)>) {
    let listener = TcpListener::bind("127.0.0.7:0").expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let (stream, peer) = listener.accept().expect("the role");
        let mut question = String::new();
        let mut reader = BufReader::new(stream.try_clone().expect("the same socket"));
        reader.read_line(&mut question).expect("a line");
        let _ = tell.send((peer, question));
        talk(stream);
    });
    (port, told)
}

/// A client at 127.0.0.7 called 127.0.0.3.
fn question(wanted: Wanted) -> ToLookup {
    let mut question = about(1, wanted, "127.0.0.7");
    question.local.set_ip([127, 0, 0, 3].into());
    question
}

fn ask(port: u16, patience: u64) -> Answer {
    let mut setup = Setup::default().patience(patience);
    setup.ident_port = port;
    setup.start().ask(question(INFO))
}

fn answers(reply: &'static [u8]) -> Option<Vec<u8>> {
    let (port, _told) = server(move |mut stream| {
        let _ = stream.write_all(reply);
    });
    ask(port, 20_000).remote_info
}

fn the_user_is_found_and_the_question_comes_from_the_address_that_was_called() {
    let (port, told) = server(|mut stream| {
        let _ = stream.write_all(b"52100, 443 : USERID : UNIX : joe x\r\n");
    });
    let answer = ask(port, 20_000);
    assert_eq!(answer.remote_info.as_deref(), Some(&b"joex"[..]));
    let (peer, question) = told.recv().expect("a question");
    assert_eq!(question, "52100 , 443\r\n");
    assert_eq!(peer.ip(), IpAddr::from([127, 0, 0, 3]));
}

fn an_error_is_no_user() {
    assert_eq!(answers(b"52100,443:ERROR:NO-USER\r\n"), None);
    assert_eq!(answers(b"52100,443:ERROR:UNKNOWN-ERROR: x\r\n"), None);
}

fn a_refused_connection_is_no_user() {
    // Bound and not listening.
    let port = crate::common::responder::sockets()
        .0
        .local_addr()
        .expect("an address")
        .port();
    assert_eq!(ask(port, 20_000).remote_info, None);
}

fn silence_is_no_user_and_what_else_is_known_counts() {
    let (_hold, until) = channel::<()>();
    let (port, _told) = server(move |_stream| {
        let _ = until.recv();
    });
    let dns = Responder::new(|question, _| vec![question.simply(&name("client.example.org"))]);
    let mut setup = Setup::asking(&[dns.address]).patience(700);
    setup.ident_port = port;
    let wanted = Wanted {
        remote_name: true,
        local_name: true,
        ..INFO
    };
    let answer = setup.start().ask(question(wanted));
    assert_eq!(answer.remote_info, None);
    assert_eq!(answer.remote_name.as_deref(), Some("client.example.org"));
    assert_eq!(answer.local_name.as_deref(), Some("client.example.org"));
}

fn an_answer_without_end_is_no_user() {
    let (port, _told) = server(|mut stream| {
        let _ = stream.write_all(b"52100,443:USERID:UNIX:");
        while stream.write_all(&[b'u'; 4096]).is_ok() {}
    });
    // Its length ends it, long before the time does.
    assert_eq!(ask(port, 20_000).remote_info, None);
}

fn an_answer_cut_off_is_no_user() {
    assert_eq!(answers(b"52100,443:USERID:UNIX:joe"), None);
    assert_eq!(answers(b""), None);
}

fn a_user_of_hostile_bytes_is_bounded() {
    let info = answers(b"1,2:USERID:UNIX:\x01\xff%s;`rm`:=\x1b[2J\n");
    assert_eq!(info.as_deref(), Some(&b"\x01\xff%s;`rm`:=\x1b[2J"[..]));
    let (port, _told) = server(|mut stream| {
        let line = [&b"1,2:USERID:UNIX:"[..], &[b'u'; 900], b"\r\n"].concat();
        let _ = stream.write_all(&line);
    });
    assert_eq!(ask(port, 20_000).remote_info, Some(vec![b'u'; 257]));
    assert_eq!(answers(b"1,2:USERID:UNIX:a\0b\r\n"), None);
}

fn an_answer_in_single_bytes_counts() {
    let (port, _told) = server(|mut stream| {
        let _ = stream.set_nodelay(true);
        for &byte in b"1,2:USERID:UNIX:joe\r\n" {
            let _ = stream.write_all(&[byte]);
        }
    });
    assert_eq!(ask(port, 20_000).remote_info.as_deref(), Some(&b"joe"[..]));
}
