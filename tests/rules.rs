//! Rules files at work: who comes in and with which variables.
#![forbid(unsafe_code)]

mod common;

use common::setup::compile;
use common::{Client, Dial, Server, Setup};

/// What a client of this address gets, or None where it is not let in.
fn reply_to(server: &Server, source: &str) -> Option<String> {
    server
        .dial()
        .from(source)
        .try_connect()
        .ok()
        .map(Client::text)
}

#[test]
fn a_rule_sets_variables_and_a_deny_closes() {
    let rules = "127.0.0.2:deny\n127.0.0.3:allow,COLOUR=\"dark, red\",EMPTY=\"\"\n127.0.0.1:allow,COLOUR=/blue/\n:allow\n";
    for option in ["-x", "-y"] {
        let server = Setup::new()
            .rules(option, rules)
            .shell("echo \"<$COLOUR|${EMPTY-unset}>\"")
            .start();
        assert_eq!(
            reply_to(&server, "127.0.0.1").as_deref(),
            Some("<blue|unset>\n")
        );
        assert_eq!(reply_to(&server, "127.0.0.2"), None);
        assert_eq!(
            reply_to(&server, "127.0.0.3").as_deref(),
            Some("<dark, red|>\n")
        );
        assert_eq!(
            reply_to(&server, "127.0.0.4").as_deref(),
            Some("<|unset>\n")
        );
        server.log.wait_for("sslserver: deny * :127.0.0.2::*");
        assert_eq!(server.log.count("sslserver: deny *"), 1);
        server.wait_until_idle();
    }
}

#[test]
fn prefixes_networks_and_the_default_are_found_in_the_documented_order() {
    let rules = "127.0.0.:allow,W=\"prefix\"\n127.0.0.0/30:allow,W=\"30\"\n127.0.1.0/24:allow,W=\"24\"\n\
                 127.0.0.0/8:allow,W=\"8\"\n127.0.0.9:allow,W=\"address\"\n0.0.0.0/0:allow,W=\"0\"\n:allow,W=\"default\"\n";
    let server = Setup::new()
        .host("0")
        .rules("-x", rules)
        .shell("echo $W")
        .start();
    for (source, expected) in [
        ("127.0.0.1", "prefix"),
        ("127.0.0.9", "address"),
        ("127.0.1.1", "24"),
        ("127.9.9.9", "8"),
        ("127.0.2.1", "8"),
    ] {
        assert_eq!(
            reply_to(&server, source),
            Some(format!("{expected}\n")),
            "{source}"
        );
    }
}

#[test]
fn networks_with_no_bits_and_one_bit_match() {
    let server = Setup::new()
        .rules("-x", "0.0.0.0/1:allow,W=\"one\"\n")
        .shell("echo $W")
        .start();
    assert_eq!(server.reply(), "one\n");
    let server = Setup::new()
        .rules("-x", "0.0.0.0/0:allow,W=\"none\"\n")
        .shell("echo $W")
        .start();
    assert_eq!(server.reply(), "none\n");
}

#[test]
fn an_ipv6_client_is_found_by_address_and_by_network() {
    for rule in ["::1", "0:0:0:0:0:0:0:1", "::/64", "::1/128", "::/1"] {
        let rules = format!("{rule}:allow,W=\"here\"\n:deny\n");
        let server = Setup::new()
            .host("::1")
            .rules("-y", &rules)
            .shell("echo $W")
            .start();
        assert_eq!(server.reply(), "here\n", "{rule}");
    }
    let server = Setup::new().host("::1").rules("-y", "::1:deny\n").start();
    assert!(server.dial().try_connect().is_err());
    server.log.wait_for("sslserver: deny * :::1:* :::1::*");
}

#[test]
fn y_is_asked_before_x_and_a_match_there_that_is_no_deny_skips_x() {
    let early = "127.0.0.1:allow,W=\"early\"\n127.0.0.2:deny\n";
    let late = "127.0.0.2:allow,W=\"late\"\n127.0.0.1:deny\n:allow,W=\"late\"\n";
    let server = Setup::new()
        .rules("-y", early)
        .rules("-x", late)
        .shell("echo $W")
        .start();
    assert_eq!(reply_to(&server, "127.0.0.1").as_deref(), Some("early\n"));
    assert_eq!(reply_to(&server, "127.0.0.2"), None);
    assert_eq!(reply_to(&server, "127.0.0.3").as_deref(), Some("late\n"));
}

#[test]
fn a_rule_wins_over_the_addresses_but_never_over_the_tls_session() {
    let rules = ":allow,TCPLOCALHOST=\"movie.edu\",TCPREMOTEIP=\"1.1.1.1\",SSLREMOTEPORT=\"2\",PROTO=\"X\",\
                 SSL_PROTOCOL=\"fake\",SSL_CLIENT_S_DN=\"fake\",SSLCTLFD=\"7\",SSLREADFD=\"8\",SSLWRITEFD=\"9\"\n";
    let script = "echo $TCPLOCALHOST $TCPREMOTEIP $SSLREMOTEPORT; echo $SSL_PROTOCOL-$SSL_CLIENT_S_DN-$SSLCTLFD$SSLREADFD$SSLWRITEFD";
    let server = Setup::new()
        .options(&["-s", "-l", "0"])
        .rules("-x", rules)
        .shell(script)
        .start();
    assert_eq!(server.reply(), "movie.edu 1.1.1.1 2\nTLSv1.3--\n");
}

#[test]
fn a_rule_may_set_a_configuring_variable_for_the_application() {
    let server = Setup::new()
        .rules("-x", ":allow,MAXCONIP=\"3\"\n")
        .shell("echo $MAXCONIP-$CERTFILE")
        .start();
    assert_eq!(server.reply(), "3-\n");
}

#[test]
fn a_changed_file_counts_from_the_next_connection_on() {
    for option in ["-x", "-y"] {
        let name = format!("rules{option}.cdb");
        let server = Setup::new()
            .rules(option, ":allow,N=\"start\"\n")
            .shell("echo $N")
            .start();
        assert_eq!(server.reply(), "start\n");
        for number in 0..20 {
            compile(&server.dir, &name, &format!(":allow,N=\"{number:05}\"\n"));
            assert_eq!(server.reply(), format!("{number:05}\n"));
        }
        compile(&server.dir, &name, "127.0.0.1:deny\n");
        assert_eq!(reply_to(&server, "127.0.0.1"), None);
    }
}

#[test]
fn maxconip_of_a_rule_counts_its_address_alone_and_says_so() {
    let rules = "127.0.0.1:allow,MAXCONIP=\"1\"\n127.0.0.2:allow,MAXCONIP=\"2\"\n:allow\n";
    for option in ["-x", "-y"] {
        let server = Setup::new().rules(option, rules).start();
        let (mut held, mut admitted) = (Vec::new(), Vec::new());
        for source in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            let connected: Vec<Client> = (0..4)
                .filter_map(|_| server.dial().from(source).try_connect().ok())
                .collect();
            admitted.push(connected.len());
            held.extend(connected);
        }
        assert_eq!(admitted, [1, 2, 4], "{option}");
        held.iter_mut().for_each(Client::assert_echoes);
        server.log.wait_for_nth(
            "sslserver: deny * :127.0.0.1::* ip connection limit:1 exceeded",
            3,
        );
        server.log.wait_for_nth(
            "sslserver: deny * :127.0.0.2::* ip connection limit:2 exceeded",
            2,
        );
        drop(held);
        server.wait_until_idle();
        assert!(server.dial().try_connect().is_ok());
    }
}

#[test]
fn maxconnet_counts_a_network_as_one() {
    let server = Setup::new()
        .rules("-x", "127.0.0.:allow,MAXCONNET=\"2/24\"\n:allow\n")
        .start();
    let connect = |source: &str| server.dial().from(source).try_connect();
    let mut held = vec![
        connect("127.0.0.1").expect("1"),
        connect("127.0.0.2").expect("2"),
    ];
    held.iter_mut().for_each(Client::assert_echoes);
    assert!(connect("127.0.0.3").is_err());
    assert!(connect("127.0.0.1").is_err());
    server.log.wait_for("sslserver: deny * :127.0.0.3::*");
    held.push(connect("127.0.1.1").expect("another network"));
    drop(held);
    server.wait_until_idle();
    assert!(connect("127.0.0.3").is_ok());
}

#[test]
fn ipv6_clients_are_counted_by_their_64_bits() {
    // Every address of this machine's loopback in ::/64 is ::1; the same address twice shows the count at least.
    let server = Setup::new().host("::1").env("MAXCONIP", "1").start();
    let mut held: Client = Dial::to(server.address).connect();
    held.assert_echoes();
    assert!(server.dial().try_connect().is_err());
    server
        .log
        .wait_for("sslserver: warning: ip connection limit of 1 exceeded for: ::*");
}
