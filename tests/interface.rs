//! Interfaces: link-local addresses mean something only on one (`-I`), and the application is told which.
#![forbid(unsafe_code)]

mod common;

use common::namespaces::{CLIENT_LINK, Networks, SERVER_LINK};
use common::{Server, Setup, eventually, run};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

/// A server in a network of its own that tells the application's environment, one variable in each line.
fn setup(networks: &Networks, host: &str) -> Setup {
    let setup = Setup::new().prefix(&Networks::within(&networks.server));
    setup.host(host).program(&["env"])
}

/// The environment of the application for a client in the other network, where the server has this address.
fn environment(networks: &Networks, server: &Server, address: &str) -> BTreeMap<String, String> {
    let [program, words @ ..] = Networks::within(&networks.client);
    let mut command = Command::new(program);
    command.args(words);
    let target = format!("[{address}]:{}", server.port());
    command.args([
        "openssl", "s_client", "-quiet", "-ign_eof", "-connect", &target,
    ]);
    let outcome = run(command, b"", common::LIMIT);
    let text = outcome.text();
    let pairs: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(pairs.contains_key("PROTO"), "{outcome:?}");
    pairs
}

fn linked(address: &str) -> String {
    format!("{address}%{CLIENT_LINK}")
}

#[test]
fn a_link_local_address_is_served_on_its_interface() {
    let test = "a_link_local_address_is_served_on_its_interface";
    let Some(networks) = Networks::new(test) else {
        return;
    };
    let setup = setup(&networks, "fe80::1").options(&["-I", SERVER_LINK]);
    let server = setup.start();
    assert!(server.ready.starts_with("fe80::1 : "), "{}", server.ready);
    let environment = environment(&networks, &server, &linked("fe80::1"));
    for (name, value) in [
        ("PROTO", "TCP6"),
        ("SSLINTERFACE", SERVER_LINK),
        ("TCP6INTERFACE", SERVER_LINK),
        ("SSLLOCALIP", "fe80::1"),
        ("TCP6LOCALIP", "fe80::1"),
        ("SSLREMOTEIP", "fe80::2"),
        ("TCP6REMOTEIP", "fe80::2"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    server
        .log
        .wait_for("sslserver: ok * :fe80::1:* :fe80::2::*");
    server.wait_until_idle();
    server.stop();
}

#[test]
fn the_interface_is_told_wherever_a_link_local_client_comes_in() {
    let test = "the_interface_is_told_wherever_a_link_local_client_comes_in";
    let Some(networks) = Networks::new(test) else {
        return;
    };
    for host in ["::", ":0"] {
        let server = setup(&networks, host).start();
        let near = environment(&networks, &server, &linked("fe80::1"));
        assert_eq!(near["SSLINTERFACE"], SERVER_LINK, "{host}");
        assert_eq!(near["TCP6INTERFACE"], SERVER_LINK, "{host}");
        assert_eq!(near["SSLLOCALIP"], "fe80::1", "{host}");
        // An address that is not bound to a link needs none.
        let far = environment(&networks, &server, "fd00::1");
        assert_eq!(far["SSLREMOTEIP"], "fd00::2", "{host}");
        assert_eq!(far.get("SSLINTERFACE"), None, "{host}");
        assert_eq!(far.get("TCP6INTERFACE"), None, "{host}");
    }
}

#[test]
fn with_capital_e_only_the_variable_of_ssl_tells_the_interface() {
    let test = "with_capital_e_only_the_variable_of_ssl_tells_the_interface";
    let Some(networks) = Networks::new(test) else {
        return;
    };
    let options = ["-I", SERVER_LINK, "-E"];
    let server = setup(&networks, "fe80::1").options(&options).start();
    let environment = environment(&networks, &server, &linked("fe80::1"));
    assert_eq!(environment["SSLINTERFACE"], SERVER_LINK);
    assert_eq!(environment.get("TCP6INTERFACE"), None);
    assert_eq!(environment["PROTO"], "TLS");
}

#[test]
fn rules_know_link_local_clients() {
    let test = "rules_know_link_local_clients";
    let Some(networks) = Networks::new(test) else {
        return;
    };
    let rules = "fe80::2:allow,MARK=\"near\"\nfd00::2:allow,MARK=\"far\"\n:deny\n";
    for option in ["-y", "-x"] {
        let server = setup(&networks, "::").rules(option, rules).start();
        let near = environment(&networks, &server, &linked("fe80::1"));
        assert_eq!(near["MARK"], "near", "{option}");
        let far = environment(&networks, &server, "fd00::1");
        assert_eq!(far["MARK"], "far", "{option}");
    }
}

struct Ident(Child);

impl Drop for Ident {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An IDENT server in the client's network that answers one question.
fn ident(networks: &Networks) -> Ident {
    let [program, words @ ..] = Networks::within(&networks.client);
    let answer = "SYSTEM:read question; echo \"1,2:USERID:UNIX:joe\"";
    let child = Command::new(program)
        .args(words)
        .args(["socat", "TCP6-LISTEN:113", answer])
        .stdin(Stdio::null())
        .spawn()
        .expect("socat");
    let table = format!("/proc/{}/net/tcp6", child.id());
    eventually("the IDENT server", || {
        let text = std::fs::read_to_string(&table).unwrap_or_default();
        text.contains(":0071 ").then_some(())
    });
    Ident(child)
}

#[test]
fn a_link_local_client_is_asked_for_its_user_on_its_own_link() {
    let test = "a_link_local_client_is_asked_for_its_user_on_its_own_link";
    let Some(networks) = Networks::new(test) else {
        return;
    };
    let _ident = ident(&networks);
    let options = ["-I", SERVER_LINK, "-r", "-l", "0"];
    let server = setup(&networks, "fe80::1").options(&options).start();
    let environment = environment(&networks, &server, &linked("fe80::1"));
    assert_eq!(environment["SSLREMOTEINFO"], "joe");
    server
        .log
        .wait_for("sslserver: ok * 0:fe80::1:* :fe80::2:joe:*");
}

#[test]
fn a_link_local_address_without_an_interface_is_fatal() {
    let outcome = Setup::new().host("fe80::1").run();
    assert_eq!(outcome.code(), 111);
    let line = "sslserver: fatal: (111) unable to bind to: fe80::1 port: 0: Invalid argument";
    assert_eq!(outcome.lines().last(), Some(&line));
}

#[test]
fn an_unknown_interface_is_fatal() {
    for host in ["fe80::1", "::1", "127.0.0.1"] {
        let outcome = Setup::new().host(host).options(&["-I", "nosuch0"]).run();
        assert_eq!(outcome.code(), 111, "{host}");
        let line = "sslserver: fatal: (111) unknown interface: nosuch0: No such device";
        assert_eq!(outcome.lines().last(), Some(&line), "{host}");
    }
}

#[test]
fn an_address_that_is_not_bound_to_a_link_is_served_in_spite_of_an_interface() {
    for host in ["::1", "127.0.0.1", "::"] {
        let setup = Setup::new().host(host).options(&["-I", "lo"]);
        let environment = setup.program(&["cat", "/proc/self/environ"]).start();
        let environment = environment.connect().environment();
        assert_eq!(environment.get("SSLINTERFACE"), None, "{host}");
    }
}
