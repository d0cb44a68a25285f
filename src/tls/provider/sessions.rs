//! Sessions that are outside of this process, and what there is to know before one is looked for.

use foreign_types_shared::ForeignTypeRef;
use openssl::ssl::{SslContextBuilder, SslRef, SslSession};

const TLS13: std::ffi::c_int = 0x0304;

/// Whether this connection may come to TLS 1.3.
pub fn allows_tls13(ssl: &SslRef) -> bool {
    // SAFETY: asks for a number. 0: any version.
    let newest = unsafe { openssl_sys::SSL_get_max_proto_version(ssl.as_ptr()) };
    newest == 0 || newest >= TLS13
}

/// Has sessions that are not in this process looked for by their id; `find` answers with one in DER.
pub fn look_sessions_up(
    context: &mut SslContextBuilder,
    find: impl Fn(&mut SslRef, &[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
) {
    let decoded = move |ssl: &mut SslRef, id: &[u8]| SslSession::from_der(&find(ssl, id)?).ok();
    // SAFETY: a session that was just decoded belongs to no context.
    unsafe { context.set_get_session_callback(decoded) };
}

/// For tests that are clients: names the session in the next handshake.
#[cfg(test)]
pub fn come_back(ssl: &mut SslRef, session: &SslSession) {
    // SAFETY: the tests make all connections of a client with one context.
    unsafe { ssl.set_session(session) }.unwrap();
}
