use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::ssl::{SslContext, SslRef, SslVersion};

use super::*;
use crate::tls::catalogue::Collector;
use crate::tls::client::Demand;
use crate::tls::context::{Frontend, Purpose, Sessions, server};
use crate::tls::rig::{Client, Made, add, add_stapled, issued, make, make_ed25519, settings};
use crate::tls::settings::Settings;
use crate::tls::staple::Staple;

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];
const OPEN: Demand = Demand::Nothing;

/// OCSP responses that say "malformed", "internal error" and "later" (RFC 6960, section 4.2.1): newer libraries show nothing else.
const FRESH: &[u8] = &[0x30, 3, 0x0a, 1, 1];
const OTHER: &[u8] = &[0x30, 3, 0x0a, 1, 2];
const STALE: &[u8] = &[0x30, 3, 0x0a, 1, 3];

/// A certificate, its names, and what their clients have to show.
type Listed<'a> = (&'a Made, &'a [&'a str], Demand);

/// A frontend with these certificates; the last one is the default. Whoever shows `trusted` is let in.
fn frontend(listed: &[Listed<'_>], trusted: &Made) -> Frontend {
    let anchors = [trusted.certificate.clone()];
    let gate = |demand| Arc::new(Gate::new(demand, &anchors, &anchors, &[]).unwrap());
    let mut collector = Collector::default();
    let places: Vec<_> = listed
        .iter()
        .map(|(made, names, demand)| (add(&mut collector, made, names), gate(*demand)))
        .collect();
    let (default, gate) = places.last().unwrap().clone();
    let catalogue = Arc::new(collector.finish().unwrap());
    Frontend {
        index: Index::new(catalogue, Order::AsListed, places).unwrap(),
        default: vec![default],
        gate,
        dh: None,
    }
}

fn context(frontend: Frontend, settings: &Settings) -> SslContext {
    let purpose = Purpose {
        scope: "test",
        settings,
        tickets: 1,
        sessions: None,
    };
    server(frontend, purpose).unwrap()
}

fn plain(version: SslVersion) -> Client {
    Client::new(version, |_| ())
}

/// A client that shows a certificate if it is asked for one.
fn with_certificate(version: SslVersion, own: &Made) -> Client {
    Client::new(version, |context| {
        context.set_certificate(&own.certificate).unwrap();
        context.set_private_key(&own.key).unwrap();
    })
}

fn strict() -> Settings {
    Settings {
        strict: true,
        ..settings()
    }
}

#[test]
fn the_name_decides_and_whoever_has_none_that_we_know_meets_the_default() {
    let (one, two, last) = (make("one"), make("two"), make("last"));
    let listed = [
        (&one, &["one.example"][..], OPEN),
        (&two, &["*.example"], OPEN),
        (&last, &["last.example"], OPEN),
    ];
    let server = context(frontend(&listed, &one), &settings());
    for version in VERSIONS {
        for (name, shown) in [
            (Some("one.example"), "one"),
            (Some("ONE.Example"), "one"),
            (Some("other.example"), "two"),
            (Some("last.example"), "two"),
            (Some("a.other.example"), "last"),
            (Some("what is that"), "last"),
            (None, "last"),
        ] {
            let meeting = plain(version).meet(&server, name);
            assert_eq!(meeting.shown(), shown, "{name:?}");
            assert_eq!(asked(meeting.server.ssl()), name.map(str::as_bytes));
        }
    }
}

#[test]
fn a_strict_server_refuses_names_that_nobody_has() {
    let (one, last) = (make("one"), make("last"));
    let listed = [
        (&one, &["one.example"][..], OPEN),
        (&last, &["last.example"], OPEN),
    ];
    let mut frontend = frontend(&listed, &one);
    // The default counts by its name even if it is not among those listed.
    let catalogue = frontend.index.catalogue().clone();
    let only = vec![(0, frontend.gate.clone())];
    frontend.index = Index::new(catalogue, Order::AsListed, only).unwrap();
    let server = context(frontend, &strict());
    for version in VERSIONS {
        for (name, shown) in [
            (Some("one.example"), "one"),
            (Some("last.example"), "last"),
            (None, "last"),
        ] {
            assert_eq!(plain(version).meet(&server, name).shown(), shown);
        }
        for name in ["two.example", "what is that", "192.0.2.1"] {
            let meeting = plain(version).meet(&server, Some(name));
            assert!(meeting.alert().contains("unrecognized name"), "{name}");
            assert!(is_refused(meeting.server.ssl()));
            assert_eq!(asked(meeting.server.ssl()), Some(name.as_bytes()));
        }
    }
}

#[test]
fn a_session_is_resumed_under_its_own_name_alone() {
    let both = make("both");
    let names = ["one.example", "two.example", "*.wild.example"];
    let server = context(frontend(&[(&both, &names, OPEN)], &both), &settings());
    for version in VERSIONS {
        for (first, then, resumed) in [
            (Some("one.example"), Some("one.example"), true),
            (Some("one.example"), Some("One.EXAMPLE"), true),
            (Some("one.example"), Some("two.example"), false),
            (Some("one.example"), None, false),
            (Some("a.wild.example"), Some("a.wild.example"), true),
            (Some("a.wild.example"), Some("b.wild.example"), false),
            (Some("nobody"), Some("nobody"), true),
            (Some("nobody"), Some("somebody"), false),
            (Some("nobody"), None, false),
            (None, None, true),
        ] {
            let client = plain(version);
            assert!(!client.meet(&server, first).is_resumed());
            let again = client.meet(&server, then);
            assert_eq!(again.is_resumed(), resumed, "{first:?} {then:?}");
            assert_eq!(asked(again.server.ssl()), then.map(str::as_bytes));
        }
    }
}

#[test]
fn a_client_that_uses_each_ticket_once_is_resumed_again_and_again() {
    let one = make("one");
    let server = context(
        frontend(&[(&one, &["one.example"], OPEN)], &one),
        &settings(),
    );
    for version in VERSIONS {
        let client = plain(version);
        assert!(!client.meet(&server, Some("one.example")).is_resumed());
        for turn in 0..4 {
            let again = client.meet(&server, Some("one.example"));
            assert!(again.is_resumed(), "{version:?} {turn}");
        }
    }
}

#[test]
fn a_session_goes_on_at_another_server_that_has_the_name_and_the_secrets() {
    let (one, other) = (make("one"), make("other"));
    let names = ["www.example"];
    let here = context(frontend(&[(&one, &names, OPEN)], &one), &settings());
    let there = [(&other, &names[..], OPEN), (&one, &["last.example"], OPEN)];
    let there = context(frontend(&there, &one), &settings());
    let fewer = Settings {
        ciphers: Some("ECDHE+AESGCM".into()),
        ..settings()
    };
    let careful = context(frontend(&[(&one, &names, OPEN)], &one), &fewer);
    for version in VERSIONS {
        let client = plain(version);
        assert!(!client.meet(&here, Some("www.example")).is_resumed());
        assert!(client.meet(&there, Some("www.example")).is_resumed());
        assert!(!client.meet(&careful, Some("www.example")).is_resumed());
    }
}

#[test]
fn what_clients_have_to_show_goes_with_the_name() {
    let (open, shut, ours) = (make("open"), make("shut"), make("ours"));
    let stranger = make("stranger");
    let listed = [
        (&shut, &["shut.example"][..], Demand::Valid),
        (&shut, &["ajar.example"], Demand::Optional),
        (&open, &["open.example"], OPEN),
    ];
    let inside_out = [
        (&open, &["open.example"][..], OPEN),
        (&shut, &["ajar.example"], Demand::Optional),
        (&shut, &["shut.example"], Demand::Valid),
    ];
    for listed in [listed, inside_out] {
        let server = context(frontend(&listed, &ours), &settings());
        for version in VERSIONS {
            let met = |name, own: Option<&Made>| {
                let client = match own {
                    Some(own) => with_certificate(version, own),
                    None => plain(version),
                };
                let meeting = client.meet(&server, Some(name));
                let seen = meeting.server.ssl().peer_certificate().is_some();
                meeting.is_done().then_some(seen)
            };
            assert_eq!(met("open.example", None), Some(false));
            assert_eq!(met("open.example", Some(&ours)), Some(false));
            assert_eq!(met("ajar.example", None), Some(false));
            assert_eq!(met("ajar.example", Some(&ours)), Some(true));
            assert_eq!(met("ajar.example", Some(&stranger)), None);
            assert_eq!(met("shut.example", None), None);
            assert_eq!(met("shut.example", Some(&ours)), Some(true));
            assert_eq!(met("shut.example", Some(&stranger)), None);
        }
    }
}

#[test]
fn a_session_without_a_certificate_is_not_resumed_where_one_is_demanded() {
    let (one, ours) = (make("one"), make("ours"));
    // The same name everywhere: at another frontend, or after a change of mind.
    let server = |demand, trusted| {
        let listed = [(&one, &["one.example"][..], demand)];
        context(frontend(&listed, trusted), &settings())
    };
    let open = server(OPEN, &ours);
    let ajar = server(Demand::Optional, &ours);
    let shut = server(Demand::Valid, &ours);
    let other = server(Demand::Valid, &one);
    for version in VERSIONS {
        let met = |first: &SslContext, then: &SslContext, own: &Made| {
            let client = with_certificate(version, own);
            assert!(!client.meet(first, Some("one.example")).is_resumed());
            let again = client.meet(then, Some("one.example"));
            again.is_done().then(|| again.is_resumed())
        };
        assert_eq!(met(&shut, &shut, &ours), Some(true));
        assert_eq!(met(&open, &shut, &ours), Some(false));
        assert_eq!(met(&ajar, &shut, &ours), Some(false));
        assert_eq!(met(&shut, &open, &ours), Some(false));
        // Nobody whom others trust gets in with the session that they gave him.
        assert_eq!(met(&shut, &other, &ours), None);
    }
}

#[test]
fn each_client_gets_the_kind_of_certificate_it_knows_but_none_to_get_round_a_check() {
    let (ecdsa, wild) = (make("ecdsa"), make("wild"));
    let (ed25519, open) = (make_ed25519("ed25519"), make_ed25519("open"));
    let listed = [
        (&ecdsa, &["both.example"][..], OPEN),
        (&wild, &["*.example"], OPEN),
        (&ed25519, &["*.example"], OPEN),
        (&ecdsa, &["shut.guarded"], Demand::Valid),
        (&open, &["*.guarded"], OPEN),
        (&wild, &["last"], OPEN),
    ];
    let server = context(frontend(&listed, &ecdsa), &settings());
    let knows = |algorithms: &str, name| {
        let change = |context: &mut SslContextBuilder| {
            context.set_sigalgs_list(algorithms).unwrap();
        };
        Client::new(SslVersion::TLS1_3, change).meet(&server, Some(name))
    };
    assert_eq!(knows("ECDSA+SHA256", "both.example").shown(), "ecdsa");
    assert_eq!(knows("ed25519", "both.example").shown(), "ed25519");
    assert_eq!(knows("ECDSA+SHA256", "www.example").shown(), "wild");
    assert_eq!(knows("ed25519", "open.guarded").shown(), "open");
    // Neither that of the default.
    assert!(!knows("ECDSA+SHA256", "open.guarded").is_done());
    assert!(!knows("ed25519", "shut.guarded").is_done());
}

#[test]
fn a_second_client_hello_must_ask_for_the_same() {
    let (one, two) = (make("one"), make("two"));
    let listed = [
        (&one, &["one.example"][..], Demand::Valid),
        (&two, &["two.example"], OPEN),
    ];
    // The client's first guess is another group, so that it has to say everything again.
    let settings = Settings {
        groups: Some("P-256".into()),
        ..settings()
    };
    let server = context(frontend(&listed, &one), &settings);
    let client = Client::new(SslVersion::TLS1_3, |context| {
        context.set_groups_list("X25519:P-256").unwrap();
    });
    assert_eq!(client.meet(&server, Some("two.example")).shown(), "two");
    for (first, then) in [
        ("two.example", "one.example"),
        ("two.example", "who.example"),
    ] {
        let mut meeting = client.begin(&server, Some(first));
        meeting.turn(|_| ());
        meeting.turn(|said| {
            let at = said
                .windows(first.len())
                .position(|part| part == first.as_bytes());
            let at = at.expect("a second ClientHello");
            said[at..at + then.len()].copy_from_slice(then.as_bytes());
        });
        meeting.go_on();
        assert!(meeting.failure.is_some() && !is_refused(meeting.server.ssl()));
        assert!(
            meeting.alert().contains("illegal parameter"),
            "{}",
            meeting.alert()
        );
    }
}

#[test]
fn a_staple_is_shown_with_its_certificate_and_not_after_its_time() {
    // With a certificate that has signed itself newer libraries show none.
    let ecdsa = issued("ecdsa", make("ecdsa"));
    let ed25519 = issued("ed25519", make_ed25519("ed25519"));
    let staple = |text: &[u8], until| Staple {
        response: text.to_vec(),
        until,
    };
    let (fresh, other) = (staple(FRESH, u64::MAX), staple(OTHER, u64::MAX));
    let stale = staple(STALE, 1);
    let mut collector = Collector::default();
    let places = [
        add_stapled(&mut collector, &ecdsa, &["one.example"], Some(&fresh)),
        add_stapled(&mut collector, &ed25519, &["one.example"], Some(&other)),
        add_stapled(&mut collector, &ecdsa, &["old.example"], Some(&stale)),
        add(&mut collector, &ecdsa, &["none.example"]),
        add_stapled(&mut collector, &ed25519, &[], Some(&other)),
        add_stapled(&mut collector, &ecdsa, &[], Some(&fresh)),
    ];
    let gate = Arc::new(Gate::open().unwrap());
    let listed = places.map(|place| (place, gate.clone()));
    let catalogue = Arc::new(collector.finish().unwrap());
    let frontend = Frontend {
        index: Index::new(catalogue, Order::AsListed, listed.into()).unwrap(),
        default: places[4..].to_vec(),
        gate,
        dh: None,
    };
    let server = context(frontend, &settings());
    for version in VERSIONS {
        let shown = |name, algorithms: &str| {
            let client = Client::new(version, |context| {
                context.set_sigalgs_list(algorithms).unwrap();
            });
            let meeting = client.meet(&server, name);
            assert!(meeting.is_done());
            meeting.client.ssl().ocsp_status().map(<[u8]>::to_vec)
        };
        let ecdsa = "ECDSA+SHA256";
        assert_eq!(shown(Some("one.example"), ecdsa), Some(FRESH.to_vec()));
        assert_eq!(shown(Some("one.example"), "ed25519"), Some(OTHER.to_vec()));
        assert_eq!(shown(Some("old.example"), ecdsa), None);
        assert_eq!(shown(Some("none.example"), ecdsa), None);
        assert_eq!(shown(None, ecdsa), Some(FRESH.to_vec()));
        assert_eq!(shown(None, "ed25519"), Some(OTHER.to_vec()));
    }
}

#[test]
fn a_connection_that_gave_back_what_the_handshake_needed_goes_on() {
    let (one, ours) = (make("one"), make("ours"));
    let mut collector = Collector::default();
    let staple = Staple {
        response: FRESH.to_vec(),
        until: u64::MAX,
    };
    let place = add_stapled(&mut collector, &one, &["one.example"], Some(&staple));
    let anchors = [ours.certificate.clone()];
    let gate = |demand| Arc::new(Gate::new(demand, &anchors, &anchors, &[]).unwrap());
    let listed = vec![(place, gate(Demand::Valid))];
    let catalogue = Arc::new(collector.finish().unwrap());
    let frontend = Frontend {
        index: Index::new(catalogue, Order::AsListed, listed).unwrap(),
        default: vec![place],
        gate: gate(OPEN),
        dh: None,
    };
    let server = context(frontend, &settings());
    for version in VERSIONS {
        let client = with_certificate(version, &ours);
        let mut meeting = client.meet(&server, Some("one.example"));
        assert_eq!(meeting.shown(), "one");
        meeting.server.settle();
        assert!(meeting.server.ssl().certificate().is_none());
        assert!(meeting.server.ssl().peer_certificate().is_some());
        assert_eq!(meeting.say(b"word"), b"word");
        assert_eq!(asked(meeting.server.ssl()), Some(&b"one.example"[..]));
        drop(meeting);
        assert!(client.meet(&server, Some("one.example")).is_resumed());
    }
}

#[test]
fn a_handshake_waits_for_a_store_and_goes_on_when_asked_again() {
    let one = make("one");
    let questions = Arc::new(AtomicUsize::new(0));
    let asked_so_often = questions.clone();
    let inquiry = move |ssl: &mut SslRef| {
        // The certificate is chosen by now.
        assert_eq!(asked(ssl), Some(&b"one.example"[..]));
        asked_so_often.fetch_add(1, Ordering::Relaxed) < 2
    };
    let settings = settings();
    let purpose = Purpose {
        scope: "test",
        settings: &settings,
        tickets: 1,
        sessions: Some(Sessions {
            alone: true,
            prepare: Box::new(|_| Ok(())),
            inquiry: Box::new(inquiry),
        }),
    };
    let listed = [(&one, &["one.example"][..], OPEN)];
    let server = server(frontend(&listed, &one), purpose).unwrap();
    let meeting = plain(SslVersion::TLS1_3).meet(&server, Some("one.example"));
    assert_eq!(meeting.shown(), "one");
    assert_eq!(questions.load(Ordering::Relaxed), 3);
}

#[test]
fn a_malformed_server_name_is_seen() {
    assert_eq!(server_name(b"\0\x04\0\0\x01a"), Some(&b"a"[..]));
    for bad in [
        &b""[..],
        b"\0",
        b"\0\0",
        b"\0\x03\0\0\0",
        b"\0\x05\0\0\x01a",
        b"\0\x04\0\0\x02a",
        b"\0\x04\0\0\x01a!",
        b"\0\x04\x01\0\x01a",
        b"\0\x04\0\0\x01\0",
        b"\0\x08\0\0\x01a\0\0\x01b",
    ] {
        assert_eq!(server_name(bad), None, "{bad:?}");
    }
    let mut long = b"\x01\x03\0\x01\0".to_vec();
    long.extend([b'a'; 256]);
    assert_eq!(server_name(&long), None);
}
