//! The announced address is the client's: for limits, rules, names, and before TLS.
#![forbid(unsafe_code)]

use crate::common::message::name;
use crate::common::{Client, Responder, Server, eventually};
use crate::{LINE, PROXY, announced, line, setup, try_announced};
use std::io::Write;

/// A connection whose application answered, or None where the server closed it.
fn admitted(server: &Server, source: &str) -> Option<Client> {
    let mut client = try_announced(server, &line(source)).ok()?;
    client.assert_echoes();
    Some(client)
}

#[test]
fn maxconip_counts_announced_clients_and_not_their_proxy() {
    let server = setup().env("MAXCONIP", "2").program(&["cat"]).start();
    let mut held = Vec::new();
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"] {
        held.push(admitted(&server, source).unwrap_or_else(|| panic!("{source}")));
    }
    for source in ["192.0.2.1", "192.0.2.2"] {
        assert!(admitted(&server, source).is_none(), "a third of {source}");
        server.log.wait_for(&format!(
            "sslserver: warning: ip connection limit of 2 exceeded for: {source}"
        ));
    }
    held.push(admitted(&server, "192.0.2.3").expect("a place"));
    held.iter_mut().for_each(Client::assert_echoes);
    drop(held.remove(0));
    server.log.wait_for("sslserver: ended by *");
    held.push(admitted(&server, "192.0.2.1").expect("a place was free"));
    drop(held);
    server.wait_until_idle();
}

#[test]
fn the_limits_of_rules_count_announced_clients() {
    let rules = ":allow,MAXCONIP=\"1\",MAXCONNET=\"2/24\"\n";
    for option in ["-y", "-x"] {
        let server = setup().rules(option, rules).program(&["cat"]).start();
        let _first = admitted(&server, "192.0.2.1").expect("the first");
        assert!(admitted(&server, "192.0.2.1").is_none(), "{option}");
        let line =
            "sslserver: deny * 0:198.51.100.2:443 :192.0.2.1::56324 ip connection limit:1 exceeded";
        server.log.wait_for(line);
        let _second = admitted(&server, "192.0.2.2").expect("the second");
        assert!(admitted(&server, "192.0.2.3").is_none(), "{option}");
        server
            .log
            .wait_for("*192.0.2.3::56324 network connection limit:2/24 exceeded");
        let _elsewhere = admitted(&server, "192.0.3.1").expect("elsewhere");
    }
}

#[test]
fn rate_and_handshakes_are_those_of_announced_clients_and_not_of_their_proxy() {
    for (name, value) in [("RATE", "2/3600"), ("HANDSHAKESIP", "2")] {
        let rules = format!(":allow,{name}=\"{value}\"\n");
        for setup in [
            setup().env(name, value),
            setup().rules("-y", &rules),
            setup().rules("-x", &rules),
        ] {
            let server = setup.program(&["cat"]).start();
            let held = ["192.0.2.1", "192.0.2.2"].map(|source| {
                [(); 2].map(|()| {
                    let mut tcp = server.dial().tcp();
                    tcp.write_all(&line(source)).expect("room");
                    tcp
                })
            });
            server.wait_for_unfinished(4);
            for source in ["192.0.2.1", "192.0.2.2"] {
                assert!(admitted(&server, source).is_none(), "{name} {source}");
                let told = [
                    format!("sslserver: deny * :{source}::56324 * exceeded"),
                    format!("sslserver: warning: * exceeded for: {source}"),
                ];
                eventually("a line", || {
                    told.iter()
                        .any(|line| server.log.count(line) > 0)
                        .then_some(())
                });
            }
            assert!(admitted(&server, "192.0.2.3").is_some(), "{name}");
            drop(held);
        }
    }
}

/// However many connections of a proxy wait for their headers, and whoever they are for.
#[test]
fn connections_without_their_header_yet_are_nobodys() {
    let setup = setup().env("MAXCONIP", "2").env("HANDSHAKESIP", "2");
    let server = setup.env("RATE", "2/3600").program(&["cat"]).start();
    let held = [(); 5].map(|()| server.dial().tcp());
    // Speaks for itself.
    let mut own = try_announced(&server, b"PROXY UNKNOWN\r\n").expect("a place");
    own.assert_echoes();
    assert!(admitted(&server, "192.0.2.1").is_some());
    drop(held);
}

/// Neighbours share a /64, and so a rate, but each has a name of its own.
#[test]
fn whoever_is_denied_or_comes_too_often_through_a_proxy_costs_no_question() {
    let dns = Responder::new(|question, _| vec![question.simply(&name("client.example.org"))]);
    let rules = "2001:db8:0:1::/64:deny\n";
    let setup = crate::common::Setup::new().options(&["-h", "-l", "0"]);
    let setup = setup.env("DNSCACHEIP", &dns.address.to_string());
    let setup = setup.env("PROXYFROM", PROXY).env("RATE", "2/3600");
    let server = setup.rules("-y", rules).rules("-x", ":allow\n").start();
    let header = |ip| format!("PROXY TCP6 {ip} 2001:db8::ffff 56324 443\r\n");
    for (ip, served, asked) in [
        ("2001:db8::1", true, 1),
        ("2001:db8::2", true, 2),
        ("2001:db8::3", false, 2),
        ("2001:db8:0:1::4", false, 2),
        ("2001:db8:0:2::5", true, 3),
    ] {
        let client = try_announced(&server, header(ip).as_bytes());
        assert_eq!((client.is_ok(), dns.asked()), (served, asked), "{ip}");
    }
    let line = "sslserver: warning: ip connection rate of 2/3600 exceeded for: 2001:db8::3";
    server.log.wait_for(line);
    server
        .log
        .wait_for("sslserver: deny * :2001:db8:0:1::4::56324");
}

#[test]
fn rules_are_asked_about_the_announced_client() {
    let rules =
        "127.0.0.1:deny\n192.0.2.2:deny\n192.0.2.:allow,MARK=\"net\"\n:allow,MARK=\"rest\"\n";
    for option in ["-y", "-x"] {
        let server = setup().rules(option, rules).start();
        assert_eq!(announced(&server, LINE).environment()["MARK"], "net");
        let elsewhere = announced(&server, &line("203.0.113.1"));
        assert_eq!(elsewhere.environment()["MARK"], "rest");
        for (header, log) in [
            (
                line("192.0.2.2"),
                "0:198.51.100.2:443 :192.0.2.2::56324".to_owned(),
            ),
            // Speaks for itself.
            (
                b"PROXY UNKNOWN\r\n".to_vec(),
                format!("0:{} :{PROXY}::*", server.address),
            ),
        ] {
            assert!(try_announced(&server, &header).is_err(), "{option}");
            server.log.wait_for(&format!("sslserver: deny * {log}"));
        }
    }
}

#[test]
fn a_rule_may_say_through_which_proxy() {
    let rules = ":allow,SSLPROXYIP=\"hidden\"\n";
    let server = setup().rules("-x", rules).start();
    let environment = announced(&server, LINE).environment();
    assert_eq!(environment["SSLPROXYIP"], "hidden");
}

#[test]
fn names_are_those_of_the_announced_addresses() {
    let dns = Responder::new(|question, _| {
        let host = question.name.replace('.', "-");
        vec![question.simply(&name(&format!("host-{host}x.example.org")))]
    });
    let (remote, local) = (
        "host-1-2-0-192-in-addr-arpa-x.example.org",
        "host-2-100-51-198-in-addr-arpa-x.example.org",
    );
    let rules = format!("={remote}:allow,MARK=\"named\"\n:deny\n");
    let setup = crate::common::Setup::new()
        .env("PROXYFROM", PROXY)
        .options(&["-h"]);
    let setup = setup.env("DNSCACHEIP", &dns.address.to_string());
    let server = setup
        .rules("-x", &rules)
        .program(crate::ENVIRONMENT)
        .start();
    let environment = announced(&server, LINE).environment();
    assert_eq!(environment["SSLREMOTEHOST"], remote);
    assert_eq!(environment["SSLLOCALHOST"], local);
    assert_eq!(environment["MARK"], "named");
    server.log.wait_for(&format!(
        "sslserver: ok * {local}:198.51.100.2:443 {remote}:192.0.2.1::56324"
    ));
    assert!(try_announced(&server, &line("192.0.2.9")).is_err());
    assert_eq!(dns.asked(), 3);
}

#[test]
fn with_capital_h_a_header_is_read_and_no_name_asked_for() {
    let dns = Responder::new(|question, _| vec![question.simply(&name("x.example.org"))]);
    let setup = setup().env("DNSCACHEIP", &dns.address.to_string());
    let server = setup.start();
    let environment = announced(&server, LINE).environment();
    assert_eq!(environment.get("SSLREMOTEHOST"), None);
    assert_eq!(dns.asked(), 0);
}

/// Names for whom nobody answers: the header counts all the same.
#[test]
fn a_silent_name_server_leaves_announced_clients_without_names() {
    let dns = Responder::new(|_, _| Vec::new());
    let setup = setup().env("DNSCACHEIP", &dns.address.to_string());
    let server = setup.options(&["-h", "-t", "1"]).start();
    let environment = announced(&server, LINE).environment();
    assert_eq!(environment["SSLREMOTEIP"], "192.0.2.1");
    assert_eq!(environment.get("SSLREMOTEHOST"), None);
}

#[test]
fn a_failed_handshake_is_told_of_the_announced_client() {
    let server = setup().start();
    let mut tcp = server.dial().tcp();
    tcp.write_all(LINE).expect("room");
    tcp.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("room");
    let line = "sslserver: fatal: (111) unable to accept TLS from: 192.0.2.1 for pid: * *";
    server.log.wait_for(line);
}

#[test]
fn with_n_the_header_comes_before_the_plain_text() {
    let server = setup().options(&["-n"]).shell(crate::STARTTLS).start();
    for header in [LINE.to_vec(), crate::binary_four()] {
        // What follows in the same segment is for the application, and so is what comes when it waits for it.
        for at_once in [true, false] {
            let mut tcp = server.dial().tcp();
            let wish = b"starttls\n";
            let first = [&header[..], if at_once { wish } else { b"" }].concat();
            tcp.write_all(&first).expect("room");
            assert_eq!(crate::plain_line(&tcp), "192.0.2.1\n");
            if !at_once {
                tcp.write_all(wish).expect("room");
            }
            assert_eq!(crate::plain_line(&tcp), "go\n");
            server.dial().over(tcp).assert_echoes();
        }
    }
    server.wait_until_idle();
}

#[test]
fn the_death_of_the_lookup_process_costs_the_headers_it_was_reading() {
    let server = setup().start();
    let mut tcp = server.dial().tcp();
    tcp.write_all(&LINE[..20]).expect("room");
    announced(&server, LINE).text();
    let old = server.role("ssl-lookup");
    old.send(nix::sys::signal::Signal::SIGKILL);
    let refused = "sslserver: error: (110) no PROXY header from: 127.0.0.1 *";
    server.log.wait_for(refused);
    drop(tcp);
    eventually("another that reads headers", || {
        try_announced(&server, LINE).is_ok().then_some(())
    });
    server.wait_until_idle();
}
