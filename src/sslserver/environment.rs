//! What of our own environment is not for applications, and what rules may set for them (sslserver-environ(7)).
#![forbid(unsafe_code)]

use super::keysets;
pub use crate::ucspi::environment::Environment;

/// Variables that configure sslserver beside those of TLS. The application gets one only if a rule sets it.
const OURS: [&str; 18] = [
    "CCAVERIFY",
    "DNSCACHEIP",
    "DRAIN",
    "HANDSHAKES",
    "HANDSHAKESIP",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MAXCONIP",
    "MAXCONNET",
    "METRICS",
    "NOTIFYFD",
    "NOTIFY_SOCKET",
    "PROTO",
    "PROXYFROM",
    "RATE",
    "RELOAD",
    "TICKETKEYFILE",
];

/// What is left of our own environment for applications.
pub fn inherited(ours: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Environment {
    let is_setting = |name: &[u8]| {
        let mut known = OURS.iter().chain(&keysets::NAMES);
        known.any(|known| known.as_bytes() == name)
    };
    Environment::inherited(ours, is_setting)
}

/// A rule's variables win over what is known of the connection, as in tcpserver, but never speak for TLS.
pub fn rules<'a>(
    environment: &mut Environment,
    variables: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) {
    let reserved: [&[u8]; 3] = [b"SSLCTLFD", b"SSLREADFD", b"SSLWRITEFD"];
    for (name, value) in variables {
        if !name.starts_with(b"SSL_") && !reserved.contains(&name) {
            environment.set(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
