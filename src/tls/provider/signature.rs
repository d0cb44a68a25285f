//! Signing in one go over the whole message: the only operation there is.

use std::ffi::{CStr, c_char, c_int, c_uchar, c_void};
use std::ptr;

use openssl_sys::OSSL_PARAM;

use super::ffi;
use super::key::{EC, ED25519, END, Key, List, RSA, parameter};
use crate::tls::signing::scheme;

/// RSA_PKCS1_PSS_PADDING of rsa.h.
const PSS: c_int = 6;

pub struct Context {
    key: *const Key,
    digest: Option<Digest>,
    pss: bool,
}

#[derive(Clone, Copy)]
enum Digest {
    Md5Sha1,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

pub type NewContext = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut Context;
pub type FreeContext = unsafe extern "C" fn(*mut Context);
pub type DigestSignInit =
    unsafe extern "C" fn(*mut Context, *const c_char, *const Key, *const OSSL_PARAM) -> c_int;
pub type DigestSign = unsafe extern "C" fn(
    *mut Context,
    *mut c_uchar,
    *mut usize,
    usize,
    *const c_uchar,
    usize,
) -> c_int;
pub type SetParameters = unsafe extern "C" fn(*mut Context, *const OSSL_PARAM) -> c_int;
pub type Settable = unsafe extern "C" fn(*mut Context, *mut c_void) -> *const OSSL_PARAM;

pub unsafe extern "C" fn new_context(
    _provider: *mut c_void,
    _properties: *const c_char,
) -> *mut Context {
    Box::into_raw(Box::new(Context {
        key: ptr::null(),
        digest: None,
        pss: false,
    }))
}

pub unsafe extern "C" fn free_context(context: *mut Context) {
    if !context.is_null() {
        // SAFETY: OpenSSL gives back what `new_context` made, once.
        drop(unsafe { Box::from_raw(context) });
    }
}

pub unsafe extern "C" fn digest_sign_init(
    context: *mut Context,
    digest: *const c_char,
    key: *const Key,
    parameters: *const OSSL_PARAM,
) -> c_int {
    // SAFETY: OpenSSL passes a context and a key of ours, the key alive as long as the context is used,
    // and a digest's name or nothing.
    unsafe {
        if !key.is_null() {
            (*context).key = key;
        }
        (*context).digest = match digest.is_null() {
            true => None,
            false => Digest::named(CStr::from_ptr(digest)),
        };
        set_parameters(context, parameters)
    }
}

pub unsafe extern "C" fn set_parameters(
    context: *mut Context,
    parameters: *const OSSL_PARAM,
) -> c_int {
    if parameters.is_null() {
        return 1;
    }
    // SAFETY: OpenSSL passes a context of ours and a closed list; a string parameter has `data_size` bytes.
    unsafe {
        let padding = openssl_sys::OSSL_PARAM_locate_const(parameters, c"pad-mode".as_ptr());
        if padding.is_null() {
            return 1;
        }
        let mut number = 0;
        if (*padding).data_type == ffi::PARAM_UTF8_STRING {
            let name =
                std::slice::from_raw_parts((*padding).data.cast::<u8>(), (*padding).data_size);
            (*context).pss = name.starts_with(b"pss");
        } else if ffi::OSSL_PARAM_get_int(padding, &mut number) == 1 {
            (*context).pss = number == PSS;
        }
    }
    1
}

pub unsafe extern "C" fn settable(
    _context: *mut Context,
    _provider: *mut c_void,
) -> *const OSSL_PARAM {
    static LIST: List<4> = List([
        parameter(c"pad-mode", ffi::PARAM_UTF8_STRING),
        parameter(c"saltlen", ffi::PARAM_UTF8_STRING),
        parameter(c"mgf1-digest", ffi::PARAM_UTF8_STRING),
        END,
    ]);
    LIST.0.as_ptr()
}

pub unsafe extern "C" fn digest_sign(
    context: *mut Context,
    signature: *mut c_uchar,
    length: *mut usize,
    room: usize,
    message: *const c_uchar,
    message_length: usize,
) -> c_int {
    // SAFETY: OpenSSL passes a context of ours, a place for the length, `room` bytes at `signature` (or null to
    // learn the length) and `message_length` bytes at `message`.
    unsafe {
        let context = &*context;
        let Some(key) = context.key.as_ref() else {
            return 0;
        };
        if signature.is_null() {
            let size = openssl_sys::EVP_PKEY_get_size(key.public());
            *length = usize::try_from(size).unwrap_or(0);
            return c_int::from(size > 0);
        }
        let (Some(number), Some(scheme)) = (key.number, context.scheme(key)) else {
            return 0;
        };
        let message = std::slice::from_raw_parts(message, message_length);
        match super::sign(number, scheme, message) {
            Some(made) if made.len() <= room => {
                ptr::copy_nonoverlapping(made.as_ptr(), signature, made.len());
                *length = made.len();
                1
            }
            _ => 0,
        }
    }
}

impl Context {
    /// The number by which TLS calls this combination of key, padding and digest.
    fn scheme(&self, key: &Key) -> Option<u16> {
        Some(match (key.kind(), self.pss, self.digest) {
            (ED25519, _, None) => scheme::ED25519,
            (EC, _, Some(Digest::Sha1)) => scheme::ECDSA_SHA1,
            (EC, _, Some(Digest::Sha256)) => scheme::ECDSA_SHA256,
            (EC, _, Some(Digest::Sha384)) => scheme::ECDSA_SHA384,
            (EC, _, Some(Digest::Sha512)) => scheme::ECDSA_SHA512,
            (RSA, true, Some(Digest::Sha256)) => scheme::RSA_PSS_SHA256,
            (RSA, true, Some(Digest::Sha384)) => scheme::RSA_PSS_SHA384,
            (RSA, true, Some(Digest::Sha512)) => scheme::RSA_PSS_SHA512,
            (RSA, false, Some(Digest::Md5Sha1)) => scheme::RSA_MD5_SHA1,
            (RSA, false, Some(Digest::Sha1)) => scheme::RSA_PKCS1_SHA1,
            (RSA, false, Some(Digest::Sha256)) => scheme::RSA_PKCS1_SHA256,
            (RSA, false, Some(Digest::Sha384)) => scheme::RSA_PKCS1_SHA384,
            (RSA, false, Some(Digest::Sha512)) => scheme::RSA_PKCS1_SHA512,
            _ => return None,
        })
    }
}

impl Digest {
    /// OpenSSL calls its digests by several names.
    fn named(name: &CStr) -> Option<Digest> {
        match name.to_bytes() {
            b"MD5-SHA1" => Some(Digest::Md5Sha1),
            b"SHA1" | b"SHA-1" => Some(Digest::Sha1),
            b"SHA256" | b"SHA2-256" | b"SHA-256" => Some(Digest::Sha256),
            b"SHA384" | b"SHA2-384" | b"SHA-384" => Some(Digest::Sha384),
            b"SHA512" | b"SHA2-512" | b"SHA-512" => Some(Digest::Sha512),
            _ => None,
        }
    }
}
