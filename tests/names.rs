//! Names of clients and of ourselves, from the name servers to rules, log, environment and certificates.
#![forbid(unsafe_code)]

#[path = "names/certificates.rs"]
mod certificates;
mod common;
#[path = "names/death.rs"]
mod death;
#[path = "names/found.rs"]
mod found;
#[path = "names/hostile.rs"]
mod hostile;
#[path = "names/patience.rs"]
mod patience;
#[path = "names/rules.rs"]
mod rules;

use common::message::{A, AAAA, NXDOMAIN, PTR, Question, name};
use common::responder::By;
use common::{Dnsmasq, Responder, Server, Setup};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Clients of the tests are told apart by their addresses. 127.0.0.1 is known to /etc/hosts, and so to no server.
const RECORDS: [&str; 9] = [
    "--ptr-record=3.0.0.127.in-addr.arpa,Server.Example.ORG",
    "--ptr-record=5.0.0.127.in-addr.arpa,Client.Example.ORG",
    "--host-record=client.example.org,127.0.0.5",
    "--ptr-record=7.0.0.127.in-addr.arpa,other.example.org",
    "--host-record=other.example.org,127.0.0.7",
    "--ptr-record=8.0.0.127.in-addr.arpa,host.elsewhere.test",
    // Claims to be somebody else.
    "--ptr-record=9.0.0.127.in-addr.arpa,client.example.org",
    "--ptr-record=10.0.0.127.in-addr.arpa,a.b.example.org",
    "--local=/test/",
];
const SERVER: &str = "127.0.0.3";
const CLIENT: &str = "127.0.0.5";
const NOBODY: &str = "127.0.0.6";
const OTHER: &str = "127.0.0.7";
const ELSEWHERE: &str = "127.0.0.8";
const LIAR: &str = "127.0.0.9";
const DEEP: &str = "127.0.0.10";

/// A server that looks names up there.
fn asking(server: SocketAddr) -> Setup {
    let servers = server.to_string();
    Setup::new().options(&["-h"]).env("DNSCACHEIP", &servers)
}

/// Tells the application's environment.
const ENVIRONMENT: &[&str] = &["cat", "/proc/self/environ"];

/// The name by which the application knows a client from there.
fn host(server: &Server, source: &str) -> Option<String> {
    let client = server.dial().from(source).connect();
    client.environment().remove("SSLREMOTEHOST")
}

/// Knows a name for every address, the address of none, and remembers what it was asked.
fn recorder() -> (Responder, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = asked.clone();
    let server = Responder::new(move |question, by| {
        let name = question.name.clone();
        record.lock().expect("no panic under the lock").push(name);
        simply(question, by)
    });
    (server, asked)
}

fn simply(question: &Question, _: By) -> Vec<Vec<u8>> {
    match question.kind {
        PTR => vec![question.simply(&name("client.example.org"))],
        A | AAAA => vec![question.answer(NXDOMAIN, &[])],
        _ => Vec::new(),
    }
}

fn dnsmasq() -> Option<Dnsmasq> {
    Dnsmasq::start(RECORDS)
}
