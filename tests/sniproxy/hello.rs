//! ClientHellos of every kind and in any pieces reach their backend unchanged.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, run};
use crate::router::{
    Backend, Router, Setup, alert, extension, hello, hello_of, message, records, server_name,
};
use std::net::Shutdown;
use std::process::Command;

/// The pieces reach this backend as they were sent, and it can answer.
fn routed(router: &Router, backend: &Backend, pieces: &[&[u8]]) {
    let whole = pieces.concat();
    let mut client = router.client();
    for piece in pieces {
        client.send(piece);
    }
    let mut server = backend.accept();
    assert!(server.read(whole.len()) == whole, "the hello was changed");
    server.send(b"answer");
    assert_eq!(client.read(6), b"answer");
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.rest(), b"");
    drop(server);
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_hello_split_at_every_byte_is_routed() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let whole = hello("a.example");
    for cut in 1..whole.len() {
        routed(&router, &backend, &[&whole[..cut], &whole[cut..]]);
    }
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    routed(&router, &backend, &bytes);
    router.stop(&[]);
}

#[test]
fn a_hello_in_records_of_every_size_is_routed() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let message = message(&server_name(b"a.example"));
    for size in 1..message.len() {
        routed(&router, &backend, &[&records(&message, size)]);
    }
    router.stop(&[]);
}

#[test]
fn padding_and_post_quantum_key_shares_before_the_name_do_no_harm() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let key_share = extension(51, &[5; 1216]);
    let name = server_name(b"a.example");
    let long = message(&[key_share.clone(), name.clone()].concat());
    routed(
        &router,
        &backend,
        &records(&long, 16384).chunks(700).collect::<Vec<_>>(),
    );
    let padded = message(&[key_share, extension(21, &[0; 60_000]), name].concat());
    routed(&router, &backend, &[&records(&padded, 16384)]);
    routed(&router, &backend, &[&records(&padded, 100)]);
    // The longest there can be, in records of one byte.
    let name = server_name(b"a.example");
    let filler = extension(21, &vec![0; 65_535 - 4 - name.len()]);
    let longest = message(&[filler, name].concat());
    routed(&router, &backend, &[&records(&longest, 1)]);
    router.stop(&[]);
}

#[test]
fn what_comes_with_the_hello_goes_with_it() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let early = vec![7; 500_000];
    let whole = hello("a.example");
    std::thread::scope(|scope| {
        let mut client = router.client();
        let mut writer = client.0.try_clone().unwrap();
        let sent = [&whole[..], &early].concat();
        scope.spawn(move || std::io::Write::write_all(&mut writer, &sent).unwrap());
        let mut server = backend.accept();
        assert!(server.read(whole.len() + early.len())[whole.len()..] == early[..]);
        drop(server);
        assert_eq!(client.rest(), b"");
    });
    router.stop(&[]);
}

#[test]
fn the_backend_is_reached_with_the_last_byte_of_the_name() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let message = message(&[server_name(b"a.example"), extension(21, &[0; 99])].concat());
    let whole = records(&message, 16384);
    let end = whole.len() - 99 - 4;
    let mut client = router.saying(&whole[..end]);
    let mut server = backend.accept();
    assert_eq!(server.read(end), &whole[..end]);
    // What follows is not looked at.
    client.send(b"anything");
    assert_eq!(server.read(8), b"anything");
}

#[test]
fn the_first_of_several_names_counts() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let _other = router.backend("b.example");
    let twice = [server_name(b"a.example"), server_name(b"b.example")].concat();
    routed(&router, &backend, &[&records(&message(&twice), 16384)]);
    router.stop(&[]);
}

#[test]
fn capitals_do_not_matter_and_every_odd_byte_does() {
    let router = Setup::new().start();
    let backend = router.backend("a-0.example");
    routed(&router, &backend, &[&hello("A-0.eXample")]);
    for byte in 0..=255u8 {
        if byte.is_ascii_alphanumeric() || b"-.".contains(&byte) {
            continue;
        }
        let mut client = router.saying(&hello_of(&[b'a', byte, b'0']));
        assert_eq!(client.rest(), alert(112), "{byte}");
    }
    router.stop(&[]);
}

#[test]
fn names_of_any_legal_length_are_routed() {
    let router = Setup::new().start();
    for length in [1, 96, 97, 107, 108, 200, 252, 253] {
        let mut name = "a.".repeat(length / 2);
        name.truncate(length - 1);
        name.push('b');
        let backend = router.backend(&name);
        routed(&router, &backend, &[&hello(&name)]);
    }
    router.stop(&[]);
}

#[test]
fn openssl_and_curl_are_routed() {
    let router = Setup::new().start();
    let backend = router.backend("a.example");
    let port = router.address.port();
    let handle = std::thread::spawn(move || {
        let mut openssl = Command::new("openssl");
        let to = format!("127.0.0.1:{port}");
        openssl.args(["s_client", "-connect", &to, "-servername", "A.example"]);
        let mut curl = Command::new("curl");
        let resolve = format!("a.example:{port}:127.0.0.1");
        let url = format!("https://a.example:{port}/");
        curl.args(["-q", "-sS", "--noproxy", "*", "--resolve", &resolve, &url]);
        [openssl, curl].map(|command| run(command, b"", LIMIT))
    });
    for _ in 0..2 {
        let mut server = backend.accept();
        // A record of a handshake, with a ClientHello in it.
        let head = server.read(6);
        assert_eq!([head[0], head[1], head[5]], [22, 3, 1]);
        server.send(&alert(40));
    }
    for outcome in handle.join().unwrap() {
        assert!(!outcome.status.success());
        assert!(outcome.stderr.contains("handshake failure"), "{outcome:?}");
    }
    router.stop(&[]);
}
