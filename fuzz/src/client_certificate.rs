//! A client's certificate in DER: what becomes of it in variables and in the comparison of names. Who signed it checked
//! little of what is in it.
#![forbid(unsafe_code)]

use openssl::x509::X509;
use sslserver::sslserver::environment::Environment;
use sslserver::tls::client;
use sslserver::tls::environment::{self, Variables};

pub fn run(bytes: &[u8]) -> bool {
    let Ok(certificate) = X509::from_der(bytes) else {
        return false;
    };
    let mut variables = Variables::default();
    environment::certificate(&mut variables, "SSL_CLIENT", &certificate);
    let mut environment = Environment::default();
    assert!(environment.tls(&variables.bytes), "the listener refuses it");
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let ip = ip.parse().unwrap();
        // Whether it fits is another question.
        let _ = client::check_names(&certificate, Some("client.example.org"), ip);
        let _ = client::check_names(&certificate, None, ip);
    }
    true
}
