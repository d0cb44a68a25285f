//! The keeper of the tests, which has the keys and can be stopped; and what its silence means.
#![forbid(unsafe_code)]

use crate::common::Kind;
use crate::common::keys::{self, Pair, leaf};
use crate::role::{Role, Setup};
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use sslserver::privsep::message::{
    Chain, KeeperToTerminator, PublicPart, Reply, Request, SessionReport, SignerToWorker,
};
use sslserver::tls::provider::ClientContext;
use sslserver::tls::settings::Version;
use sslserver::tls::signing;
use sslserver::tls::tickets::{self, TicketSecrets};
use std::io::Read;
use std::sync::{Arc, Mutex};

crate::tests! {
    a_set_of_keys_that_comes_later_is_for_those_who_are_to_have_it
    a_set_that_cannot_be_used_costs_its_connections_and_no_others
    whoever_asks_for_a_name_gets_its_certificate
    a_ticket_is_taken_by_another_process_with_the_same_keeper
    a_ticket_costs_no_signature
    a_silent_keeper_costs_one_wait_and_is_heard_again_when_it_speaks
    without_its_keeper_those_who_are_there_go_on
}

/// What signs for a process. Everybody who shares it shares its tickets.
#[derive(Clone)]
pub struct Keeper(Arc<Mutex<Secrets>>);

struct Secrets {
    keys: Vec<PKey<Private>>,
    tickets: TicketSecrets,
    signatures: usize,
    is_dead: bool,
}

impl Keeper {
    pub fn new() -> Keeper {
        let mut keeper = Secrets {
            keys: Vec::new(),
            tickets: TicketSecrets::random(tickets::now()).expect("random numbers"),
            signatures: 0,
            is_dead: false,
        };
        keeper.keys.push(key(leaf(Kind::P256)));
        Keeper(Arc::new(Mutex::new(keeper)))
    }

    /// Answers as long as somebody asks.
    pub fn serve(&self, worker: SignerToWorker) {
        let secrets = self.0.clone();
        std::thread::spawn(move || {
            while let Ok((request, _)) = worker.receive() {
                let mut secrets = secrets.lock().expect("no panic under the lock");
                if secrets.is_dead {
                    return;
                }
                let mut reply = Reply::default();
                match request {
                    Request::Sign {
                        key,
                        scheme,
                        message,
                    } => {
                        secrets.signatures += 1;
                        let key = &secrets.keys[usize::from(key)];
                        let signed = signing::sign(key, scheme, &message, Version::Tls12);
                        reply.signature = signed.unwrap_or_else(|refusal| panic!("{refusal}"));
                    }
                    Request::Open(name) => {
                        reply.opened = secrets.tickets.open(name, tickets::now());
                    }
                    Request::Fresh => reply.fresh = secrets.tickets.fresh(tickets::now()).ok(),
                }
                if worker.send(&reply, &[]).is_err() {
                    return;
                }
            }
        });
    }

    /// Keeps another key, and answers with what everybody may know of it.
    pub fn chain(&self, pair: &Pair, names: &[&str], named: bool) -> PublicPart {
        let mut secrets = self.0.lock().expect("no panic under the lock");
        secrets.keys.push(key(pair));
        part(pair, names, named)
    }

    /// Whoever asks it finds it gone.
    pub fn die(&self) {
        self.0.lock().expect("no panic under the lock").is_dead = true;
    }

    pub fn signatures(&self) -> usize {
        self.0.lock().expect("no panic under the lock").signatures
    }
}

fn key(pair: &Pair) -> PKey<Private> {
    PKey::private_key_from_pem(pair.key.as_bytes()).expect("PEM")
}

pub fn der(pair: &Pair) -> Vec<u8> {
    let certificate = X509::from_pem(pair.certificate.as_bytes()).expect("PEM");
    certificate.to_der().expect("DER")
}

/// The first key.
pub fn first() -> PublicPart {
    part(leaf(Kind::P256), &["localhost"], false)
}

fn part(pair: &Pair, names: &[&str], named: bool) -> PublicPart {
    PublicPart::Chain(Chain {
        key: 0,
        named,
        names: names.iter().map(|&name| name.to_owned()).collect(),
        certificates: vec![der(pair)],
        staple: None,
        dh: Vec::new(),
    })
}

/// Says all there is to know of a set, whose keys are counted from its first.
pub fn publish(terminator: &KeeperToTerminator, set: u32, parts: Vec<PublicPart>) {
    let mut keys = 0..;
    for mut part in parts.into_iter().chain([PublicPart::End(set)]) {
        if let PublicPart::Chain(chain) = &mut part {
            chain.key = keys.next().expect("few keys");
        }
        terminator.send(&part, &[]).expect("it lives");
    }
}

fn a_set_of_keys_that_comes_later_is_for_those_who_are_to_have_it() {
    let keeper = Keeper::new();
    let role = Setup::new().keeper(&keeper).start();
    let other = keys::for_names(Kind::P256, keys::authority(), "other", &["localhost"]);
    let before = role.connect();
    role.learn(7, vec![keeper.chain(&other, &["localhost"], false)]);
    let mut clients = [(before, "localhost"), (role.connect_with(7), "other")];
    clients.reverse();
    for (mut side, name) in clients {
        assert_eq!(side.tls().shown(), name);
    }
}

fn a_set_that_cannot_be_used_costs_its_connections_and_no_others() {
    let role = Setup::new().start();
    role.learn(3, vec![PublicPart::Name(b"no certificate".to_vec())]);
    for set in [3, 4] {
        let side = role.connect_with(set);
        let SessionReport::Failed { reason, .. } = role.report_of(&side) else {
            panic!("served without keys");
        };
        assert!(!reason.is_empty());
        side.assert_application_ends();
    }
    role.connect().assert_serves(&role);
}

fn whoever_asks_for_a_name_gets_its_certificate() {
    let keeper = Keeper::new();
    let named = keys::for_names(Kind::P256, keys::authority(), "named", &["named.example"]);
    let parts = vec![first(), keeper.chain(&named, &["named.example"], true)];
    let role = Setup::new().keeper(&keeper).parts(parts).start();
    for (asked, shown) in [("named.example", "named"), ("localhost", "localhost")] {
        let mut side = role.connect();
        let client = side.tls_with(|dial| dial.name(asked));
        assert_eq!(client.shown(), shown);
    }
}

/// A client that comes again with the ticket of the last time.
struct Returning(ClientContext);

impl Returning {
    fn new(version: SslVersion) -> Returning {
        let mut context = SslContext::builder(SslMethod::tls_client()).expect("one");
        context.set_verify(SslVerifyMode::NONE);
        context.set_max_proto_version(Some(version)).expect("known");
        Returning(ClientContext::new(context).expect("a client"))
    }

    /// Whether the session before went on, as both ends have it.
    fn comes_again(&self, role: &Role) -> bool {
        let mut side = role.connect();
        let ssl = self.0.connection("there").expect("an SSL");
        let mut tls = SslStream::new(ssl, side.take_client()).expect("a stream");
        tls.connect().expect("a handshake");
        let (facts, _) = role.established(&side);
        side.say(b"x");
        // With it comes the ticket.
        assert_eq!(tls.read(&mut [0; 8]).expect("a byte"), 1);
        assert_eq!(facts.resumed, tls.ssl().session_reused());
        // A session whose connection was never closed is not gone back to.
        tls.shutdown().expect("close_notify");
        facts.resumed
    }
}

fn a_ticket_is_taken_by_another_process_with_the_same_keeper() {
    let keeper = Keeper::new();
    let [one, other] = [(); 2].map(|()| Setup::new().keeper(&keeper).start());
    let stranger = Setup::new().start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let client = Returning::new(version);
        assert!(!client.comes_again(&one));
        for role in [&other, &one, &one, &other] {
            assert!(client.comes_again(role), "{version:?}");
        }
        assert!(!client.comes_again(&stranger));
    }
}

fn a_ticket_costs_no_signature() {
    let role = Setup::new().start();
    let client = Returning::new(SslVersion::TLS1_3);
    for _ in 0..5 {
        client.comes_again(&role);
    }
    assert_eq!(role.secrets.signatures(), 1);
}

fn a_silent_keeper_costs_one_wait_and_is_heard_again_when_it_speaks() {
    let role = Setup::new().start();
    let mut there = role.connect();
    let mut client = there.tls();
    role.established(&there);
    let silence = role.secrets.0.lock().expect("no panic under the lock");
    // The first waits for the signature, and those behind it fail at once.
    for _ in 0..3 {
        let mut side = role.connect();
        assert!(side.try_tls(|dial| dial).is_err());
        role.failure(&side);
        there.assert_talks(&mut client);
    }
    drop(silence);
    // What came too late is nobody's signature.
    crate::common::eventually("a handshake", || {
        let mut side = role.connect();
        side.try_tls(|dial| dial).ok()
    });
    there.assert_talks(&mut client);
}

fn without_its_keeper_those_who_are_there_go_on() {
    let mut role = Setup::new().start();
    let mut there = role.connect();
    let mut client = there.tls();
    role.established(&there);
    role.lose_keeper();
    role.secrets.die();
    let mut side = role.connect();
    assert!(side.try_tls(|dial| dial).is_err());
    role.failure(&side);
    there.assert_talks(&mut client);
}
