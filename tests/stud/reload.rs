//! SIGHUP: all of the configuration or nothing of it, and nobody notices.
#![forbid(unsafe_code)]

use crate::common::daemon::free;
use crate::common::keys::{Kind, authority, for_names};
use crate::common::peers::must;
use crate::common::stud::backend_line;
use crate::common::{Backend, Client, Dial, End, Ending, Running, Serving, Stud, eventually};
use nix::sys::signal::Signal;
use openssl::ssl::SslVersion;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub fn answer(stud: &Running) -> String {
    heard(stud.connect())
}

fn heard(mut client: Client) -> String {
    let (words, end) = client.exchange(b"x", Ending::Nothing);
    assert_eq!(end, End::Clean);
    String::from_utf8(words).expect("text")
}

/// A reload of one worker that is idle: until the old one is gone it may have taken a client in.
fn settled_reload(stud: &Running) {
    stud.reload();
    stud.wait_for_roles("ssl-worker", 1);
}

/// So many clients at least.
const ENOUGH: usize = 20;

/// Clients come one after the other until the deed is done, and each hears its whole answer.
fn under_load(stud: &Running, answers: &[&str], deed: impl FnOnce()) {
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let said = answer(stud);
                    assert!(answers.contains(&said.as_str()), "{said:?}");
                    let number = served.fetch_add(1, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) && number > ENOUGH {
                        break;
                    }
                }
            });
        }
        deed();
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn five_reloads_under_load_lose_no_connection() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).config("workers = 4").start();
    under_load(&stud, &["answer"], || {
        for _ in 0..5 {
            stud.reload();
        }
    });
    stud.wait_for_roles("ssl-worker", 4);
    stud.wait_for_roles("ssl-keeper", 1);
    stud.stop();
}

#[test]
fn another_backend_counts_after_a_reload() {
    let (one, other) = (Serving::answering(b"one"), Serving::answering(b"other"));
    let mut stud = Stud::to(one.address).start();
    assert_eq!(answer(&stud), "one");
    stud.edit(&backend_line(one.address), &backend_line(other.address));
    assert_eq!(answer(&stud), "one");
    settled_reload(&stud);
    assert_eq!(answer(&stud), "other");
}

#[test]
fn other_tls_settings_count_after_a_reload_though_no_certificate_changed() {
    let backend = Serving::answering(b"answer");
    let mut stud = Stud::to(backend.address)
        .config("tls-protos = TLSv1.2 TLSv1.3\nalpn-protos = \"h2\"")
        .start();
    let old = || stud.dial().version(SslVersion::TLS1_2);
    assert_eq!(heard(old().connect()), "answer");
    stud.edit("TLSv1.2 TLSv1.3", "TLSv1.3");
    stud.edit("\"h2\"", "\"http/1.1\"");
    settled_reload(&stud);
    assert!(
        stud.dial()
            .version(SslVersion::TLS1_2)
            .try_connect()
            .is_err()
    );
    let client = stud.dial().set(|settings| {
        settings
            .set_alpn_protos(b"\x08http/1.1")
            .expect("protocols");
    });
    let client = client.connect();
    assert_eq!(
        client.tls.ssl().selected_alpn_protocol(),
        Some(&b"http/1.1"[..])
    );
}

#[test]
fn a_renewed_certificate_counts_after_a_reload() {
    let backend = Serving::answering(b"answer");
    let pair = |label| for_names(Kind::P256, authority(), label, &["localhost"]);
    let stud = Stud::without_pem(backend.address)
        .pem("own.pem", &pair("old"))
        .start();
    let renewed = pair("renewed");
    stud.dir
        .write("own.pem", format!("{}{}", renewed.key, renewed.certificate));
    assert_eq!(stud.connect().shown(), "old");
    settled_reload(&stud);
    assert_eq!(stud.connect().shown(), "renewed");
}

#[test]
fn frontends_come_and_go_with_a_reload() {
    let backend = Serving::answering(b"answer");
    // A port of the kernel's choice belongs to the frontend's place.
    let second = free("127.0.0.2");
    let added = format!("frontend = \"[127.0.0.2]:{}\"", second.port());
    let mut stud = Stud::to(backend.address).config("# here").start();
    let first = stud.address();
    stud.edit("# here", &added);
    settled_reload(&stud);
    stud.read_addresses();
    let addresses = stud.addresses.clone();
    assert_eq!((addresses.len(), addresses[0]), (2, first));
    for address in addresses {
        assert_eq!(heard(Dial::to(address).connect()), "answer");
    }
    stud.edit("frontend = \"[127.0.0.1]:0\"", "");
    settled_reload(&stud);
    assert_eq!(heard(Dial::to(second).connect()), "answer");
    let refused = std::net::TcpStream::connect(first).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn more_and_fewer_workers_come_with_a_reload() {
    let backend = Serving::answering(b"answer");
    let mut stud = Stud::to(backend.address).config("workers = 1").start();
    for (from, to) in [(1, 3), (3, 2)] {
        stud.edit(&format!("workers = {from}"), &format!("workers = {to}"));
        stud.reload();
        stud.wait_for_roles("ssl-worker", to);
        assert_eq!(answer(&stud), "answer");
    }
}

#[test]
fn a_listening_socket_that_stays_takes_up_what_it_is_told_anew() {
    let backend = Serving::answering(b"answer");
    let mut stud = Stud::to(backend.address).config("backlog = 7").start();
    let address = stud.address();
    let backlog = || {
        let mut command = std::process::Command::new("ss");
        command.args(["-Hltn", "src", &address.to_string()]);
        let text = String::from_utf8(must(command)).expect("text");
        text.split_whitespace().nth(2).map(str::to_owned)
    };
    assert_eq!(backlog().as_deref(), Some("7"));
    stud.edit("backlog = 7", "backlog = 77");
    stud.reload();
    assert_eq!(backlog().as_deref(), Some("77"));
}

#[test]
fn a_connection_from_before_a_reload_goes_on_to_its_end() {
    let backend = Backend::new();
    let stud = Stud::to(backend.address).start();
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    let old = stud.role("ssl-worker");
    stud.reload();
    client.send(b"question");
    assert_eq!(accepted.receive(8), b"question");
    accepted.send(b"answer");
    assert_eq!(client.receive(6), b"answer");
    assert!(!old.is_gone());
    drop(accepted);
    assert_eq!(client.exchange(b"", Ending::CloseNotify).1, End::Clean);
    drop(client);
    eventually("the old worker's end", || old.is_gone().then_some(()));
}

#[test]
fn connections_that_do_not_end_after_a_reload_are_ended_after_a_while() {
    let backend = Backend::new();
    let stud = Stud::to(backend.address)
        .config("drain-timeout = 1")
        .start();
    let mut client = stud.connect();
    let mut accepted = backend.accept();
    let old = stud.role("ssl-worker");
    stud.reload();
    assert_eq!(accepted.rest(), b"");
    assert_eq!(client.exchange(b"", Ending::Nothing).0, b"");
    eventually("the old worker's end", || old.is_gone().then_some(()));
    stud.wait_for_roles("ssl-keeper", 1);
}

#[test]
fn two_hangups_at_once_are_no_trouble() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).config("workers = 2").start();
    under_load(&stud, &["answer"], || {
        for _ in 0..10 {
            stud.signal(Signal::SIGHUP);
        }
        stud.reload();
    });
    stud.wait_for_roles("ssl-worker", 2);
    stud.wait_for_roles("ssl-keeper", 1);
}
