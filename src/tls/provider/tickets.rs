//! The callback by which OpenSSL asks for the keys of a ticket (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)).

use std::ffi::{c_int, c_long, c_uchar, c_void};
use std::ptr;
use std::sync::OnceLock;

use foreign_types_shared::ForeignTypeRef;
use openssl::cipher::Cipher;
use openssl::ssl::SslContextBuilder;
use openssl_sys::{EVP_CIPHER_CTX, EVP_MAC_CTX, SSL, SSL_CTX};

use super::KEEPER;
use crate::tls::tickets::{TicketKey, TicketName};

const IV_LENGTH: usize = 16;

type Callback = unsafe extern "C" fn(
    *mut SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut EVP_CIPHER_CTX,
    *mut EVP_MAC_CTX,
    c_int,
) -> c_int;

unsafe extern "C" {
    fn SSL_CTX_set_tlsext_ticket_key_evp_cb(context: *mut SSL_CTX, callback: Callback) -> c_int;
    fn SSL_CTX_set_timeout(context: *mut SSL_CTX, seconds: c_long) -> c_long;
}

/// Has tickets sealed and opened with the keeper's help. A ticket is good for that many seconds.
pub fn use_keeper(context: &SslContextBuilder, lifetime: c_long) {
    // SAFETY: the callback has the type that OpenSSL calls it with and lives as long as the program.
    unsafe {
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context.as_ptr(), callback);
        SSL_CTX_set_timeout(context.as_ptr(), lifetime);
    }
}

/// 1: go on with these keys; 2: and the client gets a new ticket; 0: no such ticket; -1: the handshake fails.
unsafe extern "C" fn callback(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    seal: c_int,
) -> c_int {
    let keeper = KEEPER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(keeper) = keeper.as_ref() else {
        return -1;
    };
    // SAFETY: OpenSSL passes 16 bytes at `name`, room for 16 at `iv`, and two contexts that it owns.
    unsafe {
        if seal == 1 {
            let iv_bytes = std::slice::from_raw_parts_mut(iv, IV_LENGTH);
            let (Some(key), Ok(())) = (keeper.new_ticket(), openssl::rand::rand_bytes(iv_bytes))
            else {
                return -1;
            };
            ptr::copy_nonoverlapping(key.name.as_ptr(), name, key.name.len());
            return prepare(&key, iv, cipher, mac, true);
        }
        let mut wanted: TicketName = [0; 16];
        ptr::copy_nonoverlapping(name, wanted.as_mut_ptr(), wanted.len());
        match keeper.open_ticket(wanted) {
            // A client of TLS 1.3 uses a ticket once (RFC 8446, C.4): without a new one it could not come a third time.
            Some(key) => match prepare(&key, iv, cipher, mac, false) {
                1 if openssl_sys::SSL_version(ssl) >= openssl_sys::TLS1_3_VERSION => 2,
                done => done,
            },
            None => 0,
        }
    }
}

/// Sets both contexts up with the keys.
///
/// # Safety
/// `iv` has 16 bytes; the contexts are OpenSSL's.
unsafe fn prepare(
    key: &TicketKey,
    iv: *const c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    seal: bool,
) -> c_int {
    let mut secret = key.mac;
    let mut digest = *b"SHA256\0";
    // SAFETY: the parameters point to arrays that outlive the calls; OpenSSL copies what it keeps.
    unsafe {
        let init = match seal {
            true => openssl_sys::EVP_EncryptInit_ex,
            false => openssl_sys::EVP_DecryptInit_ex,
        };
        let Some(algorithm) = algorithm() else {
            return -1;
        };
        let mut digest_parameter = openssl_sys::OSSL_PARAM_construct_octet_string(
            c"digest".as_ptr(),
            digest.as_mut_ptr().cast::<c_void>(),
            digest.len() - 1,
        );
        digest_parameter.data_type = super::ffi::PARAM_UTF8_STRING;
        let parameters = [
            openssl_sys::OSSL_PARAM_construct_octet_string(
                c"key".as_ptr(),
                secret.as_mut_ptr().cast::<c_void>(),
                secret.len(),
            ),
            digest_parameter,
            openssl_sys::OSSL_PARAM_construct_end(),
        ];
        let done = init(
            cipher,
            algorithm.as_ptr(),
            ptr::null_mut(),
            key.cipher.as_ptr(),
            iv,
        ) == 1
            && openssl_sys::EVP_MAC_CTX_set_params(mac, parameters.as_ptr()) == 1;
        if done { 1 } else { -1 }
    }
}

/// AES-256 in CBC mode, which OpenSSL looks up for each ticket anew unless it was looked up before.
fn algorithm() -> Option<&'static Cipher> {
    static FOUND: OnceLock<Option<Cipher>> = OnceLock::new();
    FOUND
        .get_or_init(|| Cipher::fetch(None, "AES-256-CBC", None).ok())
        .as_ref()
}
