//! What the listener, the application and the client are told.
#![forbid(unsafe_code)]

use crate::common::keys::{self, authority};
use crate::common::peers::s_client_to;
use crate::common::{Dial, TempDir, showing};
use crate::keeper::{der, first};
use crate::role::{Role, Setup, Side, Wishes};
use openssl::ssl::SslVersion;
use sslserver::privsep::message::{Ending, PublicPart, SessionReport};
use sslserver::tls::client::Demand;
use std::collections::BTreeMap;
use std::io::Write;

crate::tests! {
    a_connection_is_told_of_at_its_beginning_and_its_end
    the_client_of_openssl_is_served_with_either_version
    the_application_learns_of_tls_if_it_wants_to
    a_client_certificate_is_demanded_and_told
    a_certificate_of_another_name_is_refused_and_the_client_hears_the_end
    many_connections_are_told_apart
}

fn a_connection_is_told_of_at_its_beginning_and_its_end() {
    let role = Setup::new().start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut side = role.connect();
        role.assert_says_nothing();
        let mut client = side.tls_with(|dial| dial.version(version));
        let (facts, environment) = role.established(&side);
        assert_eq!(facts.protocol, client.tls.ssl().version_str());
        let cipher = client.tls.ssl().current_cipher().expect("a cipher");
        assert_eq!(facts.cipher, cipher.name());
        assert!(!facts.resumed);
        assert_eq!(environment, b"");
        side.assert_talks(&mut client);
        role.assert_says_nothing();
        client.close_notify();
        assert_eq!(side.hear_out(), b"");
        side.say(b"and goodbye");
        side.output = None;
        assert_eq!(client.text(), "and goodbye");
        assert_eq!(role.finished(&side), (4, 16, Ending::Complete));
        role.assert_says_nothing();
    }
}

fn the_client_of_openssl_is_served_with_either_version() {
    let role = Setup::new().start();
    let dir = TempDir::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let (address, options) = (role.address(), [version, "-quiet"]);
        let outcome = std::thread::scope(|scope| {
            let client = scope.spawn(|| s_client_to(&dir, address, &options, "word\n"));
            let mut side = role.accept();
            let mut application = side.run("read word; echo got $word");
            let outcome = client.join().expect("no panic");
            application.wait().expect("an end");
            assert_eq!(role.established(&side).1, b"");
            assert_eq!(role.finished(&side), (5, 9, Ending::Complete));
            outcome
        });
        assert_eq!(outcome.text(), "got word\n", "{outcome:?}");
    }
}

fn variables(block: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(block).expect("text");
    let pairs = text.split_terminator('\0');
    let pairs = pairs.map(|item| item.split_once('=').expect("NAME=VALUE"));
    pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn the_application_learns_of_tls_if_it_wants_to() {
    let mut setup = Setup::new();
    setup.environment = true;
    let role = setup.start();
    let mut side = role.connect();
    let client = side.tls();
    let variables = variables(&role.established(&side).1);
    assert_eq!(variables["SSL_PROTOCOL"], "TLSv1.3");
    let cipher = client.tls.ssl().current_cipher().expect("a cipher");
    assert_eq!(variables["SSL_CIPHER"], cipher.name());
    assert_eq!(variables["SSL_SERVER_S_DN_CN"], "localhost");
    assert!(!variables.contains_key("SSL_CLIENT_S_DN_CN"));
}

/// A process that asks for certificates of the authority's.
fn demanding(demand: Demand) -> Role {
    let mut setup = Setup::new().parts(vec![
        first(),
        PublicPart::Anchor {
            list: 0,
            certificate: der(authority()),
        },
    ]);
    setup.demand = demand;
    setup.environment = true;
    setup.start()
}

/// A handshake, and whether the client comes to hear a word of the application's.
fn is_served(side: &mut Side, change: impl FnOnce(Dial) -> Dial) -> bool {
    let Ok(mut client) = side.try_tls(change) else {
        return false;
    };
    let mut output = side.output.as_ref().expect("the application's");
    // It may have ended by now.
    let _ = output.write_all(b"x");
    client.tls.ssl_read(&mut [0; 1]).is_ok()
}

fn a_client_certificate_is_demanded_and_told() {
    let role = demanding(Demand::Valid);
    let pair = keys::of_client("DNS:somebody.example");
    let mut side = role.connect();
    assert!(is_served(&mut side, |dial| showing(dial, &pair, &[])));
    let variables = variables(&role.established(&side).1);
    assert_eq!(variables["SSL_CLIENT_S_DN_CN"], "somebody");
    let mut side = role.connect();
    assert!(!is_served(&mut side, |dial| dial));
    assert_eq!(role.failure(&side), "peer did not return a certificate");
    side.assert_application_ends();
}

fn a_certificate_of_another_name_is_refused_and_the_client_hears_the_end() {
    let role = demanding(Demand::Named);
    let pair = keys::of_client("DNS:somebody.example");
    let connect = |host| {
        role.connect_as(&Wishes {
            host,
            ..Wishes::default()
        })
    };
    let mut side = connect(Some("somebody.example"));
    assert!(is_served(&mut side, |dial| showing(dial, &pair, &[])));
    role.established(&side);
    for (host, words) in [
        (Some("other.example"), "does not match certificate"),
        (None, "no host name known"),
    ] {
        let mut side = connect(host);
        let refused = side.try_tls(|dial| showing(dial, &pair, &[]));
        let SessionReport::Refused { reason } = role.report_of(&side) else {
            panic!("not refused");
        };
        assert!(reason.contains(words), "{reason}");
        if let Ok(mut client) = refused {
            assert!(client.tls.ssl_read(&mut [0; 1]).is_err());
        }
        side.assert_application_ends();
    }
}

fn many_connections_are_told_apart() {
    let role = Setup::new().start();
    let mut sides: Vec<Side> = (0..50).map(|_| role.connect()).collect();
    let mut clients: Vec<_> = sides.iter_mut().map(Side::tls).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&[b'a'; 100][..number]);
        client.send(b"\n");
        client.close_notify();
    }
    for (number, side) in sides.iter_mut().enumerate() {
        role.established(side);
        assert_eq!(side.hear_out().len(), number + 1);
        side.say(&[b'b'; 100][..2 * number]);
        side.output = None;
    }
    for (number, client) in clients.into_iter().enumerate() {
        assert_eq!(client.text().len(), 2 * number);
    }
    for (number, side) in sides.iter().enumerate() {
        let number = number as u64;
        let told = (number + 1, 2 * number, Ending::Complete);
        assert_eq!(role.finished(side), told);
    }
}
