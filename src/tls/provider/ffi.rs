//! Declarations from OpenSSL's core.h, core_dispatch.h and evp.h that `openssl-sys` lacks.

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};

use openssl_sys::{
    EVP_PKEY, OSSL_LIB_CTX, OSSL_PARAM, SSL, SSL_CTX, X509, X509_CRL, X509_STORE, stack_st_X509,
};

/// A function of whatever type the number beside it says.
pub type AnyFunction = unsafe extern "C" fn();

#[repr(C)]
pub struct OsslDispatch {
    pub number: c_int,
    pub function: Option<AnyFunction>,
}

#[repr(C)]
pub struct OsslAlgorithm {
    pub names: *const c_char,
    pub properties: *const c_char,
    pub implementation: *const OsslDispatch,
    pub description: *const c_char,
}

pub type ProviderInit = unsafe extern "C" fn(
    handle: *const c_void,
    core: *const OsslDispatch,
    provider: *mut *const OsslDispatch,
    context: *mut *mut c_void,
) -> c_int;

/// `OSSL_CALLBACK`: takes exported parameters.
pub type ExportCallback =
    unsafe extern "C" fn(parameters: *const OSSL_PARAM, argument: *mut c_void) -> c_int;

unsafe extern "C" {
    pub fn OSSL_PROVIDER_add_builtin(
        library: *mut OSSL_LIB_CTX,
        name: *const c_char,
        init: ProviderInit,
    ) -> c_int;
    pub fn EVP_PKEY_export(
        key: *const EVP_PKEY,
        selection: c_int,
        callback: ExportCallback,
        argument: *mut c_void,
    ) -> c_int;
    pub fn EVP_PKEY_set_type(key: *mut EVP_PKEY, kind: c_int) -> c_int;
    pub fn SSL_certs_clear(ssl: *mut SSL);
    pub fn SSL_use_cert_and_key(
        ssl: *mut SSL,
        leaf: *mut X509,
        key: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        replace: c_int,
    ) -> c_int;
    pub fn SSL_CTX_use_cert_and_key(
        context: *mut SSL_CTX,
        leaf: *mut X509,
        key: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        replace: c_int,
    ) -> c_int;
    pub fn SSL_set_session_id_context(
        ssl: *mut SSL,
        context: *const c_uchar,
        length: c_uint,
    ) -> c_int;
    pub fn SSL_group_to_name(ssl: *mut SSL, nid: c_int) -> *const c_char;
    pub fn X509_STORE_add_crl(store: *mut X509_STORE, list: *mut X509_CRL) -> c_int;
    pub fn OSSL_PARAM_get_int(parameter: *const OSSL_PARAM, value: *mut c_int) -> c_int;
    pub fn OSSL_PARAM_get_uint(parameter: *const OSSL_PARAM, value: *mut c_uint) -> c_int;
}

/// Selections: what of a key is meant.
pub const PRIVATE: c_int = 0x01;
pub const PUBLIC: c_int = 0x86;
pub const KEYPAIR: c_int = 0x87;

/// `SSL_get_negotiated_group`, which is a macro.
pub const GET_NEGOTIATED_GROUP: c_int = 134;

pub const OP_KEYMGMT: c_int = 10;
pub const OP_SIGNATURE: c_int = 12;

pub const PARAM_UNSIGNED_INTEGER: c_uint = 2;
pub const PARAM_UTF8_STRING: c_uint = 4;
pub const PARAM_OCTET_STRING: c_uint = 5;
