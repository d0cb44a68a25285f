//! Rules by name, and early rules, which come before any question.
#![forbid(unsafe_code)]

use crate::common::{Server, eventually};
use crate::{CLIENT, ELSEWHERE, ENVIRONMENT, LIAR, NOBODY, OTHER, asking, dnsmasq, host, recorder};

const RULES: &str = "=client.example.org:allow,MARK=\"host\"\n\
                     =.example.org:allow,MARK=\"domain\"\n\
                     =:allow,MARK=\"named\"\n\
                     :deny\n";

/// What the rule that matched set; `None`: denied.
fn mark(server: &Server, source: &str) -> Option<String> {
    let client = server.dial().from(source).try_connect().ok()?;
    client.environment().remove("MARK")
}

#[test]
fn rules_know_hosts_domains_and_whether_there_is_a_name_at_all() {
    let Some(dns) = dnsmasq() else { return };
    let setup = asking(dns.address).rules("-x", RULES).program(ENVIRONMENT);
    let server = setup.start();
    let marks = [CLIENT, OTHER, ELSEWHERE, NOBODY].map(|source| mark(&server, source));
    let expected = ["host", "domain", "named"].map(|mark| Some(mark.to_owned()));
    assert_eq!(marks[..3], expected);
    assert_eq!(marks[3], None);
    let line = format!(
        "sslserver: deny * localhost:{} :{NOBODY}::*",
        server.address
    );
    server.log.wait_for(&line);
}

#[test]
fn under_p_a_stolen_name_opens_nothing() {
    let Some(dns) = dnsmasq() else { return };
    let setup = asking(dns.address).options(&["-p"]).rules("-x", RULES);
    let server = setup.program(ENVIRONMENT).start();
    let marks = [CLIENT, LIAR, ELSEWHERE].map(|source| mark(&server, source));
    assert_eq!(marks, [Some("host".to_owned()), None, None]);
}

#[test]
fn a_host_may_be_denied_by_name() {
    let Some(dns) = dnsmasq() else { return };
    let rules = "=.example.org:deny\n:allow,MARK=\"rest\"\n";
    let setup = asking(dns.address).rules("-x", rules).program(ENVIRONMENT);
    let server = setup.start();
    let marks = [CLIENT, NOBODY].map(|source| mark(&server, source));
    assert_eq!(marks, [None, Some("rest".to_owned())]);
    let line = "sslserver: deny * localhost:* client.example.org:127.0.0.5::*";
    server.log.wait_for(line);
}

#[test]
fn whom_an_early_rule_denies_costs_no_question() {
    let (dns, asked) = recorder();
    let rules = "127.0.0.5:deny\n127.0.0.6:allow,MARK=\"early\"\n:allow\n";
    let setup = asking(dns.address)
        .rules("-y", rules)
        .rules("-x", ":deny\n");
    let server = setup.program(ENVIRONMENT).start();
    assert_eq!(mark(&server, CLIENT), None);
    let line = format!("sslserver: deny * :{} :{CLIENT}::*", server.address);
    server.log.wait_for(&line);
    assert_eq!(dns.asked(), 0);

    // Whom it lets in has a name, but the other rules are not asked.
    let client = server.dial().from(NOBODY).connect();
    let environment = client.environment();
    assert_eq!(environment["MARK"], "early");
    assert_eq!(environment["SSLREMOTEHOST"], "client.example.org");
    let asked = asked.lock().expect("no panic under the lock");
    assert_eq!(asked[..], ["6.0.0.127.in-addr.arpa."]);
}

#[test]
fn who_is_over_the_limit_of_an_early_rule_costs_no_question() {
    let (dns, _) = recorder();
    let rules = ":allow,MAXCONIP=\"1\"\n";
    let setup = asking(dns.address).rules("-y", rules);
    let server = setup.start();
    let mut first = server.dial().from(CLIENT).connect();
    first.assert_echoes();
    assert_eq!(dns.asked(), 1);
    assert!(server.dial().from(CLIENT).try_connect().is_err());
    let line = "sslserver: deny * :127.0.0.5::* ip connection limit:1 exceeded";
    server.log.wait_for(line);
    assert_eq!(dns.asked(), 1);
    drop(first);
    server.wait_until_idle();
}

#[test]
fn maxconip_counts_connections_about_which_somebody_is_asked() {
    // Never answers.
    let dns = crate::common::Responder::new(|_, _| Vec::new());
    let rules = ":allow,MAXCONIP=\"2\"\n";
    let setup = asking(dns.address).rules("-y", rules);
    let server = setup.options(&["-t", "600"]).start();
    let held = [(); 2].map(|()| server.dial().from(CLIENT).tcp());
    eventually("questions", || (dns.asked() >= 1).then_some(()));
    assert!(server.dial().from(CLIENT).try_connect().is_err());
    let line = "sslserver: deny * :127.0.0.5::* ip connection limit:2 exceeded";
    server.log.wait_for(line);
    drop(held);
}

#[test]
fn an_early_rule_gives_a_name_of_its_own() {
    let Some(dns) = dnsmasq() else { return };
    let rules = "127.0.0.5:allow,SSLREMOTEHOST=\"given.example.org\"\n:allow\n";
    let setup = asking(dns.address).rules("-y", rules).program(ENVIRONMENT);
    let server = setup.start();
    assert_eq!(host(&server, CLIENT).as_deref(), Some("given.example.org"));
    assert_eq!(host(&server, OTHER).as_deref(), Some("other.example.org"));
}

/// How many of six connections, one after the other, are served.
fn served(server: &Server) -> usize {
    let connected = || server.dial().from(CLIENT).try_connect();
    (0..6).filter(|_| connected().is_ok()).count()
}

#[test]
fn a_connection_counts_once_for_its_rate_whoever_is_asked_about_it() {
    let (dns, _) = recorder();
    let rate = ":allow,RATE=\"3/3600\"\n";
    for (early, rules, environment) in [
        (Some(rate), None, ""),
        (None, Some(rate), ""),
        (None, None, "3/3600"),
        (Some("127.0.0.9:deny\n"), Some(":allow\n"), "3/3600"),
        (Some("127.0.0.9:deny\n"), Some(rate), "1/3600"),
        (None, Some("=client.example.org:allow\n:deny\n"), "3/3600"),
    ] {
        let mut setup = asking(dns.address).env("RATE", environment);
        for (option, rules) in [("-y", early), ("-x", rules)] {
            if let Some(rules) = rules {
                setup = setup.rules(option, rules);
            }
        }
        let server = setup.start();
        assert_eq!(served(&server), 3, "{early:?} {rules:?} {environment}");
    }
}

#[test]
fn a_name_lowers_a_rate_and_raises_none() {
    let (dns, _) = recorder();
    for (rate, count) in [("1/3600", 1), ("3/3600", 2), ("0", 2)] {
        let rules = format!("=client.example.org:allow,RATE=\"{rate}\"\n:allow\n");
        let setup = asking(dns.address).env("RATE", "2/3600");
        let server = setup.rules("-x", &rules).start();
        assert_eq!(served(&server), count, "{rate}");
    }
}

#[test]
fn handshakesip_counts_connections_about_which_somebody_is_asked() {
    // Never answers.
    let dns = crate::common::Responder::new(|_, _| Vec::new());
    let setup = asking(dns.address).env("HANDSHAKESIP", "2");
    let server = setup.options(&["-t", "600"]).start();
    let held = [(); 2].map(|()| server.dial().from(CLIENT).tcp());
    eventually("questions", || (dns.asked() >= 1).then_some(()));
    assert!(server.dial().from(CLIENT).try_connect().is_err());
    let line = "sslserver: warning: ip handshake limit of 2 exceeded for: 127.0.0.5";
    server.log.wait_for(line);
    drop(held);
}
