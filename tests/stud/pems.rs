//! Where certificates and keys are found.
#![forbid(unsafe_code)]

use crate::common::keys::{Pair, authority, for_names, leaf};
use crate::common::{Dial, Kind, Running, Serving, Stud};

fn pair(label: &str) -> Pair {
    for_names(
        Kind::P256,
        authority(),
        label,
        &[&format!("{label}.example")],
    )
}

fn shown(dial: Dial) -> String {
    let mut client = dial.connect();
    client.assert_echoes();
    client.shown()
}

fn by_name(stud: &Running, label: &str) -> String {
    shown(stud.dial().name(&format!("{label}.example")))
}

#[test]
fn every_kind_of_key_serves() {
    let backend = Serving::echo();
    for kind in [Kind::Rsa2048, Kind::P256, Kind::Ed25519] {
        let stud = Stud::without_pem(backend.address).pem("own.pem", leaf(kind));
        stud.start().connect().assert_echoes();
    }
}

#[test]
fn the_blocks_of_a_pem_may_stand_in_any_order() {
    let backend = Serving::echo();
    let pair = pair("own");
    let swapped = Pair {
        certificate: pair.key,
        key: pair.certificate,
    };
    let stud = Stud::without_pem(backend.address).pem("own.pem", &swapped);
    assert_eq!(shown(stud.start().dial()), "own");
}

#[test]
fn the_key_may_be_in_a_file_of_its_own() {
    let backend = Serving::echo();
    let stud = Stud::without_pem(backend.address);
    let pair = pair("own");
    let cert = stud.dir.write("cert.pem", &pair.certificate);
    let key = stud.dir.write("key.pem", &pair.key);
    let stud = stud.config(&format!(
        "pem-file = {{\n cert = \"{}\"\n private-key = \"{}\"\n}}",
        cert.display(),
        key.display()
    ));
    assert_eq!(shown(stud.start().dial()), "own");
}

#[test]
fn pems_of_the_command_line_come_after_those_of_the_file() {
    let backend = Serving::echo();
    let stud = Stud::without_pem(backend.address).pem("one.pem", &pair("one"));
    let files = ["two", "three"].map(|label| stud.file(&format!("{label}.pem"), &pair(label)));
    let stud = stud.options(&[&files[0], &files[1]]).start();
    for label in ["one", "two", "three"] {
        assert_eq!(by_name(&stud, label), label);
    }
    assert_eq!(shown(stud.dial()), "three");
}

#[test]
fn a_directory_gives_its_pems_in_the_order_of_their_names() {
    let backend = Serving::echo();
    for (glob, default) in [("", "a"), ("pem-dir-glob = \"*.crt\"\n", "b")] {
        let stud = Stud::without_pem(backend.address);
        let folder = stud.dir.subdirectory("pems");
        stud.file("pems/c.crt", &pair("c"));
        stud.file("pems/a.pem", &pair("a"));
        stud.file("pems/b.crt", &pair("b"));
        std::fs::create_dir(folder.join("below.crt")).expect("a directory");
        let stud = stud
            .config(&format!("{glob}pem-dir = \"{}\"", folder.display()))
            .start();
        assert_eq!(by_name(&stud, "c"), "c");
        assert_eq!(by_name(&stud, "b"), "b");
        assert_eq!(shown(stud.dial()), default, "{glob}");
        let expected = if glob.is_empty() { "a" } else { "b" };
        assert_eq!(by_name(&stud, "a"), expected, "{glob}");
    }
}

#[test]
fn an_operand_may_be_a_directory() {
    let backend = Serving::echo();
    let stud = Stud::without_pem(backend.address);
    let folder = stud.dir.subdirectory("pems");
    stud.file("pems/a.pem", &pair("a"));
    stud.file("pems/b.pem", &pair("b"));
    let stud = stud.options(&[folder.to_str().expect("plain")]).start();
    assert_eq!(by_name(&stud, "a"), "a");
    assert_eq!(by_name(&stud, "b"), "b");
}

#[test]
fn a_frontend_may_have_certificates_of_its_own() {
    let backend = Serving::echo();
    let stud = Stud::to(backend.address);
    let [own, other] =
        ["own", "other"].map(|label| stud.file(&format!("{label}.pem"), &pair(label)));
    let block = |host: &str, more: &str| {
        format!("frontend = {{\n host = \"{host}\"\n port = \"0\"\n{more}\n}}")
    };
    let stud = stud
        .config(&block("127.0.0.2", &format!(" pem-file = \"{own}\"")))
        .config(&block(
            "127.0.0.3",
            &format!(" pem-file = \"{own}\"\n match-global-certs = on"),
        ))
        .config(&format!("frontend = \"[127.0.0.4]:0+{other}\""))
        .start();
    let [global, alone, both, short] = stud.addresses[..] else {
        panic!("{:?}", stud.addresses);
    };
    let cases = [
        (global, "own.example", "localhost"),
        (alone, "own.example", "own"),
        (alone, "localhost", "own"),
        (both, "localhost", "localhost"),
        (both, "unknown.example", "own"),
        (short, "localhost", "other"),
    ];
    for (address, name, label) in cases {
        let found = shown(Dial::to(address).name(name));
        assert_eq!(found, label, "{name} at {address}");
    }
}

#[test]
fn what_is_no_pem_is_named_and_fatal() {
    let good = pair("good");
    let other = pair("other");
    for (text, what) in [
        (String::new(), "empty"),
        ("junk\n".to_owned(), "junk"),
        (good.key.clone(), "a key alone"),
        (good.certificate.clone(), "a certificate alone"),
        (
            format!("{}{}", good.certificate, other.key),
            "a pair that does not fit",
        ),
    ] {
        let stud = Stud::without_pem(([127, 0, 0, 1], 9).into());
        let file = stud.dir.write("bad.pem", &text);
        let stud = stud.config(&format!("pem-file = \"{}\"", file.display()));
        for options in [&[][..], &["-t"]] {
            let outcome = stud.run_with(options);
            assert_eq!(outcome.code(), 1, "{what}: {outcome:?}");
            assert!(outcome.stderr.contains("bad.pem"), "{what}: {outcome:?}");
        }
    }
}
