//! Servers that nobody here wrote: `openssl s_server`, nginx, and stud.
#![forbid(unsafe_code)]

use crate::assert_quiet;
use crate::common::daemon::free;
use crate::common::keys::{Kind, Pair, authority, for_names, leaf, of_client};
use crate::common::{Caller, Daemon, Outcome, SServer, Serving, Stud, TempDir};

fn assert_said(outcome: &Outcome, text: &str) {
    assert_eq!((outcome.code(), &*outcome.text()), (0, text), "{outcome:?}");
    assert_quiet(outcome);
}

#[test]
fn s_server_turns_lines_around() {
    for version in ["-tls1_2", "-tls1_3"] {
        let server = SServer::start(&["-rev", version]);
        let outcome = Caller::to(server.address)
            .shell("echo stressed >&7; read line <&6; echo \"$line\"; echo CLOSE >&7; cat <&6")
            .run();
        assert_said(&outcome, "desserts\n");
    }
}

#[test]
fn s_server_sees_the_certificate_and_the_name() {
    let pair = of_client("DNS:client.example");
    for version in ["-tls1_2", "-tls1_3"] {
        let options = ["-Verify", "1", "-verify_return_error", "-www", version];
        let server = SServer::start(
            &[
                &options[..],
                &["-servername", "localhost", "-servername_fatal"],
            ]
            .concat(),
        );
        let outcome = Caller::to(server.address)
            .host("localhost")
            .options(&["-4"])
            .showing(&pair)
            .shell("printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&7; cat <&6")
            .run();
        let text = outcome.text();
        assert!(text.contains("somebody"), "{outcome:?}");
    }
}

/// Certificates for two names and one for everybody else, each with its own answer.
fn nginx(dir: &TempDir) -> Option<Daemon> {
    let address = free("127.0.0.1");
    let mut blocks = String::new();
    for name in ["localhost", "one.example", "two.example"] {
        let pair = match name {
            "localhost" => None,
            name => Some(for_names(Kind::P256, authority(), name, &[name])),
        };
        let pair: &Pair = pair.as_ref().unwrap_or(leaf(Kind::Rsa2048));
        let certificate = dir.write(&format!("{name}.pem"), &pair.certificate);
        let key = dir.write(&format!("{name}.key"), &pair.key);
        blocks.push_str(&format!(
            "server {{ listen {address} ssl; server_name {name}; ssl_certificate {}; ssl_certificate_key {};
             location / {{ return 200 \"asked for $ssl_server_name\\n\"; }} }}\n",
            certificate.display(),
            key.display()
        ));
    }
    Daemon::nginx(
        dir,
        address,
        &format!("http {{ access_log off; {blocks} }}"),
    )
}

const GET: &str =
    "echo \"$SSL_SERVER_S_DN_CN\"; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&7; sed '1,/^.$/d' <&6";

#[test]
fn nginx_is_told_which_name_is_wanted_unless_it_is_an_address_or_not_to_be_told() {
    let dir = TempDir::new();
    let Some(nginx) = nginx(&dir) else { return };
    let call = || Caller::to(nginx.address).options(&["-s"]).shell(GET);
    assert_said(
        &call().host("localhost").options(&["-4"]).run(),
        "localhost\nasked for localhost\n",
    );
    assert_said(
        &call().host("localhost").options(&["-4", "-M"]).run(),
        "localhost\nasked for \n",
    );
    assert_said(
        &call().host("localhost").options(&["-4", "-Mm"]).run(),
        "localhost\nasked for localhost\n",
    );
    // An address has no name.
    assert_said(&call().run(), "localhost\nasked for \n");
}

#[test]
fn nginx_shows_the_certificate_of_the_name() {
    if crate::common::without_root("nginx_shows_the_certificate_of_the_name") {
        return;
    }
    let dir = TempDir::new();
    let Some(nginx) = nginx(&dir) else { return };
    let hosts = dir.write("hosts", "127.0.0.1 one.example two.example other.example\n");
    let hosts = hosts.display().to_string();
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let call = |name: &str| {
        Caller::to(nginx.address)
            .host(name)
            .prefix(&["unshare", "-m", "sh", "-c", script, &hosts])
            .options(&["-s"])
            .shell(GET)
            .run()
    };
    assert_said(&call("one.example"), "one.example\nasked for one.example\n");
    assert_said(&call("two.example"), "two.example\nasked for two.example\n");
    let line = "sslclient: error: (110) server hostname does not match certificate: other.example <=> localhost";
    crate::assert_ended(&call("other.example"), 110, line);
}

#[test]
fn a_server_in_front_of_which_stud_stands_is_called_as_any() {
    let backend = Serving::echo();
    let stud = Stud::to(backend.address).start();
    let outcome = Caller::to(stud.address())
        .shell("echo through stud >&7; exec 7>&-; cat <&6")
        .run();
    assert_said(&outcome, "through stud\n");
    assert_eq!(backend.count(), 1);
}
