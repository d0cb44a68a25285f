//! How many sets, and how large.

use crate::common::Dial;
use crate::common::keys::Pair;
use crate::{certificate, from, server};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::{X509, X509NameBuilder};
use std::io::Read;

#[test]
fn there_is_a_bound_on_sets_and_clients_without_one_are_served_beyond_it() {
    // None of them can be loaded, which takes the least time.
    let address = |number: usize| format!("127.1.{}.{}", number / 250, number % 250 + 1);
    let rules: String = (0..=1000)
        .map(|number| {
            let address = address(number);
            format!("{address}:allow,CERTFILE=\"/none/{number}\"\n")
        })
        .collect();
    let server = server().rules("-x", &format!("{rules}:allow\n")).start();
    for number in 0..=1000 {
        let mut dropped = Dial::to(server.address).from(&address(number)).tcp();
        let end = dropped.read(&mut [0; 1]);
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    let last = address(1000);
    server.log.wait_for(&format!(
        "sslserver: error: (110) no keys for: {last} rules make more than 1000 sets of keys"
    ));
    assert_eq!(certificate(&server, "127.0.0.1"), "localhost");
}

/// Authorities of about a kilobyte each.
fn authorities(count: usize) -> String {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a group");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let day = |number| Asn1Time::days_from_now(number).expect("a time");
    let one = |number: usize| {
        let mut name = X509NameBuilder::new().expect("a name");
        let common = format!("Authority {number}");
        name.append_entry_by_text("CN", &common).expect("text");
        for _ in 0..12 {
            name.append_entry_by_text("O", &"x".repeat(60))
                .expect("text");
        }
        let name = name.build();
        let mut certificate = X509::builder().expect("a certificate");
        certificate.set_subject_name(&name).expect("set");
        certificate.set_issuer_name(&name).expect("set");
        certificate.set_not_before(&day(0)).expect("set");
        certificate.set_not_after(&day(1)).expect("set");
        certificate.set_pubkey(&key).expect("set");
        certificate
            .sign(&key, MessageDigest::sha256())
            .expect("signed");
        String::from_utf8(certificate.build().to_pem().expect("PEM")).expect("ASCII")
    };
    (0..count).map(one).collect()
}

#[test]
fn a_set_with_hundreds_of_authorities_stops_nobody() {
    let Pair { certificate, key } = crate::common::keys::leaf(crate::common::Kind::P256);
    let setup = server().options(&["-m"]);
    setup.dir.write("client.pem", format!("{certificate}{key}"));
    let client = setup.dir.text("client.pem");
    let own = &crate::common::keys::authority().certificate;
    setup.dir.write("own.pem", own);
    let many = setup
        .dir
        .write("many.pem", format!("{}{own}", authorities(250)));
    let own = setup.dir.text("own.pem");
    let rules = format!(
        "127.0.0.2:allow,CAFILE=\"{}\"\n:allow,CCAFILE=\"-\"\n",
        many.display()
    );
    let server = setup.env("CAFILE", &own).rules("-x", &rules).start();
    for _ in 0..2 {
        let shown = from(&server, "127.0.0.2", &["-cert", &client, "-key", &client]);
        assert_eq!(shown.server(), "localhost");
        let verdict = shown.variable("SSL_CLIENT_VERIFY");
        assert_eq!(verdict.as_deref(), Some("SUCCESS"));
        assert_eq!(crate::certificate(&server, "127.0.0.1"), "localhost");
    }
}
