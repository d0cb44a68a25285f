//! Whole handshakes in memory, between a client of OpenSSL and a server whose sessions are in a map.

use std::collections::HashMap;

use openssl::ssl::{ClientHelloResponse, ErrorCode, SslContextRef, SslMethod, SslStream};

use super::*;
use crate::tls::rig::{make, with_keeper};
use crate::tls::stream::Wire;

/// A handshake needs three at the most, one of them for another key share.
const ROUNDS: usize = 8;

fn server(change: impl FnOnce(&mut SslContextBuilder)) -> SslContext {
    with_keeper();
    let made = make("server");
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_certificate(&made.certificate).unwrap();
    context.set_private_key(&made.key).unwrap();
    context.set_session_id_context(b"test").unwrap();
    context.set_num_tickets(1).unwrap();
    provider::seal_tickets(&context, 7200);
    context.set_client_hello_callback(|ssl, _| {
        Ok(match inquire(ssl) {
            Verdict::GoOn => ClientHelloResponse::SUCCESS,
            Verdict::Suspend => ClientHelloResponse::RETRY,
        })
    });
    change(&mut context);
    context.build()
}

fn storing(stateful: bool) -> SslContext {
    server(|context| enable(context, stateful).unwrap())
}

struct Client {
    context: SslContext,
    session: Option<SslSession>,
}

impl Client {
    fn new(version: SslVersion, options: SslOptions) -> Client {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        context.set_options(options);
        // It offers a share of the first alone.
        context.set_groups_list("X25519:P-256").unwrap();
        Client {
            context: context.build(),
            session: None,
        }
    }
}

/// What a handshake came to.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    resumed: bool,
    wishes: Vec<Wish>,
    puts: Vec<SessionId>,
}

#[derive(Default)]
struct Store(HashMap<SessionId, Put>);

impl Store {
    /// As a store that keeps what it is told to and gives what it has.
    fn visit(&mut self, client: &mut Client, server: &SslContextRef) -> Seen {
        self.visit_with(client, server, |store, wish| {
            let put = match wish.once {
                true => store.0.remove(&wish.id),
                false => store.0.get(&wish.id).cloned(),
            };
            put.map(|put| put.sealed)
        })
    }

    /// The client connects, says a word and hears one, and keeps the session.
    fn visit_with(
        &mut self,
        client: &mut Client,
        server: &SslContextRef,
        answer: impl Fn(&mut Store, Wish) -> Option<Vec<u8>>,
    ) -> Seen {
        let mut theirs = Ssl::new(&client.context).unwrap();
        theirs.set_connect_state();
        if let Some(session) = &client.session {
            provider::come_back(&mut theirs, session);
        }
        let mut theirs = SslStream::new(theirs, Wire::default()).unwrap();
        let mut ours = Ssl::new(server).unwrap();
        ours.set_accept_state();
        let mut ours = SslStream::new(ours, Wire::default()).unwrap();
        let (mut wishes, mut puts) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let done = theirs.do_handshake().is_ok();
            pass(theirs.get_mut(), ours.get_mut());
            let step = loop {
                let step = ours.do_handshake().map_err(|error| error.code());
                puts.extend(std::iter::from_fn(take_put));
                if step != Err(ErrorCode::WANT_CLIENT_HELLO_CB) {
                    break step;
                }
                let wish = take_wish().unwrap();
                wishes.push(wish);
                supply(wish.id, answer(self, wish));
            };
            pass(ours.get_mut(), theirs.get_mut());
            match step {
                Ok(()) if done => break,
                Ok(()) | Err(ErrorCode::WANT_READ) => {}
                Err(code) => panic!("{code:?}"),
            }
        }
        // A ticket of TLS 1.3 comes before the word.
        assert_eq!(ours.ssl_write(b"word").unwrap(), 4);
        pass(ours.get_mut(), theirs.get_mut());
        assert_eq!(theirs.ssl_read(&mut [0; 16]).unwrap(), 4);
        // A client that ends without a word forgets its session.
        let _ = theirs.shutdown();
        client.session = theirs.ssl().session().map(ToOwned::to_owned);
        let seen = Seen {
            resumed: theirs.ssl().session_reused(),
            wishes,
            puts: puts.iter().map(|put| put.id).collect(),
        };
        self.0.extend(puts.into_iter().map(|put| (put.id, put)));
        seen
    }
}

fn pass(from: &mut Wire, to: &mut Wire) {
    to.input.append(from.output.as_slice());
    from.output.clear();
}

fn wish(id: SessionId, once: bool) -> Vec<Wish> {
    vec![Wish { id, once }]
}

/// A full handshake for which nobody was asked, and the session that it left.
fn first(store: &mut Store, client: &mut Client, server: &SslContextRef) -> SessionId {
    let seen = store.visit(client, server);
    assert!(!seen.resumed && seen.wishes.is_empty());
    *seen.puts.first().expect("a session for the store")
}

#[test]
fn a_client_of_tls_1_2_comes_back_with_its_id_as_often_as_it_likes() {
    for stateful in [false, true] {
        let (mut store, server) = (Store::default(), storing(stateful));
        // Where there are no tickets a client that would take one has an id as well.
        let options = match stateful {
            true => SslOptions::empty(),
            false => SslOptions::NO_TICKET,
        };
        let mut client = Client::new(SslVersion::TLS1_2, options);
        let id = first(&mut store, &mut client, &server);
        assert_eq!(store.0[&id].lifetime, 7200);
        for _ in 0..2 {
            let expected = Seen {
                resumed: true,
                wishes: wish(id, false),
                puts: Vec::new(),
            };
            assert_eq!(store.visit(&mut client, &server), expected);
        }
    }
}

#[test]
fn without_tickets_a_client_of_tls_1_3_has_a_session_for_one_more_connection() {
    let (mut store, server) = (Store::default(), storing(true));
    let mut client = Client::new(SslVersion::TLS1_3, SslOptions::empty());
    let id = first(&mut store, &mut client, &server);
    let old = client.session.clone();
    let second = store.visit(&mut client, &server);
    assert!(second.resumed);
    assert_eq!(second.wishes, wish(id, true));
    assert!(second.puts.len() == 1 && second.puts[0] != id);
    assert!(store.visit(&mut client, &server).resumed);
    // Whoever brings the first session again starts from the beginning.
    client.session = old;
    let replay = store.visit(&mut client, &server);
    assert!(!replay.resumed);
    assert_eq!(replay.wishes, wish(id, true));
}

#[test]
fn of_two_sessions_both_can_be_resumed_once() {
    let mut store = Store::default();
    let server = server(|context| {
        context.set_num_tickets(2).unwrap();
        enable(context, true).unwrap();
    });
    let mut client = Client::new(SslVersion::TLS1_3, SslOptions::empty());
    let seen = store.visit(&mut client, &server);
    assert_eq!(seen.puts.len(), 2);
    // The client has got the second one last.
    let second = store.visit(&mut client, &server);
    assert!(second.resumed);
    assert_eq!(second.wishes, wish(seen.puts[1], true));
    assert!(store.0.contains_key(&seen.puts[0]));
}

#[test]
fn sessions_that_nobody_takes_do_not_pile_up() {
    for number in 0..100 {
        leave(Some(Put {
            id: [number; 32],
            lifetime: 1,
            sealed: Vec::new(),
        }));
    }
    let left = std::iter::from_fn(take_put).map(|put| put.id[0]);
    assert!(left.eq(100 - MOST_PUTS as u8..100));
}

#[test]
fn a_session_survives_the_request_for_another_key_share() {
    let mut store = Store::default();
    let server = server(|context| {
        context.set_groups_list("P-256").unwrap();
        enable(context, true).unwrap();
    });
    let mut client = Client::new(SslVersion::TLS1_3, SslOptions::empty());
    let id = first(&mut store, &mut client, &server);
    let second = store.visit(&mut client, &server);
    assert!(second.resumed);
    assert_eq!(second.wishes, wish(id, true));
}

#[test]
fn where_there_are_tickets_their_clients_have_nothing_to_do_with_the_store() {
    let (mut store, server) = (Store::default(), storing(false));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut client = Client::new(version, SslOptions::empty());
        for resumed in [false, true] {
            let expected = Seen {
                resumed,
                wishes: Vec::new(),
                puts: Vec::new(),
            };
            assert_eq!(store.visit(&mut client, &server), expected, "{version:?}");
        }
    }
}

#[test]
fn a_store_that_has_nothing_or_rubbish_costs_a_full_handshake_and_no_more() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (mut store, server) = (Store::default(), storing(true));
        let mut client = Client::new(version, SslOptions::empty());
        let mut id = first(&mut store, &mut client, &server);
        for answer in [None, Some(Vec::new()), Some(vec![7; MAX_SEALED])] {
            let seen = store.visit_with(&mut client, &server, |_, _| answer.clone());
            assert!(!seen.resumed);
            assert_eq!(seen.wishes, wish(id, version == SslVersion::TLS1_3));
            id = seen.puts[0];
        }
    }
}

#[test]
fn a_store_cannot_give_a_client_the_session_of_another() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (mut store, server) = (Store::default(), storing(true));
        let mut clients = [(); 2].map(|()| Client::new(version, SslOptions::empty()));
        let ids = clients
            .each_mut()
            .map(|client| first(&mut store, client, &server));
        let seen = store.visit_with(&mut clients[0], &server, |store, _| {
            Some(store.0[&ids[1]].sealed.clone())
        });
        assert!(!seen.resumed);
    }
}

#[test]
fn a_session_is_found_by_its_own_id_alone() {
    with_keeper();
    let wish = Wish {
        id: [1; 32],
        once: true,
    };
    let key = provider::new_ticket().unwrap();
    let sealed = seal::seal(&key, &wish.id, b"session").unwrap();
    let mut asked = Some(Asked { wish, sealed });
    assert_eq!(find(&mut asked, &[2; 32]), None);
    assert_eq!(find(&mut asked, &[1; 31]), None);
    assert!(find(&mut asked, &wish.id).is_some());
}

#[test]
fn an_answer_for_another_session_does_not_count() {
    let (mut store, server) = (Store::default(), storing(true));
    let mut client = Client::new(SslVersion::TLS1_2, SslOptions::empty());
    let id = first(&mut store, &mut client, &server);
    let sealed = store.0[&id].sealed.clone();
    supply([0; 32], Some(sealed));
    let seen = store.visit(&mut client, &server);
    assert_eq!(seen.wishes, wish(id, false));
}

#[test]
fn a_context_without_a_store_never_waits() {
    let mut store = Store::default();
    let server = server(|context| {
        context.set_options(SslOptions::NO_TICKET);
    });
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut client = Client::new(version, SslOptions::empty());
        for _ in 0..2 {
            let seen = store.visit(&mut client, &server);
            assert!(seen.wishes.is_empty() && seen.puts.is_empty());
        }
    }
}
