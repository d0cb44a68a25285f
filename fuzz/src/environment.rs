//! The variables that a session hands the listener, which sets no others.
#![forbid(unsafe_code)]

use sslserver::sslserver::environment::Environment;

pub fn run(bytes: &[u8]) -> bool {
    let mut environment = Environment::default();
    environment.set(b"PATH", b"/bin");
    let taken = environment.tls(bytes);
    for string in environment.strings() {
        let string = string.as_bytes();
        assert!(string == b"PATH=/bin" || string.starts_with(b"SSL_"));
        assert!(string.contains(&b'='));
    }
    taken
}
