use std::fs;

use openssl::dh::Dh;
use openssl::symm::Cipher;
use openssl::x509::X509;

use super::*;
use crate::tls::rig::{Made, make, make_ed25519, make_nameless, make_rsa};
use crate::tls::staple::tests::good;

/// A directory of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("pems-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn pem(&self, name: &str, content: &[u8]) -> PemFile {
        let path = self.write(name, content);
        PemFile {
            certificate: path.clone(),
            key: path,
            staple: None,
            is_default: false,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn certificate(made: &Made) -> Vec<u8> {
    made.certificate.to_pem().unwrap()
}

fn key(made: &Made) -> Vec<u8> {
    made.key.private_key_to_pem_pkcs8().unwrap()
}

fn both(made: &Made) -> Vec<u8> {
    [certificate(made), key(made)].concat()
}

fn load_all(pems: Vec<PemFile>) -> Result<Pems, String> {
    let wanted = PemFiles {
        pems,
        authorities: Vec::new(),
        system: false,
        oldest: Version::Tls12,
    };
    load(&Files::default(), &wanted).map_err(|unusable| unusable.to_string())
}

fn error(pem: PemFile) -> String {
    load_all(vec![pem]).err().expect("an error")
}

#[test]
fn the_blocks_of_a_pem_may_stand_in_any_order_and_the_chain_keeps_its_own() {
    let folder = Folder::new("order");
    let (one, signer, other) = (make("one"), make("signer"), make("other"));
    let dh = Dh::get_2048_256().unwrap().params_to_pem().unwrap();
    let parts = [
        key(&one),
        certificate(&one),
        dh.clone(),
        certificate(&signer),
    ];
    let loaded = load_all(vec![
        folder.pem("a", &[&parts.concat()[..], &certificate(&other)].concat()),
        folder.pem("b", &[&both(&other)[..], &certificate(&signer)].concat()),
    ])
    .unwrap();
    let chain = [&one.chain[0], &signer.chain[0], &other.chain[0]];
    assert_eq!(loaded.pems[0].pair.chain.iter().collect::<Vec<_>>(), chain);
    assert_eq!(loaded.pems[0].pair.names, ["one"]);
    assert_eq!(loaded.pems[0].dh.as_ref().unwrap().bits, 2048);
    let chain = [&other.chain[0], &signer.chain[0]];
    assert_eq!(loaded.pems[1].pair.chain.iter().collect::<Vec<_>>(), chain);
    assert!(loaded.pems[1].dh.is_none());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn a_key_may_have_a_file_of_its_own() {
    let folder = Folder::new("apart");
    let (one, other) = (make_ed25519("one"), make("other"));
    let mut pem = folder.pem("certificate", &certificate(&one));
    assert!(error(pem.clone()).starts_with("unable to load key: "));
    pem.key = folder.write("key", &key(&one));
    assert!(load_all(vec![pem.clone()]).is_ok());
    pem.key = folder.write("other", &key(&other));
    assert!(error(pem).starts_with("key does not match certificate: "));
}

#[test]
fn what_cannot_be_used_is_an_error_with_its_file() {
    let folder = Folder::new("damage");
    let one = make("one");
    let encrypted = one
        .key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"word");
    let encrypted = [certificate(&one), encrypted.unwrap()].concat();
    let said = error(folder.pem("encrypted", &encrypted));
    assert!(said.contains("/encrypted: it is encrypted"), "{said}");
    let broken = b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n";
    let said = error(folder.pem("dh", &[&both(&one)[..], broken].concat()));
    assert!(said.starts_with("unable to set DH parameters: "), "{said}");
    for (name, content) in [
        ("empty", &b""[..]),
        ("text", b"once upon a time"),
        ("key", &key(&one)),
        ("cut", &both(&one)[..200]),
    ] {
        let said = error(folder.pem(name, content));
        assert!(said.contains(&format!("/{name}: ")), "{said}");
    }
    let missing = PemFile {
        certificate: folder.0.join("nowhere"),
        ..folder.pem("good", &both(&one))
    };
    assert!(error(missing).ends_with("No such file or directory"));
}

#[test]
fn a_certificate_without_a_name_is_loaded_and_only_the_default_is_silent_about_it() {
    let folder = Folder::new("nameless");
    let nameless = make_nameless();
    let mut pem = folder.pem("pem", &both(&nameless));
    let loaded = load_all(vec![pem.clone()]).unwrap();
    assert_eq!(loaded.pems.len(), 1);
    assert!(loaded.warnings[0].contains("has no name"));
    pem.is_default = true;
    assert!(load_all(vec![pem]).unwrap().warnings.is_empty());
}

#[test]
fn a_staple_must_be_for_its_certificate_and_one_that_is_over_is_not_shown() {
    let folder = Folder::new("staple");
    let (one, other) = (make("one"), make("other"));
    let with = |leaf: &X509, until: &[u8; 4]| {
        let mut response = good(leaf);
        let year = response.windows(4).position(|part| part == b"2030");
        response[year.unwrap()..][..4].copy_from_slice(until);
        PemFile {
            staple: Some(folder.write("staple", &response)),
            ..folder.pem("pem", &both(&one))
        }
    };
    let loaded = load_all(vec![with(&one.certificate, b"2099")]).unwrap();
    assert!(loaded.pems[0].staple.is_some() && loaded.warnings.is_empty());
    let loaded = load_all(vec![with(&one.certificate, b"2021")]).unwrap();
    assert!(loaded.pems[0].staple.is_none());
    assert!(loaded.warnings[0].ends_with("/staple: it has expired"));
    let said = error(with(&other.certificate, b"2099"));
    assert!(
        said.ends_with("/staple: it is about another certificate"),
        "{said}"
    );
}

#[test]
fn what_is_too_weak_is_said_and_short_dh_parameters_are_not_used() {
    let folder = Folder::new("weak");
    let weak = make_rsa("weak", 1024);
    let short = Dh::generate_params(512, 2).unwrap().params_to_pem();
    let pem = [both(&weak), short.unwrap()].concat();
    let loaded = load_all(vec![folder.pem("pem", &pem)]).unwrap();
    assert!(loaded.pems[0].dh.is_none());
    assert!(
        loaded.warnings[0].contains("512 bits"),
        "{:?}",
        loaded.warnings
    );
    assert!(
        loaded.warnings[1].ends_with("/pem: ee key too small"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn authorities_are_lists_in_their_order_and_the_systems_are_the_last() {
    let folder = Folder::new("authorities");
    let (one, other) = (make("one"), make("other"));
    let mut wanted = PemFiles {
        pems: Vec::new(),
        authorities: vec![
            folder.write("one", &certificate(&one)),
            folder.write("other", &certificate(&other)),
        ],
        system: false,
        oldest: Version::Tls12,
    };
    let loaded = load(&Files::default(), &wanted).unwrap();
    assert_eq!(loaded.authorities, [one.chain, other.chain]);
    wanted.authorities.push(folder.write("empty", b""));
    let said = load(&Files::default(), &wanted).err().unwrap().to_string();
    assert!(said.ends_with("/empty: no PEM certificate in it"), "{said}");
}
