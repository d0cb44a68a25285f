//! How a backend is told of its client.
#![forbid(unsafe_code)]

use crate::router::{Backend, Client, Router, Setup, alert, hello};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;

const END: &str = "\r\n";

/// What the backend gets before the hello, for a client that calls this address.
fn announced(router: &Router, backend: &Backend, to: SocketAddr) -> (Vec<u8>, SocketAddr) {
    let mut client = Client(TcpStream::connect(to).unwrap()).patient();
    client.send(&hello("a.example"));
    client.0.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = backend.accept().rest();
    let whole = hello("a.example");
    assert!(bytes.ends_with(&whole), "{:?}", router.log.lines());
    bytes.truncate(bytes.len() - whole.len());
    (bytes, client.0.local_addr().unwrap())
}

fn line(router: &Router, backend: &Backend, to: SocketAddr) -> (String, u16) {
    let (bytes, client) = announced(router, backend, to);
    (String::from_utf8(bytes).unwrap(), client.port())
}

#[test]
fn a_backend_with_the_file_gets_one_line_with_the_addresses_of_the_connection() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let router = Setup::new().listener(listener).start();
    let backend = router.backend("a.example").file("send-proxy-v1");
    let port = router.address.port();
    let to: SocketAddr = ([127, 0, 0, 9], port).into();
    let (line, client) = line(&router, &backend, to);
    let source = "127.0.0.1";
    assert_eq!(
        line,
        format!("PROXY TCP4 {source} 127.0.0.9 {client} {port}{END}")
    );
}

#[test]
fn ipv6_is_announced_as_such_and_ipv4_on_the_same_socket_as_ipv4() {
    let any = IpAddr::from(Ipv6Addr::UNSPECIFIED);
    let listener = TcpListener::bind((any, 0)).unwrap();
    let router = Setup::new().listener(listener).start();
    let backend = router.backend("a.example").file("send-proxy-v1");
    let port = router.address.port();
    let (six, client) = line(&router, &backend, (Ipv6Addr::LOCALHOST, port).into());
    assert_eq!(six, format!("PROXY TCP6 ::1 ::1 {client} {port}{END}"));
    let (four, client) = line(&router, &backend, ([127, 0, 0, 1], port).into());
    assert_eq!(
        four,
        format!("PROXY TCP4 127.0.0.1 127.0.0.1 {client} {port}{END}")
    );
}

#[test]
fn version_2_tells_the_name_too_and_comes_before_version_1() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let backend = backend.file("send-proxy-v1").file("send-proxy-v2");
    let (header, client) = announced(&router, &backend, router.address);
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x18\x7f\0\0\x01\x7f\0\0\x01".to_vec();
    expected.extend(client.port().to_be_bytes());
    expected.extend(router.address.port().to_be_bytes());
    expected.extend(b"\x02\0\x09a.example");
    assert_eq!(header, expected);
}

#[test]
fn any_file_of_the_name_counts_and_a_dead_link_does_not() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let file = backend.directory.join("send-proxy-v1");
    let has_line = || !announced(&router, &backend, router.address).0.is_empty();
    assert!(!has_line());
    symlink("nowhere", &file).unwrap();
    assert!(!has_line());
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(has_line());
    std::fs::remove_dir(&file).unwrap();
    symlink("tls-socket", &file).unwrap();
    assert!(has_line());
}

#[test]
fn who_is_refused_is_not_announced() {
    let router = Setup::new().start();
    let backend = router.backend("a.example").file("send-proxy-v1");
    assert_eq!(router.saying(&hello("b.example")).rest(), alert(112));
    assert_eq!(
        router
            .saying(&hello("a.example")[..50])
            .0
            .shutdown(std::net::Shutdown::Both)
            .ok(),
        Some(())
    );
    router.stop(&[]);
    assert!(backend.is_idle());
}
