//! What a backend is told of clients' certificates.
#![forbid(unsafe_code)]

use crate::common::keys::{Order, Pair, authority};
use crate::common::{Backend, Running, Stud, showing};
use crate::header::Header;
use openssl::ssl::SslVersion;

fn asking(demand: &str, more: &str) -> (Running, Backend) {
    let backend = Backend::new();
    let stud = Stud::to(backend.address);
    let ca = stud.dir.write("ca.pem", &authority().certificate);
    let stud = stud
        .config(&format!(
            "client-verify = {demand}\nclient-verify-ca = \"{}\"",
            ca.display()
        ))
        .config(&format!("write-proxy-v2 = on\n{more}"))
        .start();
    (stud, backend)
}

fn joe() -> Pair {
    Order::new("/CN=joe", "extendedKeyUsage=clientAuth").signed_by(authority())
}

/// Client flags and verdict.
fn verdict(header: &Header) -> (u8, u32) {
    let value = header.extension(0x20).expect("the part about TLS");
    (
        value[0],
        u32::from_be_bytes(value[1..5].try_into().expect("4 bytes")),
    )
}

#[test]
fn version_2_says_whether_there_was_a_good_certificate_of_the_client() {
    let (stud, backend) = asking("optional", "");
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let dial = stud.dial().version(version);
        let _client = showing(dial, &joe(), &[]).connect();
        let header = Header::read(&mut backend.accept());
        assert_eq!(verdict(&header), (7, 0), "{version:?}");
        assert_eq!(header.extension(0xe0), None);
        let _client = stud.dial().version(version).connect();
        let header = Header::read(&mut backend.accept());
        assert_eq!(verdict(&header), (1, 1), "{version:?}");
    }
}

#[test]
fn version_2_has_the_clients_certificate_if_that_is_asked_for() {
    let (stud, backend) = asking("optional", "proxy-client-cert = on");
    let joe = joe();
    let _client = showing(stud.dial(), &joe, &[]).connect();
    let header = Header::read(&mut backend.accept());
    let text = header.extension(0xe0).expect("a certificate");
    // The label of OpenSSL's own form, and nothing else of it.
    let text = String::from_utf8_lossy(text).replace(" TRUSTED ", " ");
    assert_eq!(text, joe.certificate);
    let _client = stud.connect();
    let header = Header::read(&mut backend.accept());
    assert_eq!(header.extension(0xe0), None);
}

#[test]
fn version_2_tells_a_certificate_of_an_earlier_connection_of_the_session_from_one_of_this() {
    let (stud, backend) = asking("required", "");
    let joe = joe();
    let (cert, key) = (
        stud.dir.write("own.pem", &joe.certificate),
        stud.dir.write("own.key", &joe.key),
    );
    let session = stud.dir.text("session");
    let own = [
        "-cert",
        cert.to_str().expect("plain"),
        "-key",
        key.to_str().expect("plain"),
    ];
    for version in ["-tls1_2", "-tls1_3"] {
        for (option, flags) in [("-sess_out", 7), ("-sess_in", 5)] {
            let header = std::thread::scope(|scope| {
                let backend = scope.spawn(|| {
                    let mut accepted = backend.accept();
                    Header::read(&mut accepted)
                });
                let options = [&own[..], &[version, option, &session]].concat();
                let outcome = stud.s_client(&options, "");
                assert_eq!(outcome.code(), 0, "{outcome:?}");
                backend.join().expect("a header")
            });
            assert_eq!(verdict(&header), (flags, 0), "{version} {option}");
        }
    }
}
