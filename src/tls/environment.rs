//! The `SSL_*` variables that an application may be given, in mod_ssl's names (sslserver-environ(7)).
#![forbid(unsafe_code)]

use openssl::asn1::{Asn1Object, Asn1TimeRef};
use openssl::nid::Nid;
use openssl::ssl::{NameType, SslRef};
use openssl::x509::{X509NameRef, X509Ref};

use super::choice;

/// Attributes of a distinguished name that have a variable of their own, by object identifier.
pub const ATTRIBUTES: [(&str, &str); 13] = [
    ("C", "2.5.4.6"),
    ("ST", "2.5.4.8"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("CN", "2.5.4.3"),
    ("T", "2.5.4.12"),
    ("I", "2.5.4.43"),
    ("G", "2.5.4.42"),
    ("S", "2.5.4.4"),
    ("D", "2.5.4.13"),
    ("UID", "2.5.4.45"),
    ("Email", "1.2.840.113549.1.9.1"),
];

/// Variables as `NAME=value` strings, each closed by NUL.
#[derive(Default, Clone)]
pub struct Variables {
    pub bytes: Vec<u8>,
}

impl Variables {
    fn set(&mut self, name: &str, value: &[u8]) {
        self.bytes.extend(name.as_bytes());
        self.bytes.push(b'=');
        // A NUL inside a certificate's text would end the string early and begin a forged one.
        self.bytes.extend(value.iter().filter(|&&byte| byte != 0));
        self.bytes.push(0);
    }
}

/// What the handshake agreed on.
pub fn session(variables: &mut Variables, ssl: &SslRef) {
    variables.set("SSL_PROTOCOL", ssl.version_str().as_bytes());
    let id = ssl.session().map(|session| session.id()).unwrap_or(&[]);
    variables.set("SSL_SESSION_ID", hex(id).as_bytes());
    if let Some(cipher) = ssl.current_cipher() {
        let bits = cipher.bits();
        let export = if bits.secret < 56 { "true" } else { "false" };
        variables.set("SSL_CIPHER", cipher.name().as_bytes());
        variables.set("SSL_CIPHER_EXPORT", export.as_bytes());
        variables.set("SSL_CIPHER_USEKEYSIZE", bits.secret.to_string().as_bytes());
        variables.set(
            "SSL_CIPHER_ALGKEYSIZE",
            bits.algorithm.to_string().as_bytes(),
        );
    }
    let name = match ssl.is_server() {
        true => choice::asked(ssl),
        false => ssl.servername_raw(NameType::HOST_NAME),
    };
    if let Some(name) = name {
        variables.set("SSL_TLS_SNI", name);
    }
    if let Some(protocol) = ssl.selected_alpn_protocol() {
        variables.set("SSL_ALPN", protocol);
    }
    variables.set("SSL_VERSION_INTERFACE", b"ucspi-ssl");
    variables.set(
        "SSL_VERSION_LIBRARY",
        openssl::version::version().as_bytes(),
    );
}

/// What the client showed, and whether that was good enough: `SUCCESS` or `NONE`.
pub fn client(variables: &mut Variables, ssl: &SslRef) {
    let shown = ssl.peer_certificate();
    if let Some(shown) = &shown {
        certificate(variables, "SSL_CLIENT", shown);
        // The library's server side leaves the client's own certificate out.
        chain(variables, "SSL_CLIENT", ssl);
    }
    // A certificate that is not good enough ends the handshake.
    let verdict: &[u8] = if shown.is_some() { b"SUCCESS" } else { b"NONE" };
    variables.set("SSL_CLIENT_VERIFY", verdict);
}

/// What the server showed, and what it was shown if it asked.
pub fn server(variables: &mut Variables, ssl: &SslRef) {
    if let Some(shown) = ssl.peer_certificate() {
        certificate(variables, "SSL_SERVER", &shown);
        chain(variables, "SSL_SERVER", ssl);
    }
    if let Some(ours) = ssl.certificate() {
        certificate(variables, "SSL_CLIENT", ours);
    }
}

/// The certificates that the peer sent.
fn chain(variables: &mut Variables, prefix: &str, ssl: &SslRef) {
    for (number, link) in ssl.peer_cert_chain().into_iter().flatten().enumerate() {
        let pem = link.to_pem().unwrap_or_default();
        variables.set(&format!("{prefix}_CERT_CHAIN_{number}"), &pem);
    }
}

/// Everything about one certificate, under `prefix` (`SSL_SERVER`).
pub fn certificate(variables: &mut Variables, prefix: &str, certificate: &X509Ref) {
    let mut set = |name: &str, value: &[u8]| variables.set(&format!("{prefix}_{name}"), value);
    // The encoded version counts from 0.
    set(
        "M_VERSION",
        (certificate.version() + 1).to_string().as_bytes(),
    );
    let serial = certificate
        .serial_number()
        .to_bn()
        .and_then(|n| n.to_dec_str());
    set(
        "M_SERIAL",
        serial
            .map(|text| text.to_string())
            .unwrap_or_default()
            .as_bytes(),
    );
    for (which, name) in [
        ("S_DN", certificate.subject_name()),
        ("I_DN", certificate.issuer_name()),
    ] {
        set(which, one_line(name).as_bytes());
        for (attribute, value) in attributes(name) {
            set(&format!("{which}_{attribute}"), &value);
        }
    }
    let algorithm = certificate.signature_algorithm().object().nid();
    set(
        "A_SIG",
        algorithm.long_name().unwrap_or("UNKNOWN").as_bytes(),
    );
    let key = certificate.public_key().ok().map(|key| key.id());
    let key = key.and_then(|id| Nid::from_raw(id.as_raw()).long_name().ok());
    set("A_KEY", key.unwrap_or("UNKNOWN").as_bytes());
    set("V_START", time(certificate.not_before()).as_bytes());
    set("V_END", time(certificate.not_after()).as_bytes());
    set("CERT", &certificate.to_pem().unwrap_or_default());
}

/// The attributes that have variables, in the order of the name.
fn attributes(name: &X509NameRef) -> Vec<(&'static str, Vec<u8>)> {
    let known: Vec<(&str, Asn1Object)> = ATTRIBUTES
        .iter()
        .filter_map(|&(short, oid)| Some((short, Asn1Object::from_str(oid).ok()?)))
        .collect();
    name.entries()
        .filter_map(|entry| {
            let nid = entry.object().nid();
            let (short, _) = known.iter().find(|(_, object)| object.nid() == nid)?;
            let text = entry.data().to_string().ok()?;
            Some((*short, text.into_bytes()))
        })
        .collect()
}

/// `/C=DE/O=Example/CN=host`, with what is not printable ASCII as `\xHH` and a slash inside a value as `\/`.
fn one_line(name: &X509NameRef) -> String {
    let mut line = String::new();
    for entry in name.entries() {
        let kind = entry.object().nid();
        let kind = kind
            .short_name()
            .map_or_else(|_| entry.object().to_string(), str::to_owned);
        line.push('/');
        line.push_str(&kind);
        line.push('=');
        let text = entry.data().to_string().map(String::into_bytes);
        for byte in text.unwrap_or_else(|_| entry.data().as_slice().to_vec()) {
            match byte {
                b'/' => line.push_str("\\/"),
                b' '..=b'~' => line.push(byte.into()),
                _ => line.push_str(&format!("\\x{byte:02X}")),
            }
        }
    }
    line
}

fn time(time: &Asn1TimeRef) -> String {
    time.to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
