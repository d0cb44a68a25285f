//! The command line: what is taken, what is refused, and where the server listens.
#![forbid(unsafe_code)]

mod common;

use common::{Kind, Setup, glob, without_root};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

const USAGE: &str = "sslserver: usage: sslserver [ -*";

/// It ends with this code and a line that fits; with code 100 the usage line comes after it.
fn refused(setup: &Setup, code: i32, line: &str) {
    let outcome = setup.run();
    assert_eq!(outcome.code(), code, "{outcome:?}");
    let lines = outcome.lines();
    assert!(
        lines.first().is_some_and(|first| glob(line, first)),
        "{line:?}: {outcome:?}"
    );
    if code == 100 {
        assert!(
            lines.last().is_some_and(|last| glob(USAGE, last)),
            "{outcome:?}"
        );
        assert!(lines.len() <= 2, "{outcome:?}");
    } else {
        assert_eq!(lines.len(), 1, "{outcome:?}");
    }
    assert_eq!(outcome.stdout, b"", "no readiness");
}

fn with(options: &[&str]) -> Setup {
    Setup::bare()
        .options(&["-1"])
        .keys(&[Kind::P256])
        .options(options)
}

#[test]
fn unknown_options_and_missing_arguments_are_usage_errors() {
    refused(&with(&["-k"]), 100, "sslserver: illegal option -- k");
    refused(&with(&["-vQk"]), 100, "sslserver: illegal option -- k");
    for option in ["c", "y", "x", "B", "g", "u", "b", "l", "T", "w", "t", "I"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sslserver"));
        command.arg(format!("-{option}"));
        let outcome = common::run(command, b"", common::LIMIT);
        assert_eq!(outcome.code(), 100);
        assert_eq!(
            outcome.lines()[0],
            format!("sslserver: option requires an argument -- {option}")
        );
        assert!(glob(USAGE, outcome.lines()[1]), "{outcome:?}");
    }
}

#[test]
fn host_port_and_program_are_needed() {
    for words in [
        &[][..],
        &["127.0.0.1"],
        &["127.0.0.1", "0"],
        &["", "0", "cat"],
        &["-v", "--"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sslserver"));
        command.args(words);
        let outcome = common::run(command, b"", common::LIMIT);
        assert_eq!(outcome.code(), 100, "{words:?}: {outcome:?}");
        assert!(
            outcome.lines().last().is_some_and(|line| glob(USAGE, line)),
            "{words:?}: {outcome:?}"
        );
    }
}

#[test]
fn every_option_of_upstream_is_taken() {
    let cases: [&[&str]; 8] = [
        &["-h"],
        &["-p"],
        &["-r"],
        &["-t", "5"],
        &["-n"],
        &["-I", "lo"],
        &["-46XvVQeEsSdDoO"],
        &["-hpr"],
    ];
    for words in cases {
        let server = with(words).start();
        assert!(server.ready.contains(" : "), "{words:?}: {}", server.ready);
    }
}

#[test]
fn the_capitals_that_switch_things_off_are_taken() {
    let server = Setup::bare()
        .keys(&[Kind::P256])
        .options(&["-1HPRNZ"])
        .program(&["echo", "hi"])
        .start();
    assert_eq!(server.reply(), "hi\n");
    assert_eq!(server.log.lines(), Vec::<String>::new());
}

#[test]
fn numbers_are_wholly_decimal_and_in_range() {
    for option in ["-c", "-b", "-u", "-g", "-T", "-w", "-t"] {
        for number in [
            "abc",
            "",
            "1x",
            "-1",
            "99999999999999999999",
            " 1",
            "0x10",
            "+1",
        ] {
            refused(&with(&[option, number]), 100, "sslserver: *");
        }
    }
    for port in ["65536", "99999", "1x"] {
        let outcome = Setup::new().port(port).run();
        assert!([100, 111].contains(&outcome.code()), "{port}: {outcome:?}");
        assert_eq!(outcome.stdout, b"", "{port}");
    }
    for (name, value) in [
        ("MAXCONIP", "many"),
        ("MAXCONIP", "-1"),
        ("SSL_UID", "joe"),
        ("SSL_GID", "1x"),
    ] {
        let outcome = Setup::new().env(name, value).run();
        assert!(
            [100, 111].contains(&outcome.code()),
            "{name}={value}: {outcome:?}"
        );
        assert!(outcome.stderr.contains(name), "{name}={value}: {outcome:?}");
    }
}

#[test]
fn a_limit_that_is_none_is_a_usage_error_that_names_it() {
    for (name, value) in [
        ("HANDSHAKES", "0"),
        ("HANDSHAKES", "many"),
        ("HANDSHAKES", "1000001"),
        ("HANDSHAKESIP", "-1"),
        ("HANDSHAKESIP", "2x"),
        ("RATE", "10"),
        ("RATE", "0/60"),
        ("RATE", "10/0"),
        ("RATE", "10/1.5"),
        ("RATE", "ten/60"),
    ] {
        let outcome = Setup::new().env(name, value).run();
        assert_eq!(outcome.code(), 100, "{name}={value}: {outcome:?}");
        let line = format!("sslserver: usage: {name} wants *, not \"{value}\"");
        let told = outcome.lines().iter().any(|told| common::glob(&line, told));
        assert!(told, "{name}={value}: {outcome:?}");
    }
}

#[test]
fn bundled_options_and_attached_arguments_are_understood_and_the_last_one_counts() {
    let server = Setup::new()
        .options(&["-c5", "-qvl0", "-c", "7", "--"])
        .shell("echo $TCPLOCALHOST")
        .start();
    assert_eq!(server.reply(), "0\n");
    server.log.wait_for("sslserver: status: 1/7/7");
}

#[test]
fn the_readiness_line_tells_address_port_and_limits() {
    for (host, limit, address) in [
        ("127.0.0.1", "40", "127.0.0.1"),
        ("0", "40", "0.0.0.0"),
        ("::1", "3", "::1"),
    ] {
        let server = with(&["-c", limit]).host(host).start();
        assert_eq!(
            server.ready,
            format!("{address} : {} [{limit}/{limit}]", server.port())
        );
        assert_ne!(server.port(), 0);
    }
    let server = Setup::new().env("MAXCONIP", "5").start();
    assert_eq!(
        server.ready,
        format!("127.0.0.1 : {} [40/5]", server.port())
    );
}

fn serves(port: u16, address: &str) -> bool {
    let address: IpAddr = address.parse().expect("an address");
    TcpStream::connect_timeout(&SocketAddr::from((address, port)), common::LIMIT).is_ok()
}

#[test]
fn each_form_of_the_host_binds_its_families() {
    for (host, four, six) in [
        ("0", true, false),
        ("0.0.0.0", true, false),
        ("::", false, true),
        (":0", true, true),
        ("127.0.0.1", true, false),
        ("::ffff:127.0.0.1", true, false),
        ("::1", false, true),
    ] {
        let server = Setup::new().host(host).program(&["echo", "hi"]).start();
        let served = (
            serves(server.port(), "127.0.0.1"),
            serves(server.port(), "::1"),
        );
        assert_eq!(served, (four, six), "{host}");
        assert_eq!(server.reply(), "hi\n", "{host}");
    }
}

#[test]
fn an_ipv4_client_of_a_dual_socket_is_shown_as_ipv4() {
    let server = Setup::new()
        .host(":0")
        .shell("echo $PROTO $TCPREMOTEIP $TCPLOCALIP")
        .start();
    let four = common::Dial::to(SocketAddr::from(([127, 0, 0, 1], server.port())));
    assert_eq!(four.connect().text(), "TCP 127.0.0.1 127.0.0.1\n");
    assert_eq!(server.reply(), "TCP6 ::1 ::1\n");
    server.log.wait_for("sslserver: pid * from 127.0.0.1");
    server.log.wait_for("sslserver: pid * from ::1");
}

#[test]
fn a_name_binds_an_address_of_the_wanted_family() {
    let server = with(&["-4"]).host("localhost").start();
    assert!(server.address.is_ipv4());
    refused(
        &with(&[]).host("nowhere.invalid"),
        111,
        "sslserver: fatal: (111) *nowhere.invalid*",
    );
    refused(
        &with(&[]).host("300.1.1.1"),
        111,
        "sslserver: fatal: (111) *300.1.1.1*",
    );
}

#[test]
fn a_port_may_be_a_name_and_an_unknown_one_is_fatal() {
    let line = "sslserver: fatal: (111) unable to figure out port number for: nosuchservice*";
    refused(&with(&[]).port("nosuchservice"), 111, line);
}

#[test]
fn a_port_in_use_is_fatal_with_address_and_reason() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("bound").port().to_string();
    let line = format!(
        "sslserver: fatal: (111) unable to bind to: 127.0.0.1 port: {port}: Address already in use*"
    );
    refused(&with(&[]).port(&port), 111, &line);
}

#[test]
fn unknown_users_and_a_missing_chroot_are_fatal() {
    if without_root("unknown_users_and_a_missing_chroot_are_fatal") {
        return;
    }
    let missing = ["/nonexistent/jail", "/etc/passwd"];
    for jail in missing {
        refused(
            &with(&[]).env("SSL_CHROOT", jail).env("SSL_UID", "61001"),
            111,
            &format!("sslserver: fatal: (111) *{jail}*"),
        );
    }
    refused(
        &with(&[]).env("SSL_USER", "nosuchuser"),
        111,
        "sslserver: fatal: (111) *nosuchuser*",
    );
    refused(
        &with(&[])
            .env("SSL_GROUP", "nosuchgroup")
            .env("SSL_USER", "nobody"),
        111,
        "sslserver: fatal: (111) *nosuchgroup*",
    );
    let two = with(&[]).env("SSL_USER", "nobody").env("SSL_UID", "61001");
    refused(&two, 111, "sslserver: fatal: (111) *SSL_UID*SSL_USER*");
}

#[test]
fn q_says_nothing_and_the_exit_code_tells() {
    let outcome = with(&["-q"]).env("CERTFILE", "/nonexistent").run();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (111, ""));
}
