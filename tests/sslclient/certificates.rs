//! Certificates of the client: shown where the server asks, with keys of every kind, and never to a stranger.
#![forbid(unsafe_code)]

use crate::common::keys::{
    self, KINDS, Kind, Pair, authority, encrypted, for_names, of_client, root,
};
use crate::common::{Caller, Server, Setup};
use crate::counterpart::{Counterpart, accept};
use crate::{assert_ended, assert_quiet};
use openssl::ssl::SslVersion;
use std::net::TcpListener;

/// A server that lets in who has a certificate of the authority, and says whose it is.
fn asking() -> Setup {
    Setup::new()
        .options(&["-m", "-s"])
        .file("CAFILE", "ca.pem", &authority().certificate)
        .file("CCAFILE", "names.pem", &authority().certificate)
        .shell("echo \"$SSL_PROTOCOL $SSL_CLIENT_S_DN_CN\"")
}

fn call(server: &Server) -> Caller {
    Caller::of(server)
}

#[test]
fn keys_of_every_kind_prove_themselves_in_both_versions() {
    let server = asking().env("TLSMIN", "1.2").start();
    for kind in KINDS {
        let pair = for_names(kind, authority(), "a client", &["client.example"]);
        for (version, told) in [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")] {
            let caller = call(&server).showing(&pair).env("TLSMAX", version);
            let outcome = caller.run();
            assert_eq!(
                outcome.text(),
                format!("{told} a client\n"),
                "{kind:?} {outcome:?}"
            );
            assert_quiet(&outcome);
        }
    }
    server.stop();
}

#[test]
fn older_key_exchanges_are_signed_for_too() {
    let server = asking().keys(&[Kind::Rsa2048]).start();
    let pair = for_names(Kind::Rsa2048, authority(), "a client", &["client.example"]);
    let caller = call(&server).showing(&pair).env("TLSMAX", "1.2");
    for list in ["ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"] {
        let outcome = caller.run();
        assert_eq!(outcome.text(), "TLSv1.2 a client\n", "{list} {outcome:?}");
    }
}

#[test]
fn the_program_knows_both_certificates() {
    let server = asking().start();
    let pair = of_client("DNS:client.example");
    let caller = call(&server).showing(&pair).options(&["-s"]).shell(
        "echo \"$SSL_CLIENT_S_DN $SSL_SERVER_S_DN_CN $SSL_SERVER_I_DN\"; echo \"$SSL_SERVER_CERT_CHAIN_0\"",
    );
    let outcome = caller.run();
    let text = outcome.text();
    let (line, chain) = text.split_once('\n').expect("two lines");
    assert_eq!(line, "/CN=somebody localhost /CN=Test Root", "{outcome:?}");
    assert_eq!(
        chain.trim_end(),
        keys::leaf(Kind::P256).certificate.trim_end()
    );
}

#[test]
fn certificate_chain_and_key_may_be_in_one_file() {
    let server = asking().env("VERIFYDEPTH", "2").start();
    let middle = keys::intermediate("/CN=Middle", authority());
    let leaf = for_names(Kind::P256, &middle, "deep", &["client.example"]);
    let all = format!("{}{}{}", leaf.key, leaf.certificate, middle.certificate);
    let caller = call(&server);
    let file = caller.dir.write("all.pem", all).display().to_string();
    let outcome = caller.options(&["-c", &file]).run();
    assert_eq!(outcome.text(), "TLSv1.3 deep\n", "{outcome:?}");
}

#[test]
fn the_password_of_a_key_comes_on_descriptor_3_or_in_a_file() {
    let server = asking().start();
    let pair = of_client("DNS:client.example");
    let locked = Pair {
        key: encrypted(&pair, "open sesame"),
        certificate: pair.certificate,
    };
    let caller = || call(&server).showing(&locked);
    let hello = "TLSv1.3 somebody\n";
    for (password, told) in [
        ("open sesame", Some(hello)),
        ("open sesame\n", Some(hello)),
        ("open sesame\0more", Some(hello)),
        ("wrong", None),
        ("", None),
    ] {
        for third in [true, false] {
            let caller = caller();
            let file = caller.dir.write("password", password).display().to_string();
            let script = "exec \"$@\" 3<\"$0\"";
            let outcome = match third {
                true => caller.prefix(&["sh", "-c", script, &file]).options(&["-3"]),
                false => caller.options(&["-K", &file]),
            }
            .run();
            match told {
                Some(told) => assert_eq!(outcome.text(), told, "{password:?} {outcome:?}"),
                None => assert_ended(
                    &outcome,
                    111,
                    "sslclient: error: (111) unable to load key: *own.key: wrong password?*",
                ),
            }
        }
    }
    let line = "sslclient: error: (111) unable to load key: *own.key: it needs a password: *";
    assert_ended(&caller().run(), 111, line);
    let line = "sslclient: error: (111) unable to read password from FD3: Bad file number";
    assert_ended(&caller().options(&["-3"]).run(), 111, line);
    let line = "sslclient: error: (111) unable to read password from: /nonexistent: No such file *";
    assert_ended(&caller().options(&["-K", "/nonexistent"]).run(), 111, line);
}

#[test]
fn what_cannot_be_used_is_named_before_anybody_is_called() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let pair = of_client("DNS:client.example");
    let other = of_client("DNS:other.example");
    let mixed = Pair {
        certificate: pair.certificate.clone(),
        key: other.key,
    };
    let caller = || Caller::to(listener.local_addr().expect("bound"));
    for (caller, line) in [
        (
            caller().showing(&mixed),
            "sslclient: error: (111) key does not match certificate: *own.key: the certificate is *own.pem",
        ),
        (
            caller().options(&["-c", "/nonexistent"]),
            "sslclient: error: (111) unable to load certificate: /nonexistent: No such file or directory",
        ),
        (
            caller().showing(&pair).options(&["-k", "/nonexistent"]),
            "sslclient: error: (111) unable to load key: /nonexistent: No such file or directory",
        ),
    ] {
        assert_ended(&caller.run(), 111, line);
    }
    listener.set_nonblocking(true).expect("nonblocking");
    assert!(listener.accept().is_err(), "somebody was called");
}

#[test]
fn a_server_that_lets_nobody_in_is_heard() {
    let server = asking().start();
    let stranger = root("/CN=stranger");
    for version in ["1.2", "1.3"] {
        for caller in [call(&server), call(&server).showing(&stranger)] {
            let outcome = caller.env("TLSMAX", version).shell("cat <&6; exit 3").run();
            assert_eq!((outcome.code(), &*outcome.text()), (111, ""), "{outcome:?}");
            let line = match version {
                "1.2" => {
                    "sslclient: fatal: (111) unable to TLS connect to: 127.0.0.1 port: * alert *"
                }
                // It is only told when its own handshake is done.
                _ => {
                    "sslclient: error: (111) unable to speak TLS with: 127.0.0.1 for pid: * alert *"
                }
            };
            assert_ended(&outcome, 111, line);
        }
    }
}

#[test]
fn a_stranger_is_not_shown_the_certificate() {
    let pair = of_client("DNS:client.example");
    let impostor = root("/CN=localhost");
    let counterpart = Counterpart::new(move |tcp| {
        std::panic::catch_unwind(|| accept(tcp, &impostor, SslVersion::TLS1_2)).is_err()
    });
    let outcome = Caller::to(counterpart.address).showing(&pair).run();
    assert_ended(&outcome, 110, "*unable to validate server certificate*");
    assert!(counterpart.end(), "there was a handshake");
}
