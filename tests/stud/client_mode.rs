//! `--client`: plain in front, TLS behind.
#![forbid(unsafe_code)]

use crate::common::keys::{authority, for_names, root};
use crate::common::{Dial, End, Kind, Running, Serving, Stud};
use std::net::SocketAddr;

/// Plain clients come in, and this server of TLS is behind.
fn client(server: SocketAddr, config: &str, authority: &str) -> Running {
    let stud = Stud::bare().frontend("[127.0.0.1]:0");
    let ca = stud.dir.write("ca.pem", authority);
    stud.config(&format!("backend = \"[localhost]:{}\"", server.port()))
        .config(&format!(
            "client-verify-ca = \"{}\"\n{config}",
            ca.display()
        ))
        .options(&["--client"])
        .start()
}

fn ask(stud: &Running) -> (Vec<u8>, End) {
    let mut plain = Dial::to(stud.address()).plain();
    plain.send(b"question\n");
    plain.fin();
    plain.ended()
}

#[test]
fn plain_clients_reach_a_server_of_tls_which_has_to_be_the_right_one() {
    let backend = Serving::echo();
    let server = Stud::to(backend.address).start();
    let stud = client(server.address(), "", &authority().certificate);
    for _ in 0..3 {
        assert_eq!(ask(&stud), (b"question\n".to_vec(), End::Fin));
    }
}

#[test]
fn a_server_that_nobody_vouches_for_gets_no_byte() {
    let backend = Serving::echo();
    let server = Stud::to(backend.address).start();
    let stud = client(server.address(), "", &root("/CN=False Root").certificate);
    assert_eq!(ask(&stud).0, b"");
    assert_eq!(backend.count(), 0);
    stud.log.wait_for("*certificate*");
    let other = Stud::without_pem(backend.address)
        .pem(
            "other.pem",
            &for_names(Kind::P256, authority(), "other", &["other.example"]),
        )
        .start();
    let stud = client(other.address(), "", &authority().certificate);
    assert_eq!(ask(&stud).0, b"");
    assert_eq!(backend.count(), 0);
    let stud = client(
        other.address(),
        "client-verify = none",
        &authority().certificate,
    );
    assert_eq!(ask(&stud).0, b"question\n");
}

#[test]
fn both_directions_may_end_by_themselves() {
    let backend = crate::common::Backend::new();
    let server = Stud::to(backend.address).start();
    let stud = client(server.address(), "", &authority().certificate);
    let mut plain = Dial::to(stud.address()).plain();
    let mut accepted = backend.accept();
    plain.send(b"all");
    plain.fin();
    assert_eq!(accepted.rest(), b"all");
    accepted.send(b"answer");
    drop(accepted);
    assert_eq!(plain.ended(), (b"answer".to_vec(), End::Fin));
}
