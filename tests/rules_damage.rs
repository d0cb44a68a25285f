//! Rules files that are not as they should be: whatever is found in their
//! place, a look-up gives an answer or a reason, and gives it at once.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use sslserver::rules::{Client, MAX_FILE, RulesError, RulesFile, Verdict};

const TCPRULES: &str = env!("CARGO_BIN_EXE_tcprules");
const CHECK: &str = env!("CARGO_BIN_EXE_tcprulescheck");

const RULES: &str = "1.2.3.4:deny\n1.2.3.:allow,A=\"b\"\n10.0.0.0/8:deny\n2001:db8::/32:deny\n\
                     2001:db8::1:allow,C=\"d\"\n=.example:deny\njoe@=a.example:allow\n:allow,E=\"f\"\n";

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("rules-{name}.{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    path
}

/// A compiled file in a new directory.
fn compiled(name: &str, rules: &str) -> PathBuf {
    let directory = directory(name);
    compile(&directory.join("cdb"), rules);
    directory.join("cdb")
}

fn compile(cdb: &PathBuf, rules: &str) {
    let source = cdb.with_extension("source");
    fs::write(&source, rules).unwrap();
    let status = Command::new(TCPRULES)
        .args([cdb, &cdb.with_extension("tmp")])
        .stdin(fs::File::open(source).unwrap())
        .status();
    assert!(status.unwrap().success());
}

fn remove(cdb: &std::path::Path) {
    fs::remove_dir_all(cdb.parent().unwrap()).unwrap();
}

fn client(ip: &str) -> Client<'static> {
    Client {
        ip: ip.parse().unwrap(),
        host: Some(b"a.example"),
        info: Some(b"joe"),
    }
}

fn address(ip: &str) -> Client<'static> {
    Client {
        ip: ip.parse::<IpAddr>().unwrap(),
        host: None,
        info: None,
    }
}

fn all_lookups(file: &mut RulesFile) -> Vec<Result<Verdict, RulesError>> {
    let ips = [
        "1.2.3.4",
        "1.2.3.5",
        "10.1.1.1",
        "9.9.9.9",
        "2001:db8::1",
        "2001:db8::2",
        "::7",
    ];
    let both = ips.iter().flat_map(|ip| [client(ip), address(ip)]);
    both.map(|client| file.lookup(&client)).collect()
}

fn reason(file: &mut RulesFile) -> String {
    file.lookup(&address("1.2.3.4")).unwrap_err().to_string()
}

#[test]
fn each_kind_of_wrong_file_has_its_reason() {
    let cdb = compiled("kinds", RULES);
    let here = cdb.parent().unwrap();
    let at = |name: &str| here.join(name);
    fs::create_dir(at("directory")).unwrap();
    symlink("loop", at("loop")).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("text"), "1.2.3.4:deny\n".repeat(1000)).unwrap();
    fs::write(at("zeros"), [0; 5000]).unwrap();
    fs::File::create(at("huge"))
        .unwrap()
        .set_len(MAX_FILE + 1)
        .unwrap();
    let fifo = Command::new("mkfifo").arg(at("fifo")).status();
    assert!(fifo.unwrap().success());
    let whole = fs::read(&cdb).unwrap();
    fs::write(at("truncated"), &whole[..whole.len() - 1]).unwrap();
    let mut bent = whole.clone();
    bent[2048..2056].fill(0xff);
    fs::write(at("bent"), bent).unwrap();

    for (name, expected) in [
        ("missing", "No such file or directory"),
        ("directory", "is a directory"),
        ("fifo", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
        ("loop", "Too many levels of symbolic links"),
        ("empty", "damaged: too short for a cdb"),
        ("text", "damaged or no cdb: table outside the file"),
        ("zeros", "damaged or no cdb: table outside the file"),
        ("truncated", "damaged or no cdb: table outside the file"),
        ("bent", "damaged: record beyond the end of the file"),
        ("huge", "is larger than 256 MB"),
    ] {
        let mut file = RulesFile::new(at(name));
        let error = file.lookup(&address("1.2.3.4")).unwrap_err();
        assert_eq!(error.to_string(), expected, "{name}");
        assert_eq!(error.is_missing(), name == "missing", "{name}");

        // And the program says the same and does not wait for anything.
        let output = Command::new("timeout")
            .args(["60", CHECK])
            .arg(at(name))
            .arg("1.2.3.4")
            .output()
            .unwrap();
        let said = format!(
            "tcprulescheck: fatal: (111) unable to read: {}: {expected}\n",
            at(name).display()
        );
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(111), "{name}");
        assert!(stderr.ends_with(&said), "{name}: {stderr}");
    }
    remove(&cdb);
}

#[test]
fn a_changed_file_is_seen_at_the_next_look_up() {
    let cdb = compiled("changes", "1.2.3.4:deny\n");
    let mut file = RulesFile::new(cdb.clone());
    let denied =
        |file: &mut RulesFile| file.lookup(&address("1.2.3.4")).map(|verdict| verdict.deny);
    for _ in 0..20 {
        assert!(denied(&mut file).unwrap());
        compile(&cdb, "1.2.3.5:deny\n");
        assert!(!denied(&mut file).unwrap());
        compile(&cdb, "1.2.3.4:deny\n");
    }
    // In place, of the same size, sooner than the file system's clock ticks.
    let denies = fs::read(&cdb).unwrap();
    compile(&cdb, "1.2.3.5:deny\n");
    let allows = fs::read(&cdb).unwrap();
    assert_eq!(denies.len(), allows.len());
    for _ in 0..20 {
        fs::write(&cdb, &denies).unwrap();
        assert!(denied(&mut file).unwrap());
        fs::write(&cdb, &allows).unwrap();
        assert!(!denied(&mut file).unwrap());
    }
    fs::write(&cdb, "").unwrap();
    assert!(denied(&mut file).is_err());
    fs::remove_file(&cdb).unwrap();
    assert!(denied(&mut file).unwrap_err().is_missing());
    compile(&cdb, "1.2.3.4:deny\n");
    assert!(denied(&mut file).unwrap());
    remove(&cdb);
}

#[test]
fn a_file_that_may_not_be_read_has_its_reason() {
    let cdb = compiled("mode", RULES);
    fs::set_permissions(&cdb, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&cdb).is_ok() {
        eprintln!("skipped: this user may read everything");
    } else {
        let mut file = RulesFile::new(cdb.clone());
        assert_eq!(reason(&mut file), "Permission denied");
    }
    remove(&cdb);
}

#[test]
fn an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client() {
    let cdb = compiled("mapped", "1.2.3.4:deny\n::/0:allow\n");
    let mut file = RulesFile::new(cdb.clone());
    let verdict = file.lookup(&address("::ffff:1.2.3.4")).unwrap();
    assert_eq!(verdict.matched.as_deref(), Some(&b"1.2.3.4"[..]));
    assert!(verdict.deny);
    remove(&cdb);
}

#[test]
fn every_truncation_is_an_error_and_never_a_missing_rule() {
    let cdb = compiled("truncation", RULES);
    let whole = fs::read(&cdb).unwrap();
    for len in 0..whole.len() {
        fs::write(&cdb, &whole[..len]).unwrap();
        let results = all_lookups(&mut RulesFile::new(cdb.clone()));
        assert!(results.iter().all(Result::is_err), "{len} bytes");
    }
    remove(&cdb);
}

#[test]
fn no_mutation_of_a_file_makes_a_look_up_panic() {
    let cdb = compiled("mutation", RULES);
    let sound = fs::read(&cdb).unwrap();
    let change = (any::<Index>(), any::<u8>());
    // The header takes most of a small file; half of the cases spare it.
    let from = prop_oneof![Just(0), Just(2048)];
    let cut = proptest::option::weighted(0.1, any::<Index>());
    let cases = (vec(change, 1..8), from, cut);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(2000));
    let outcome = runner.run(&cases, |(changes, from, cut)| {
        let mut bytes = sound.clone();
        for (index, byte) in changes {
            let at = from + index.index(bytes.len() - from);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&cdb, bytes).unwrap();
        for error in all_lookups(&mut RulesFile::new(cdb.clone()))
            .into_iter()
            .filter_map(Result::err)
        {
            prop_assert!(error.to_string().starts_with("damaged"));
        }
        Ok(())
    });
    outcome.unwrap();
    remove(&cdb);
}
