//! The run scripts among the samples serve as they stand, each in a service directory as its head says.
#![forbid(unsafe_code)]

mod common;

use common::keys::{Pair, authority, leaf};
use common::peers::must;
use common::setup::compile;
use common::tempdir::{give, set_mode};
use common::{Kind, Server, TempDir, curl, s_client, say, without_root};
use nix::unistd::{User, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// Users that every Debian has: one for the key, one for the application.
const KEY_USER: &str = "daemon";
const APPLICATION_USER: &str = "www-data";

/// What a script needs on this machine beside root.
fn without(test: &str, programs: &[&str]) -> bool {
    let lacks = |program: &&&str| !Path::new(program).exists();
    let lacking = programs.iter().find(lacks);
    if let Some(program) = lacking {
        say(&format!("{test}: skipped: needs {program}"));
    }
    lacking.is_some() || without_root(test)
}

fn user(name: &str) -> User {
    User::from_name(name).expect("users").expect(name)
}

/// A service directory with `rules.cdb` and the server's key.
fn service() -> TempDir {
    let dir = TempDir::new();
    dir.subdirectory("keys");
    key_set(&dir, "keys/cert.pem", "keys/key.pem", leaf(Kind::P256));
    compile(&dir, "rules.cdb", ":allow\n");
    dir
}

fn key_set(dir: &TempDir, certificate: &str, key: &str, pair: &Pair) {
    dir.write(certificate, &pair.certificate);
    give(&dir.write(key, &pair.key), user(KEY_USER).uid.as_raw());
}

/// Starts a script there. It finds its sslserver by name; ours also tells the port, and keeps log and port apart again.
fn start(dir: TempDir, script: &str) -> Server {
    dir.subdirectory("bin");
    let wrapper = format!(
        "#!/bin/sh\nexec {} -1 \"$@\" 2>&9 9>&-\n",
        env!("CARGO_BIN_EXE_sslserver")
    );
    set_mode(&dir.write("bin/sslserver", wrapper), 0o755);
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("rules")
        .join(script);
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 9>&2; exec \"$0\""])
        .arg(script)
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", dir.text("bin")))
        .env("DOCUMENTS", dir.text(""))
        .envs([
            ("ADDRESS", "127.0.0.1"),
            ("PORT", "0"),
            ("KEYUSER", KEY_USER),
            ("APPUSER", APPLICATION_USER),
        ])
        .stdin(Stdio::null());
    Server::start(dir, command)
}

fn serves_a_file(script: &str) {
    let dir = service();
    dir.write("page.txt", "hello from the directory\n");
    let server = start(dir, script);
    let page = curl(&server, &[], "https://{}/page.txt");
    assert_eq!(page.code(), 0, "{page:?} {:?}", server.log.lines());
    assert_eq!(page.text(), "hello from the directory\n");
    server.wait_until_idle();
    server.stop();
}

#[test]
fn the_scripts_for_daemontools_and_runit_serve_a_directory() {
    let test = "the_scripts_for_daemontools_and_runit_serve_a_directory";
    if !without(test, &["/usr/bin/softlimit", "/usr/bin/busybox"]) {
        serves_a_file("run.daemontools");
    }
    if !without(test, &["/usr/bin/chpst", "/usr/bin/busybox"]) {
        serves_a_file("run.runit");
    }
}

#[test]
fn the_script_with_a_set_for_each_name_serves_each_site_with_its_own_certificate() {
    let test = "the_script_with_a_set_for_each_name_serves_each_site_with_its_own_certificate";
    if without(test, &["/usr/bin/softlimit", "/usr/bin/busybox"]) {
        return;
    }
    let dir = service();
    for folder in [
        "keys/names",
        "keys/names/b",
        "sites",
        "sites/a.example",
        "sites/b.example",
        "sites/default",
    ] {
        dir.subdirectory(folder);
    }
    let (a, b) = (named("a.example"), named("b.example"));
    let both = format!("{}{}", a.certificate, a.key);
    give(
        &dir.write("keys/names/a.pem", both),
        user(KEY_USER).uid.as_raw(),
    );
    let folder = "keys/names/b";
    let (chain, key) = (
        format!("{folder}/fullchain.pem"),
        format!("{folder}/privkey.pem"),
    );
    key_set(&dir, &chain, &key, &b);
    for site in ["a.example", "b.example", "default"] {
        dir.write(&format!("sites/{site}/page.txt"), site);
    }
    let server = start(dir, "run.https-names");
    let at = format!("127.0.0.1:{}", server.port());
    for site in ["a.example", "b.example"] {
        // The client holds the certificate against the name.
        let to = format!("{site}:{}:{at}", server.port());
        let url = format!("https://{site}:{}/page.txt", server.port());
        let page = curl(&server, &["--connect-to", &to], &url);
        assert_eq!(page.code(), 0, "{page:?} {:?}", server.log.lines());
        assert_eq!(page.text(), site);
    }
    let page = curl(&server, &[], &format!("https://{at}/page.txt"));
    assert_eq!(page.text(), "default", "without a name: {page:?}");
    let stranger = s_client(&server, &["-servername", "c.example"], "");
    let alert = format!("{stranger:?}");
    assert!(alert.contains("unrecognized name"), "{alert}");
    server.wait_until_idle();
    server.stop();
}

#[test]
fn the_script_for_client_certificates_opens_the_mailbox_of_the_certificate_and_no_other() {
    let test =
        "the_script_for_client_certificates_opens_the_mailbox_of_the_certificate_and_no_other";
    if without(test, &["/usr/bin/softlimit", "/usr/lib/dovecot/imap"]) {
        return;
    }
    let dir = service();
    let owner = user(APPLICATION_USER);
    for folder in ["mail", "mail/joe", "mail/eve"] {
        chown(&dir.subdirectory(folder), Some(owner.uid), Some(owner.gid)).expect("chown");
    }
    dir.write("keys/clients.pem", &authority().certificate);
    let (joe, nobody, revoked) = (named("joe"), named("../joe"), named("eve"));
    dir.write("keys/revoked.pem", revocation(&revoked));
    let server = start(dir, "run.imaps-clients");
    let list = |client: Option<&Pair>| {
        let files = client.map(|client| {
            let certificate = server.dir.write("client.pem", &client.certificate);
            let key = server.dir.write("client.key", &client.key);
            [certificate, key].map(|path| path.display().to_string())
        });
        let mut options = vec!["-u", "joe:unused"];
        if let Some([certificate, key]) = &files {
            options.extend(["--cert", certificate, "--key", key]);
        }
        curl(&server, &options, "imaps://{}/")
    };
    let own = list(Some(&joe));
    assert_eq!(own.code(), 0, "{own:?} {:?}", server.log.lines());
    assert!(own.text().contains("INBOX"), "{own:?}");
    assert!(server.dir.join("mail/joe/Maildir").is_dir());
    for client in [Some(&nobody), Some(&revoked), None] {
        let refused = list(client);
        assert_ne!(refused.code(), 0, "{refused:?}");
    }
    server.log.wait_for("sslserver: fatal: * revoked");
    server.wait_until_idle();
    server.stop();
}

/// A certificate with this name, signed by the authority.
fn named(name: &str) -> Pair {
    let dir = TempDir::new();
    let request = dir.text("request");
    let key = dir.text("key");
    let subject = format!("/CN={}", name.replace('/', "\\/"));
    let mut new = Command::new("openssl");
    new.args(["req", "-new", "-newkey", "ec", "-nodes", "-pkeyopt"]);
    new.args(["ec_paramgen_curve:P-256", "-subj", &subject]);
    must(with(new, &[("-keyout", &key), ("-out", &request)]));
    let (signer, signer_key) = signer(&dir);
    let mut sign = Command::new("openssl");
    sign.args(["x509", "-req", "-days", "30"]);
    let files = [("-in", &request), ("-CA", &signer), ("-CAkey", &signer_key)];
    let certificate = String::from_utf8(must(with(sign, &files))).expect("PEM is ASCII");
    let key = std::fs::read_to_string(key).expect("the key");
    Pair { certificate, key }
}

/// The authority's list of revoked certificates with this one in it.
fn revocation(revoked: &Pair) -> Vec<u8> {
    let dir = TempDir::new();
    let (signer, signer_key) = signer(&dir);
    let certificate = dir.write("revoked", &revoked.certificate);
    let mut number = Command::new("openssl");
    number.args(["x509", "-noout", "-serial", "-in"]);
    number.arg(certificate);
    let number = String::from_utf8(must(number)).expect("a number");
    let number = number.trim().trim_start_matches("serial=").to_owned();
    let index = format!("R\t401231235959Z\t250101000000Z\t{number}\tunknown\t/CN=x\n");
    let index = dir.write("index", index);
    let config = format!(
        "[ca]\ndefault_ca = d\n[d]\ndatabase = {}\ndefault_md = sha256\ndefault_crl_days = 30\n",
        index.display()
    );
    dir.write("config", config);
    let config = dir.text("config");
    let mut list = Command::new("openssl");
    list.args(["ca", "-gencrl"]);
    let files = [
        ("-config", &config),
        ("-cert", &signer),
        ("-keyfile", &signer_key),
    ];
    must(with(list, &files))
}

fn signer(dir: &TempDir) -> (String, String) {
    dir.write("signer", &authority().certificate);
    dir.write("signer-key", &authority().key);
    (dir.text("signer"), dir.text("signer-key"))
}

fn with(mut command: Command, files: &[(&str, &String)]) -> Command {
    for (option, file) in files {
        command.arg(option).arg(file);
    }
    command
}
