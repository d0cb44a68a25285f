//! The process as such: what it may, when it ends, and how much it takes on.
#![forbid(unsafe_code)]

use crate::common::message::name;
use crate::common::responder::Responder;
use crate::common::{TempDir, without_root};
use crate::role::{HEADER, NAME, Setup, about};
use nix::sys::socket::{MsgFlags, send};
use sslserver::privsep::message::lookup::{Answer, Wanted};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

crate::tests! {
    it_ends_when_the_listener_does
    it_ends_on_a_message_that_is_none
    it_ends_although_questions_are_under_way
    too_many_questions_are_answered_at_once_with_nothing
    without_a_place_a_connection_that_needs_its_header_is_refused
    a_lack_of_descriptors_costs_names_and_not_the_process
    jailed_and_powerless_it_still_finds_names
    ten_thousand_more_clients_do_not_make_it_grow
}

fn silent() -> Responder {
    Responder::new(|_, _| Vec::new())
}

fn it_ends_when_the_listener_does() {
    assert_eq!(Setup::default().start().end(), Some(0));
}

fn it_ends_on_a_message_that_is_none() {
    for bytes in [&b"x"[..], &[0xff; 40], &[0; 500]] {
        let mut role = Setup::default().start();
        let socket = role.channel().as_fd().as_raw_fd();
        send(socket, bytes, MsgFlags::empty()).expect("room");
        let end = role.channel().receive_within(crate::common::LIMIT);
        assert!(end.is_err());
        assert_eq!(role.end(), Some(0));
    }
}

fn it_ends_although_questions_are_under_way() {
    let server = silent();
    let mut role = Setup::asking(&[server.address]).start();
    for number in 0..50 {
        role.send(about(number, NAME, &format!("192.0.2.{number}")), None);
    }
    assert_eq!(role.end(), Some(0));
}

fn too_many_questions_are_answered_at_once_with_nothing() {
    let server = silent();
    let mut setup = Setup::asking(&[server.address]);
    setup.limit = 10;
    let role = setup.start();
    for number in 0..10 {
        role.send(about(number, NAME, &format!("192.0.2.{number}")), None);
    }
    for number in 10..500 {
        // Those before it are under way for twenty seconds.
        let answer = role.ask(about(number, NAME, "192.0.2.200"));
        assert_eq!(answer, Answer::nothing());
    }
}

fn without_a_place_a_connection_that_needs_its_header_is_refused() {
    let setup = Setup {
        limit: 1,
        ..Setup::default()
    };
    let role = setup.start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let _clients = [TcpStream::connect(address), TcpStream::connect(address)];
    let [first, second] = [(); 2].map(|()| listener.accept().expect("a client").0);
    role.send(about(1, HEADER, "127.0.0.1"), Some(first.as_fd()));
    role.send(about(2, HEADER, "127.0.0.1"), Some(second.as_fd()));
    let (number, answer) = role.answer();
    let reason = "too many connections wait for their PROXY headers";
    assert_eq!((number, answer), (2, Answer::refusal(reason.into())));
}

fn a_lack_of_descriptors_costs_names_and_not_the_process() {
    let server = silent();
    let mut setup = Setup::asking(&[server.address, silent().address]).patience(1500);
    setup.open_files = 64;
    let role = setup.start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let client = TcpStream::connect(listener.local_addr().expect("an address"));
    let client = client.expect("a connection");
    let wanted = Wanted {
        remote_info: true,
        local_name: true,
        ..NAME
    };
    for number in 0..200 {
        let question = about(number, wanted, &format!("127.0.1.{number}"));
        role.send(question, Some(client.as_fd()));
    }
    for _ in 0..200 {
        let (_, answer) = role.answer();
        assert_eq!(answer.remote_name, None);
    }
    assert_eq!(
        role.ask(about(1, Wanted::default(), "192.0.2.1")),
        Answer::nothing()
    );
}

fn jailed_and_powerless_it_still_finds_names() {
    if without_root("jailed_and_powerless_it_still_finds_names") {
        return;
    }
    let server = Responder::new(|question, by| match by {
        crate::common::responder::By::Udp => {
            vec![question.answer(crate::common::message::TRUNCATED, &[])]
        }
        crate::common::responder::By::Tcp => vec![question.simply(&name("client.example.org"))],
    });
    let dir = TempDir::new();
    let mut setup = Setup::asking(&[server.address]);
    setup.root = Some(dir.subdirectory("jail"));
    setup.ids = (61001, 61002);
    let role = setup.start();
    let found = role.name(NAME, "192.0.2.1");
    assert_eq!(found.as_deref(), Some("client.example.org"));
    let process = role.process();
    assert_eq!(process.name, "ssl-lookup");
    process.assert_jailed(&dir.join("jail"), 61001, 61002);
}

fn memory(role: &crate::role::Role) -> u64 {
    let text = role.process().status("VmRSS");
    let kilobytes = text.split(' ').next().and_then(|text| text.parse().ok());
    kilobytes.expect("a number")
}

fn ten_thousand_more_clients_do_not_make_it_grow() {
    let server = Responder::new(|question, _| {
        vec![question.simply(&name(&format!("host.{}example.org", question.name)))]
    });
    let role = Setup::asking(&[server.address]).start();
    let ask = |clients: std::ops::Range<u32>| {
        for first in clients.step_by(200) {
            let questions: Vec<_> = (first..first + 200)
                .map(|n| {
                    about(
                        n.into(),
                        NAME,
                        &Ipv4Addr::from_bits(0x0a00_0000 + n).to_string(),
                    )
                })
                .collect();
            for answer in role.ask_all(&questions).values() {
                assert!(answer.remote_name.is_some());
            }
        }
    };
    // The cache has had its fill.
    ask(0..10_000);
    let filled = memory(&role);
    ask(10_000..20_000);
    let later = memory(&role);
    assert!(later < filled + 4096, "{filled} kB, then {later} kB");
}
