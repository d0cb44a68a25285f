//! What the backend is told of a client before its first byte.
#![forbid(unsafe_code)]

use openssl::ssl::SslRef;

use super::connection::{Connection, Phase, Shaking};
use super::orders::{Details, Preamble};
use crate::net::preamble::{Client, Ends, Facts, Session};
use crate::tls::choice;

/// The bytes for a connection whose handshake is done. Its addresses are those of the accepted socket.
pub fn preamble(kind: Preamble, connection: &Connection) -> Vec<u8> {
    let Phase::Shaking(shaking) = &connection.phase else {
        return Vec::new();
    };
    let Shaking { tls, peer, .. } = &**shaking;
    if kind == Preamble::Nothing {
        return Vec::new();
    }
    let Some(local) = peer.local() else {
        return Vec::new();
    };
    let ends = Ends::new(connection.remote, local);
    match kind {
        Preamble::Nothing => Vec::new(),
        Preamble::Ip => ends.address(),
        Preamble::Line => ends.line(),
        Preamble::Binary(details) => binary(&ends, tls.ssl(), details),
    }
}

fn binary(ends: &Ends, ssl: &SslRef, details: Details) -> Vec<u8> {
    let shown = match details.certificate || details.tls {
        true => ssl.peer_certificate(),
        false => None,
    };
    let pem = shown.as_ref().filter(|_| details.certificate);
    let pem = pem.and_then(|certificate| certificate.to_pem().ok());
    let verdict = ssl.verify_result().as_raw().unsigned_abs();
    let client = match (&shown, ssl.session_reused()) {
        (None, _) => Client::Unknown,
        (Some(_), false) => Client::Shown(verdict),
        (Some(_), true) => Client::Resumed(verdict),
    };
    ends.binary(&Facts {
        alpn: ssl.selected_alpn_protocol(),
        authority: choice::asked(ssl).filter(|_| details.authority),
        certificate: pem.as_deref().and_then(|pem| std::str::from_utf8(pem).ok()),
        session: details.tls.then(|| Session {
            version: ssl.version_str(),
            cipher: ssl.current_cipher().map_or("", |cipher| cipher.name()),
            client,
        }),
    })
}
