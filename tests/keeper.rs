//! What the keeper does for somebody who has taken over a session, and what it does not. It is started here as the
//! listener starts it, and spoken to in its own words. No threads in this process: it forks.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, send};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sign::Verifier;
use openssl::x509::X509;
use sslserver::privsep::channel::ChannelError;
use sslserver::privsep::keeper::{self, Given, Orders};
use sslserver::privsep::message::{
    FromKeeper, KeeperToListener, ListenerToKeeper, NewSession, PublicPart, Request,
    SessionToKeeper, TerminatorToKeeper, ToKeeper,
};
use sslserver::privsep::role::Confinement;
use sslserver::sys::identity::Identity;
use sslserver::sys::process;
use sslserver::tls::client::TrustFiles;
use sslserver::tls::material::{Files, PairFiles, SetFiles};
use sslserver::tls::settings::Version;
use sslserver::tls::signing::scheme;

const LIMIT: Duration = Duration::from_secs(20);

/// A running keeper and its key's public half.
struct Keeper {
    listener: ListenerToKeeper,
    terminator: TerminatorToKeeper,
    key: PKey<Private>,
    folder: PathBuf,
}

impl Keeper {
    fn start() -> Keeper {
        let folder = std::env::temp_dir().join(format!("keeper-test-{}", std::process::id()));
        fs::create_dir(&folder).expect("a new folder");
        let (key, certificate) = pair();
        let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&cert_file, certificate.to_pem().expect("PEM")).expect("written");
        fs::write(&key_file, key.private_key_to_pem_pkcs8().expect("PEM")).expect("written");
        let orders = Orders {
            confinement: Confinement {
                root: None,
                identity: Identity::current(),
            },
            files: SetFiles {
                pairs: vec![PairFiles {
                    certificate: cert_file,
                    is_chain: false,
                    key: key_file,
                }],
                folder: None,
                dh: None,
                trust: TrustFiles::default(),
                oldest: Version::Tls12,
            },
            ticket_keys: None,
        };
        let (listener, end) = ListenerToKeeper::pair().expect("a channel");
        let body = |mut ends: Vec<OwnedFd>| {
            let given = Given {
                listener: KeeperToListener::from_end(ends.remove(0)),
                password: None,
                opened: Files::default(),
            };
            keeper::run(&orders, given)
        };
        process::fork_role(vec![end.into_end()], body).expect("a keeper");
        match listener.receive_within(LIMIT).expect("a word").0 {
            FromKeeper::Loaded { dh_bits: 0 } => {}
            FromKeeper::Loaded { .. } => panic!("parameters that nobody gave"),
            FromKeeper::Warning(text) | FromKeeper::Fatal(text) => panic!("{text}"),
            _ => panic!("a set that nobody asked for"),
        }
        let (terminator, end) = TerminatorToKeeper::pair().expect("a channel");
        listener
            .send(&ToKeeper::Terminator(0), &[end.as_fd()])
            .expect("sent");
        loop {
            if let PublicPart::End(0) = terminator.receive_within(LIMIT).expect("parts").0 {
                break;
            }
        }
        Keeper {
            listener,
            terminator,
            key,
            folder,
        }
    }

    fn session(&self) -> SessionToKeeper {
        let (session, end) = SessionToKeeper::pair().expect("a channel");
        self.terminator
            .send(&NewSession, &[end.as_fd()])
            .expect("sent");
        session
    }

    fn warning(&self) -> String {
        match self.listener.receive_within(LIMIT).expect("a word").0 {
            FromKeeper::Warning(text) => text,
            _ => panic!("not a warning"),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).expect("removed");
    }
}

fn pair() -> (PKey<Private>, X509) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a group");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut certificate = X509::builder().expect("a certificate");
    let day = |number| Asn1Time::days_from_now(number).expect("a time");
    certificate.set_not_before(&day(0)).expect("set");
    certificate.set_not_after(&day(1)).expect("set");
    certificate.set_pubkey(&key).expect("set");
    certificate
        .sign(&key, MessageDigest::sha256())
        .expect("signed");
    (key, certificate.build())
}

fn handshake() -> Vec<u8> {
    let mut message = vec![b' '; 64];
    message.extend(b"TLS 1.3, server CertificateVerify\0");
    message.extend([7; 48]);
    message
}

fn request(message: &[u8]) -> Request {
    with_key(0, message)
}

fn with_key(key: u16, message: &[u8]) -> Request {
    Request::Sign {
        key,
        scheme: scheme::ECDSA_SHA256,
        message: message.to_vec(),
    }
}

fn is_closed(session: &SessionToKeeper) -> bool {
    matches!(session.receive_within(LIMIT), Err(ChannelError::Closed))
}

fn a_handshake_is_signed_and_the_signature_is_good(keeper: &Keeper) {
    let session = keeper.session();
    session.send(&request(&handshake()), &[]).expect("sent");
    let (reply, _) = session.receive_within(LIMIT).expect("a signature");
    let mut verifier = Verifier::new(MessageDigest::sha256(), &keeper.key).expect("a verifier");
    let good = verifier.verify_oneshot(&reply.signature, &handshake());
    assert!(good.expect("a verdict"));
}

fn a_session_gets_one_signature_and_no_more(keeper: &Keeper) {
    let session = keeper.session();
    session.send(&request(&handshake()), &[]).expect("sent");
    session.receive_within(LIMIT).expect("a signature");
    session.send(&request(&handshake()), &[]).expect("sent");
    assert!(is_closed(&session));
    assert_eq!(
        keeper.warning(),
        "keeper refused to sign: a session asks for more than one handshake needs"
    );
}

fn two_requests_in_a_row_get_one_answer(keeper: &Keeper) {
    let session = keeper.session();
    session.send(&request(&handshake()), &[]).expect("sent");
    session.send(&request(&handshake()), &[]).expect("sent");
    session.receive_within(LIMIT).expect("a signature");
    assert!(is_closed(&session));
    keeper.warning();
}

fn what_is_no_handshake_is_refused_said_and_closed(keeper: &Keeper) {
    let mut client = handshake();
    client.splice(64 + 9..64 + 15, *b"client");
    for message in [&b"pay the bearer"[..], &[7; 32], &client, &[]] {
        let session = keeper.session();
        session.send(&request(message), &[]).expect("sent");
        assert!(is_closed(&session));
        assert_eq!(
            keeper.warning(),
            "keeper refused to sign: the message is no server handshake"
        );
    }
}

fn a_key_that_is_not_there_is_refused(keeper: &Keeper) {
    let session = keeper.session();
    session.send(&with_key(1, &handshake()), &[]).expect("sent");
    assert!(is_closed(&session));
    assert_eq!(
        keeper.warning(),
        "keeper refused to sign: there is no such key"
    );
}

fn a_ticket_is_opened_by_whoever_brings_its_name_and_only_once(keeper: &Keeper) {
    let session = keeper.session();
    session.send(&request(&handshake()), &[]).expect("sent");
    let sealed = session.receive_within(LIMIT).expect("an answer").0.fresh;
    let sealed = sealed.expect("keys for a ticket");
    let session = keeper.session();
    session
        .send(&Request::Open(sealed.name), &[])
        .expect("sent");
    let opened = session.receive_within(LIMIT).expect("an answer").0.opened;
    assert!(opened == Some(sealed.clone()));
    session
        .send(&Request::Open(sealed.name), &[])
        .expect("sent");
    assert!(is_closed(&session));
    keeper.warning();
}

fn a_ticket_that_cannot_be_opened_is_followed_by_a_signature(keeper: &Keeper) {
    let session = keeper.session();
    session.send(&Request::Open([7; 16]), &[]).expect("sent");
    let reply = session.receive_within(LIMIT).expect("an answer").0;
    assert!(reply.opened.is_none() && reply.signature.is_empty());
    session.send(&request(&handshake()), &[]).expect("sent");
    let reply = session.receive_within(LIMIT).expect("an answer").0;
    assert!(!reply.signature.is_empty());
    session.send(&Request::Open([7; 16]), &[]).expect("sent");
    assert!(is_closed(&session));
    keeper.warning();
}

fn rubbish_ends_the_session_and_nobody_else(keeper: &Keeper) {
    for rubbish in [&b"x"[..], &[0xff; 3000], &[0; 60_000]] {
        let session = keeper.session();
        let end = session.into_end();
        let number = std::os::fd::AsRawFd::as_raw_fd(&end);
        send(number, rubbish, MsgFlags::MSG_NOSIGNAL).expect("sent");
        let session = SessionToKeeper::from_end(end);
        assert!(is_closed(&session));
        assert_eq!(
            keeper.warning(),
            "keeper refused to sign: malformed message"
        );
    }
    a_handshake_is_signed_and_the_signature_is_good(keeper);
}

fn a_session_that_asks_for_nothing_leaves_no_trace(keeper: &Keeper) {
    for _ in 0..2000 {
        drop(keeper.session());
    }
    a_handshake_is_signed_and_the_signature_is_good(keeper);
}

type Test = (&'static str, fn(&Keeper));

macro_rules! tests {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), $name as fn(&Keeper))),*] };
}

fn main() {
    let tests: [Test; 9] = tests![
        a_handshake_is_signed_and_the_signature_is_good,
        a_session_gets_one_signature_and_no_more,
        two_requests_in_a_row_get_one_answer,
        what_is_no_handshake_is_refused_said_and_closed,
        a_key_that_is_not_there_is_refused,
        a_ticket_is_opened_by_whoever_brings_its_name_and_only_once,
        a_ticket_that_cannot_be_opened_is_followed_by_a_signature,
        rubbish_ends_the_session_and_nobody_else,
        a_session_that_asks_for_nothing_leaves_no_trace,
    ];
    let keeper = Keeper::start();
    println!("\nrunning {} tests", tests.len());
    for (name, test) in tests {
        // A failure panics, and ends this process and the keeper with it.
        test(&keeper);
        println!("test {name} ... ok");
    }
    println!(
        "\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        tests.len()
    );
}
