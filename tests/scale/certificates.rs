//! Very many certificates.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};

use crate::common::{Running, Serving, Stud, say};
use crate::footprint::{Footprint, Witness};
use crate::size;

crate::tests! {
    thousands_of_certificates_load_in_seconds_and_reloads_cost_no_lasting_memory
}

const WORKERS: usize = 2;
/// The first reloads find places for the old configuration and the new one.
const SETTLING: usize = 3;
const RELOADS: usize = 5;

fn thousands_of_certificates_load_in_seconds_and_reloads_cost_no_lasting_memory() {
    let count = size::of(2000, 15_000);
    let backend = Serving::echo();
    let stud = Stud::to(backend.address);
    let folder = stud.dir.subdirectory("pems");
    make_all(&folder, count);
    let began = Instant::now();
    let stud = stud
        .config(&format!(
            "pem-dir = \"{}\"\nworkers = {WORKERS}",
            folder.display()
        ))
        .start();
    let _witness = Witness(&stud);
    let loaded = began.elapsed();
    check(&stud, count);
    let start = Footprint::settled(&stud, WORKERS);
    let mut slowest = Duration::ZERO;
    let mut reload = |times: usize| {
        let mut last = None;
        for _ in 0..times {
            let began = Instant::now();
            stud.reload();
            slowest = slowest.max(began.elapsed());
            check(&stud, count);
            last = Some(Footprint::settled(&stud, WORKERS));
        }
        last.expect("one at least")
    };
    let once = reload(1);
    let settled = reload(SETTLING);
    let last = reload(RELOADS);
    say(&format!(
        "{count} certificates: loaded in {loaded:?}, reloaded in {slowest:?} at most; {start} at the start, \
         {once} after a reload, {settled} after {}, {last} after {}",
        1 + SETTLING,
        1 + SETTLING + RELOADS
    ));
    assert_eq!(last.descriptors, once.descriptors);
    for (before, part) in [(&once, 5), (&settled, 20)] {
        let more = last.total().saturating_sub(before.total());
        assert!(
            more <= before.total() / part,
            "{more} bytes more than {before}"
        );
    }
}

/// The first, one in the middle and the last are found.
fn check(stud: &Running, count: usize) {
    for number in [0, count / 2, count - 1] {
        let mut client = stud.dial().name(&name(number)).connect();
        client.assert_echoes();
        assert_eq!(client.shown(), name(number));
    }
}

fn name(number: usize) -> String {
    format!("host-{number}.example")
}

fn make_all(folder: &Path, count: usize) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for number in (first..count).step_by(threads) {
                    let file = folder.join(format!("{number:05}.pem"));
                    std::fs::write(file, make(&name(number))).expect("room in the directory");
                }
            });
        }
    });
}

/// Key and certificate, which it has signed itself.
fn make(name: &str) -> Vec<u8> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let key = EcKey::generate(&group).and_then(PKey::from_ec_key);
    let key = key.expect("a key");
    let mut pem = key.private_key_to_pem_pkcs8().expect("PEM");
    let certificate = certify(name, &key).and_then(|certificate| certificate.to_pem());
    pem.extend(certificate.expect("a certificate"));
    pem
}

fn certify(name: &str, key: &PKey<Private>) -> Result<X509, openssl::error::ErrorStack> {
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    let subject = subject.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_pubkey(key)?;
    let (start, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
    builder.set_not_before(&start)?;
    builder.set_not_after(&end)?;
    let names = SubjectAlternativeName::new()
        .dns(name)
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}
