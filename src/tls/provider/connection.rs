//! What the `openssl` crate cannot do with one connection.

use std::ffi::{CStr, c_int};
use std::ptr;

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContextBuilder, SslRef, SslStream};
use openssl::stack::Stack;
use openssl::x509::X509;

use super::{ffi, raw};

/// The content of the extension of that number, if the hello that is being looked at has it.
pub fn hello_extension(ssl: &SslRef, number: u16) -> Option<&[u8]> {
    let (mut start, mut length) = (ptr::null(), 0);
    // SAFETY: without a hello the answer is 0. The bytes stay where they are until the handshake goes on, for which
    // the connection must not be borrowed any more.
    unsafe {
        let found = openssl_sys::SSL_client_hello_get0_ext(
            ssl.as_ptr(),
            number.into(),
            &mut start,
            &mut length,
        );
        match found {
            1 if length == 0 => Some(&[]),
            1 => Some(std::slice::from_raw_parts(start, length)),
            _ => None,
        }
    }
}

/// Takes all certificates and keys from a connection, so that only those set afterwards are there.
pub fn clear_certificates(ssl: &mut SslRef) {
    // SAFETY: the connection is ours alone while we are called; OpenSSL keeps no pointer to what it frees.
    unsafe { ffi::SSL_certs_clear(ssl.as_ptr()) };
}

/// Gives a connection a certificate, the rest of its chain and its key, beside those of other kinds of keys.
pub fn use_identity(
    ssl: &mut SslRef,
    leaf: &X509,
    others: &Stack<X509>,
    key: &PKey<Private>,
) -> Result<(), ErrorStack> {
    // SAFETY: all four are alive; OpenSSL takes references of its own.
    match unsafe {
        ffi::SSL_use_cert_and_key(ssl.as_ptr(), leaf.as_ptr(), raw(key), others.as_ptr(), 1)
    } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// The same for all connections of a context that have nothing else.
pub fn use_by_default(
    context: &mut SslContextBuilder,
    leaf: &X509,
    others: &Stack<X509>,
    key: &PKey<Private>,
) -> Result<(), ErrorStack> {
    // SAFETY: as above.
    match unsafe {
        ffi::SSL_CTX_use_cert_and_key(
            context.as_ptr(),
            leaf.as_ptr(),
            raw(key),
            others.as_ptr(),
            1,
        )
    } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// Gives back what only the handshake needed: certificates, which would outlive the catalogue's own, the names of
/// authorities that the client was told, the OCSP response that it was shown, and the keys of the key exchange, of which
/// the peer's takes seven thousand bytes with X25519MLKEM768.
pub fn settle<S>(stream: &mut SslStream<S>) {
    const SET_RESPONSE: c_int = openssl_sys::SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP;
    let ssl = stream.ssl().as_ptr();
    // SAFETY: as the stream is ours alone, nobody has anything of this any more; null takes the place of each.
    unsafe {
        ffi::SSL_certs_clear(ssl);
        openssl_sys::SSL_set_client_CA_list(ssl, ptr::null_mut());
        openssl_sys::SSL_ctrl(ssl, SET_RESPONSE, 0, ptr::null_mut());
    }
    empty_key(ssl, openssl_sys::SSL_CTRL_GET_TMP_KEY);
    empty_key(ssl, openssl_sys::SSL_CTRL_GET_PEER_TMP_KEY);
}

/// Empties our own key of the key exchange or the peer's. A connection keeps both until its end, only to tell them.
fn empty_key(ssl: *mut openssl_sys::SSL, which: c_int) {
    let mut key: *mut openssl_sys::EVP_PKEY = ptr::null_mut();
    // SAFETY: where there is such a key the answer is 1 and a reference of our own, which is given back. Nothing but
    // the handshake, which is over, looks into it; that it is to be a key of any type frees what it was.
    unsafe {
        if openssl_sys::SSL_ctrl(ssl, which, 0, (&raw mut key).cast()) == 1 {
            ffi::EVP_PKEY_set_type(key, openssl_sys::EVP_PKEY_RSA);
            openssl_sys::EVP_PKEY_free(key);
        }
    }
}

/// The group of the key exchange by its name in TLS (`x25519`); of a session that was resumed without one, the group of
/// its first handshake. `None`: there was none, or it has no name.
pub fn group(ssl: &SslRef) -> Option<&str> {
    // SAFETY: both only read from a connection that is alive. The name belongs to its context, which it keeps.
    let name = unsafe {
        let nid =
            openssl_sys::SSL_ctrl(ssl.as_ptr(), ffi::GET_NEGOTIATED_GROUP, 0, ptr::null_mut());
        let name = ffi::SSL_group_to_name(ssl.as_ptr(), c_int::try_from(nid).unwrap_or(0));
        (!name.is_null()).then(|| CStr::from_ptr(name))
    };
    name.and_then(|name| name.to_str().ok())
}

/// Says under which circumstances the session of this connection may be resumed: under the same alone.
pub fn set_session_context(ssl: &mut SslRef, context: &[u8; 32]) -> Result<(), ErrorStack> {
    // SAFETY: 32 bytes are what OpenSSL takes at the most, and it copies them.
    match unsafe { ffi::SSL_set_session_id_context(ssl.as_ptr(), context.as_ptr(), 32) } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}
