//! Where the decrypted bytes go: several addresses, several backends, Unix sockets, names that change.
#![forbid(unsafe_code)]

use crate::common::daemon::free;
use crate::common::keys::leaf;
use crate::common::tempdir::set_mode;
use crate::common::{Backend, Client, Dial, End, Ending, Kind, LIMIT, Running, Serving};
use crate::common::{Stud, TempDir, eventually, without_root};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};

/// A name that is in a hosts file of the test's own.
const NAME: &str = "backend.test";

/// Serves with this hosts file in the place of the system's. Only with root.
fn with_hosts(hosts: &str, port: u16, config: &str) -> Running {
    let stud = Stud::to_text(&format!("[{NAME}]:{port}")).config(config);
    let file = stud.dir.write("hosts", hosts).display().to_string();
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    stud.prefix(&["unshare", "-m", "sh", "-c", script, &file])
        .start()
}

fn serving(address: &str, port: u16, answer: &'static [u8]) -> Serving {
    let address = SocketAddr::new(address.parse().expect("an address"), port);
    Backend::at(address).serve(move |mut tcp| {
        let _ = tcp.write_all(answer);
    })
}

/// What the backend says to a new client.
fn heard(mut client: Client) -> String {
    let (words, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!(end, End::Clean);
    String::from_utf8(words).expect("text")
}

#[test]
fn the_next_address_is_tried_where_one_refuses() {
    if without_root("the_next_address_is_tried_where_one_refuses") {
        return;
    }
    let hosts = format!("::1 {NAME}\n127.0.0.2 {NAME}\n127.0.0.3 {NAME}\n");
    for only in ["::1", "127.0.0.2", "127.0.0.3"] {
        let port = free("127.0.0.2").port();
        let _backend = serving(only, port, b"here");
        let stud = with_hosts(&hosts, port, "");
        for _ in 0..3 {
            assert_eq!(heard(stud.connect()), "here", "{only}");
        }
    }
}

#[test]
fn a_name_that_changes_is_followed() {
    if without_root("a_name_that_changes_is_followed") {
        return;
    }
    let port = free("127.0.0.2").port();
    let _old = serving("127.0.0.2", port, b"old");
    let _new = serving("127.0.0.3", port, b"new");
    let stud = with_hosts(&format!("127.0.0.2 {NAME}\n"), port, "backend-refresh = 1");
    assert_eq!(heard(stud.connect()), "old");
    stud.dir.write("hosts", format!("127.0.0.3 {NAME}\n"));
    eventually("the new address", || {
        (heard(stud.connect()) == "new").then_some(())
    });
}

#[test]
fn a_name_that_cannot_be_found_is_fatal_at_the_start() {
    let stud = Stud::to_text("[nowhere.invalid]:80");
    for options in [&[][..], &["-t"]] {
        let outcome = stud.run_with(options);
        assert_eq!(outcome.code(), 1, "{outcome:?}");
        assert!(outcome.stderr.contains("nowhere.invalid"), "{outcome:?}");
    }
}

fn accept(listener: &UnixListener) -> UnixStream {
    listener.set_nonblocking(true).expect("no waiting");
    let stream = eventually("a connection", || listener.accept().ok()).0;
    stream.set_nonblocking(false).expect("waiting");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

#[test]
fn a_backend_may_be_a_unix_socket() {
    for (prefix, form) in [("", "path"), ("pipe://", "address of the old style")] {
        let dir = TempDir::new();
        let path = dir.join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        set_mode(&path, 0o777);
        let stud = Stud::to_text(&format!("{prefix}{}", path.display()))
            .config("write-ip = on")
            .start();
        let mut client = stud.connect();
        let mut accepted = accept(&listener);
        let mut start = [0; 5];
        accepted.read_exact(&mut start).expect(form);
        assert_eq!(start, [2, 127, 0, 0, 1], "{form}");
        accepted.write_all(b"hi").expect("room");
        drop(accepted);
        assert_eq!(
            client.exchange(b"", Ending::Nothing),
            (b"hi".to_vec(), End::Clean)
        );
    }
}

#[test]
fn a_backend_may_be_an_abstract_unix_socket() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("stud-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("a socket");
    let stud = Stud::to_text(&format!("pipe://@{name}")).start();
    let mut client = stud.connect();
    let mut accepted = accept(&listener);
    client.send(b"hi");
    accepted.read_exact(&mut [0; 2]).expect("bytes");
}

#[test]
fn each_frontend_of_a_list_has_the_backend_at_its_place() {
    let names: [&'static [u8]; 2] = [b"first", b"second"];
    let backends = names.map(|name| serving("127.0.0.1", 0, name));
    let list = |addresses: [SocketAddr; 2]| {
        addresses
            .map(|one| format!("[{}]:{}", one.ip(), one.port()))
            .join(";")
    };
    let fronts = [free("127.0.0.1"), free("127.0.0.2")];
    let stud = Stud::bare()
        .options(&[
            &format!("--frontend={}", list(fronts)),
            &format!(
                "--backend={}",
                list([backends[0].address, backends[1].address])
            ),
        ])
        .pem("localhost.pem", leaf(Kind::P256))
        .start();
    assert_eq!(stud.addresses, fronts);
    assert_eq!(heard(Dial::to(fronts[0]).connect()), "first");
    assert_eq!(heard(Dial::to(fronts[1]).connect()), "second");
}

#[test]
fn a_single_backend_serves_every_frontend() {
    let backend = serving("127.0.0.1", 0, b"only");
    let stud = Stud::to(backend.address)
        .config(
            "frontend = \"[127.0.0.2]:0\"\nfrontend = {\n host = \"127.0.0.3\"\n port = \"0\"\n}",
        )
        .start();
    assert_eq!(stud.addresses.len(), 3);
    for address in &stud.addresses {
        assert_eq!(heard(Dial::to(*address).connect()), "only");
    }
}
