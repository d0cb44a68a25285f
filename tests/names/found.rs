//! What is found, and what is not even asked for.
#![forbid(unsafe_code)]

use crate::common::{Kind, Setup};
use crate::{
    CLIENT, ELSEWHERE, ENVIRONMENT, LIAR, NOBODY, SERVER, asking, dnsmasq, host, recorder,
};

#[test]
fn names_of_both_ends_are_in_the_environment_and_in_the_log() {
    let Some(dns) = dnsmasq() else { return };
    let setup = asking(dns.address).host(SERVER).program(ENVIRONMENT);
    let server = setup.start();
    let client = server.dial().from(CLIENT).connect();
    let ends = (server.address, client.local());
    let environment = client.environment();
    for family in ["SSL", "TCP"] {
        let remote = &environment[&format!("{family}REMOTEHOST")];
        assert_eq!(remote, "client.example.org");
        let local = &environment[&format!("{family}LOCALHOST")];
        assert_eq!(local, "server.example.org");
    }
    server.log.wait_for(&format!(
        "sslserver: ok * server.example.org:{} client.example.org:{CLIENT}::{}",
        ends.0,
        ends.1.port()
    ));
    server.wait_until_idle();
    server.stop();
}

#[test]
fn a_client_without_a_name_has_none() {
    let Some(dns) = dnsmasq() else { return };
    let setup = asking(dns.address).host(SERVER).program(ENVIRONMENT);
    let server = setup.env("SSLREMOTEHOST", "stale.example.org").start();
    let client = server.dial().from(NOBODY).connect();
    let environment = client.environment();
    for name in ["SSLREMOTEHOST", "TCPREMOTEHOST", "SSLREMOTEINFO"] {
        assert_eq!(environment.get(name), None, "{name}");
    }
    let line = format!("sslserver: ok * server.example.org:{SERVER}:* :{NOBODY}::*");
    server.log.wait_for(&line);
}

#[test]
fn under_p_a_name_counts_only_if_the_address_is_one_of_its_own() {
    let Some(dns) = dnsmasq() else { return };
    let known = |options: &[&str]| {
        let setup = asking(dns.address).options(options).program(ENVIRONMENT);
        let server = setup.start();
        [CLIENT, LIAR, ELSEWHERE].map(|source| host(&server, source))
    };
    let (client, elsewhere) = ("client.example.org", "host.elsewhere.test");
    let all = [client, client, elsewhere].map(|name| Some(name.to_owned()));
    assert_eq!(known(&[]), all);
    assert_eq!(known(&["-p"]), [Some(client.to_owned()), None, None]);
    assert_eq!(known(&["-p", "-P"]), all);
}

#[test]
fn names_are_looked_up_unless_capital_h_is_given() {
    let (dns, asked) = recorder();
    let setup = Setup::bare().options(&["-1"]).keys(&[Kind::P256]);
    let setup = setup.env("DNSCACHEIP", &dns.address.to_string());
    let server = setup.program(ENVIRONMENT).start();
    assert_eq!(host(&server, CLIENT).as_deref(), Some("client.example.org"));
    let asked = asked.lock().expect("no panic under the lock");
    assert_eq!(asked[..], ["5.0.0.127.in-addr.arpa."]);
}

#[test]
fn with_capital_h_nothing_is_sent_and_nobody_is_there_to_send_it() {
    let (dns, _) = recorder();
    for options in [&["-H"][..], &["-p", "-H"], &["-H", "-p", "-l", "0"]] {
        let server = asking(dns.address).options(options).start();
        for _ in 0..3 {
            let mut client = server.dial().from(CLIENT).connect();
            client.assert_echoes();
        }
        assert!(server.roles("ssl-lookup").is_empty());
    }
    assert_eq!(dns.asked(), 0);
}

#[test]
fn with_l_our_own_name_is_not_asked_for() {
    let (dns, asked) = recorder();
    let local = |options: &[&str]| {
        asked.lock().expect("no panic under the lock").clear();
        let setup = asking(dns.address).host(SERVER).options(options);
        let server = setup.program(ENVIRONMENT).start();
        let client = server.dial().from(CLIENT).connect();
        let name = client.environment().remove("SSLLOCALHOST");
        let mut asked = asked.lock().expect("no panic under the lock").clone();
        asked.sort_unstable();
        (name.unwrap_or_default(), asked)
    };
    let (server, client) = ("3.0.0.127.in-addr.arpa.", "5.0.0.127.in-addr.arpa.");
    let (name, asked) = local(&["-l", "here"]);
    assert_eq!((&name[..], &asked[..]), ("here", &[client.to_owned()][..]));
    let (name, asked) = local(&[]);
    assert_eq!(name, "client.example.org");
    assert_eq!(asked, [server, client]);
}

#[test]
fn what_etc_hosts_knows_is_asked_of_nobody() {
    let (dns, _) = recorder();
    let server = asking(dns.address).program(ENVIRONMENT).start();
    assert_eq!(host(&server, "127.0.0.1").as_deref(), Some("localhost"));
    assert_eq!(dns.asked(), 0);
}

#[test]
fn a_name_found_for_one_connection_is_known_to_the_next() {
    let (dns, _) = recorder();
    let server = asking(dns.address).program(ENVIRONMENT).start();
    for _ in 0..5 {
        assert_eq!(host(&server, CLIENT).as_deref(), Some("client.example.org"));
    }
    assert_eq!(dns.asked(), 1);
}

#[test]
fn a_name_server_that_is_no_address_is_a_usage_error() {
    let outcome = Setup::new().env("DNSCACHEIP", "dns.example.org").run();
    assert_eq!(outcome.code(), 100);
    assert!(outcome.lines()[0].contains("DNSCACHEIP"), "{outcome:?}");
}
