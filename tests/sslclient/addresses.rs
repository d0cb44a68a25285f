//! Where a host is: addresses of both families in turn, dead ones, times, and where we come from.
#![forbid(unsafe_code)]

use crate::common::daemon::free;
use crate::common::namespaces::{CLIENT_LINK, Networks, SERVER_LINK};
use crate::common::{Caller, Setup, without_root};
use crate::counterpart::Counterpart;
use crate::{assert_ended, assert_quiet};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, socket,
};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// A name that is in a hosts file of the test's own.
const NAME: &str = "server.test";
const WHERE: &str = "echo $PROTO $SSLREMOTEIP $TCPREMOTEIP $TCP6REMOTEIP $SSLLOCALIP";

/// Calls the name with this file in the place of the system's. Only with root.
fn with_hosts(port: u16, hosts: &str) -> Caller {
    let caller = Caller::to(SocketAddr::from(([127, 0, 0, 1], port))).host(NAME);
    let file = caller.dir.write("hosts", hosts).display().to_string();
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    caller
        .prefix(&["unshare", "-m", "sh", "-c", script, &file])
        .options(&["-N"])
        .shell(WHERE)
}

/// Answers nobody: its queue is full, and stays so as long as this lives.
struct Silent {
    address: SocketAddr,
    _kept: (OwnedFd, Vec<TcpStream>),
}

impl Silent {
    fn at(ip: &str) -> Silent {
        let end = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        );
        let end = end.expect("a socket");
        let any = SocketAddr::new(ip.parse().expect("an address"), 0);
        bind(end.as_raw_fd(), &SockaddrStorage::from(any)).expect("a port");
        listen(&end, Backlog::new(0).expect("a length")).expect("a listener");
        let listener = TcpListener::from(end.try_clone().expect("a copy"));
        let address = listener.local_addr().expect("bound");
        let mut kept = Vec::new();
        while let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            kept.push(one);
        }
        Silent {
            address,
            _kept: (end, kept),
        }
    }
}

#[test]
fn zero_is_this_machine_in_the_family_that_is_wanted() {
    let four = Setup::new().start();
    let six = Setup::new().host("::1").start();
    let outcome = Caller::of(&four).host("0").shell(WHERE).run();
    assert_eq!(
        outcome.text(),
        "TCP 127.0.0.1 127.0.0.1 127.0.0.1\n",
        "{outcome:?}"
    );
    assert_quiet(&outcome);
    for (host, options) in [("0", &["-6"][..]), ("::1", &[]), ("::1", &["-6"])] {
        let outcome = Caller::of(&six)
            .host(host)
            .options(options)
            .shell(WHERE)
            .run();
        assert_eq!(outcome.text(), "TCP6 ::1 ::1 ::1 ::1\n", "{outcome:?}");
    }
    for (host, option) in [("127.0.0.1", "-6"), ("::1", "-4")] {
        let outcome = Caller::of(&four).host(host).options(&[option]).run();
        let line = format!("sslclient: fatal: (111) no IP address for: {host}");
        assert_ended(&outcome, 111, &line);
    }
}

#[test]
fn what_is_no_address_is_said() {
    let caller = |host: &str| Caller::bare(host, 1).run();
    assert_ended(
        &caller("127.0.1"),
        111,
        "sslclient: fatal: (111) no IP address for: 127.0.1",
    );
    let outcome = Caller::bare("fe80::1%nonsense", 1).run();
    assert_ended(
        &outcome,
        111,
        "sslclient: fatal: (111) unknown interface: nonsense: *",
    );
}

#[test]
fn a_name_that_nobody_knows_is_said() {
    if without_root("a_name_that_nobody_knows_is_said") {
        return;
    }
    let caller = Caller::bare("nowhere.test", 1);
    // There is no name server.
    let file = caller.dir.write(
        "resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    let file = file.display().to_string();
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let outcome = caller
        .prefix(&["unshare", "-m", "sh", "-c", script, &file])
        .run();
    let unknown =
        "sslclient: fatal: (111) temporarily unable to figure out IP address for: nowhere.test: *";
    assert_ended(&outcome, 111, unknown);
}

#[test]
fn who_refuses_is_named_with_110() {
    let address = free("127.0.0.1");
    let outcome = Caller::to(address).run();
    let port = address.port();
    let line = format!(
        "sslclient: error: (110) unable to connect to: 127.0.0.1 port: {port}: Connection refused"
    );
    assert_ended(&outcome, 110, &line);
    assert_eq!(outcome.lines().len(), 1);
    let quiet = Caller::to(address).options(&["-q"]).run();
    assert_eq!((quiet.code(), &*quiet.stderr), (110, ""));
}

#[test]
fn the_next_address_is_tried_where_one_is_dead() {
    if without_root("the_next_address_is_tried_where_one_is_dead") {
        return;
    }
    let server = Setup::new().host("127.0.0.3").start();
    let port = server.port();
    let hosts = format!("127.0.0.2 {NAME}\n::1 {NAME}\n127.0.0.3 {NAME}\n");
    let outcome = with_hosts(port, &hosts).run();
    assert_eq!(
        outcome.text(),
        "TCP 127.0.0.3 127.0.0.3 127.0.0.1\n",
        "{outcome:?}"
    );
    for dead in ["127.0.0.2", "::1"] {
        let line = format!(
            "sslclient: warning: unable to connect to: {dead} port: {port}: Connection refused"
        );
        assert_ended(&outcome, 0, &line);
    }
    // Of all that refuse each has its line, and the last one ends it.
    let hosts = format!("127.0.0.2 {NAME}\n127.0.0.4 {NAME}\n");
    let outcome = with_hosts(port, &hosts).run();
    assert_eq!(outcome.lines().len(), 2, "{outcome:?}");
    assert_ended(
        &outcome,
        110,
        "sslclient: warning: unable to connect to: 127.0.0.2 *",
    );
    assert_ended(
        &outcome,
        110,
        "sslclient: error: (110) unable to connect to: 127.0.0.4 *",
    );
}

#[test]
fn both_families_are_tried_and_either_is_found() {
    if without_root("both_families_are_tried_and_either_is_found") {
        return;
    }
    let hosts = format!("127.0.0.1 {NAME}\n::1 {NAME}\n");
    for (host, options, told) in [
        ("::1", &[][..], "TCP6 ::1 ::1 ::1 ::1\n"),
        ("127.0.0.1", &[], "TCP 127.0.0.1 127.0.0.1 127.0.0.1\n"),
        ("127.0.0.1", &["-4"], "TCP 127.0.0.1 127.0.0.1 127.0.0.1\n"),
        ("::1", &["-6"], "TCP6 ::1 ::1 ::1 ::1\n"),
    ] {
        let server = Setup::new().host(host).start();
        let outcome = with_hosts(server.port(), &hosts).options(options).run();
        assert_eq!(outcome.text(), told, "{options:?} {outcome:?}");
        let warned = outcome.stderr.contains("warning");
        assert!(!warned || options.is_empty(), "{outcome:?}");
    }
}

#[test]
fn an_address_that_is_silent_does_not_hold_up_the_next() {
    if without_root("an_address_that_is_silent_does_not_hold_up_the_next") {
        return;
    }
    let silent = Silent::at("127.0.0.2");
    let at = SocketAddr::new(
        "127.0.0.3".parse().expect("an address"),
        silent.address.port(),
    );
    let server = Setup::new().host("127.0.0.3").port(&at.port().to_string());
    let _server = server.start();
    let hosts = format!("127.0.0.2 {NAME}\n127.0.0.3 {NAME}\n");
    // Each may take longer than the test.
    let caller = with_hosts(at.port(), &hosts).options(&["-T", "600+600"]);
    let outcome = caller.run();
    assert_eq!(
        outcome.text(),
        "TCP 127.0.0.3 127.0.0.3 127.0.0.1\n",
        "{outcome:?}"
    );
    assert_quiet(&outcome);
}

#[test]
fn the_time_for_an_address_is_limited() {
    let silent = Silent::at("127.0.0.2");
    let (ip, port) = (silent.address.ip(), silent.address.port());
    let line = format!(
        "sslclient: error: (110) unable to connect to: {ip} port: {port}: Connection timed out"
    );
    for times in ["1", "1+0", "1+1"] {
        let outcome = Caller::to(silent.address).options(&["-T", times]).run();
        assert_ended(&outcome, 110, &line);
    }
}

#[test]
fn the_time_for_the_handshake_is_limited() {
    let silent = Counterpart::new(|mut tcp| {
        // Up to its end.
        std::io::copy(&mut tcp, &mut std::io::sink())
    });
    let port = silent.address.port();
    let outcome = Caller::to(silent.address).options(&["-T1+1"]).run();
    let line = format!(
        "sslclient: fatal: (111) unable to TLS connect to: 127.0.0.1 port: {port} timed out"
    );
    assert_ended(&outcome, 111, &line);
}

#[test]
fn it_comes_from_the_address_and_port_that_are_wanted() {
    let server = Setup::new()
        .shell("echo $SSLREMOTEIP $SSLREMOTEPORT")
        .start();
    let from = free("127.0.0.7");
    let port = from.port().to_string();
    let outcome = Caller::of(&server)
        .options(&["-i", "127.0.0.7", "-p", &port])
        .run();
    assert_eq!(outcome.text(), format!("127.0.0.7 {port}\n"), "{outcome:?}");
    let outcome = Caller::of(&server)
        .options(&["-i", "127.0.0.7"])
        .shell("echo $SSLLOCALIP")
        .run();
    assert_eq!(outcome.text(), "127.0.0.7\n", "{outcome:?}");
    // Nobody has that one.
    let outcome = Caller::of(&server).options(&["-i", "192.0.2.1"]).run();
    assert_ended(&outcome, 110, "*Cannot assign requested address*");
    let outcome = Caller::of(&server).options(&["-i", "::1"]).run();
    assert_ended(&outcome, 111, "*no IP address for: 127.0.0.1");
}

#[test]
fn a_link_local_address_is_called_on_its_interface() {
    let Some(networks) = Networks::new("a_link_local_address_is_called_on_its_interface") else {
        return;
    };
    let server = Setup::new()
        .prefix(&Networks::within(&networks.server))
        .host("fe80::1")
        .options(&["-I", SERVER_LINK])
        .start();
    let linked = format!("fe80::1%{CLIENT_LINK}");
    for (host, options) in [("fe80::1", &["-I", CLIENT_LINK][..]), (&linked, &[])] {
        let outcome = Caller::of(&server)
            .host(host)
            .prefix(&Networks::within(&networks.client))
            .options(options)
            // Its certificate does not have that address.
            .options(&["-N"])
            .shell("echo $PROTO $SSLREMOTEIP $SSLLOCALIP $SSLINTERFACE $TCP6INTERFACE")
            .run();
        let told = format!("TCP6 fe80::1 fe80::2 {CLIENT_LINK} {CLIENT_LINK}\n");
        assert_eq!(outcome.text(), told, "{outcome:?}");
    }
}
