//! Whom certificates are traced back to: what the `openssl` crate cannot do with stores.

use std::ffi::{CStr, OsStr, c_int, c_long};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl::x509::X509Crl;
use openssl::x509::store::{X509StoreBuilderRef, X509StoreRef};

use super::ffi;

/// SSL_CTRL_SET_VERIFY_CERT_STORE, which takes a reference of its own if it is given this.
const SET_STORE: c_int = 106;
const OWN_REFERENCE: c_long = 1;

/// Adds a list of revoked certificates to those that chains are checked against.
pub fn add_revoked(store: &mut X509StoreBuilderRef, list: &X509Crl) -> Result<(), ErrorStack> {
    // SAFETY: the store takes a reference of its own to the list.
    done(unsafe { ffi::X509_STORE_add_crl(store.as_ptr(), list.as_ptr()) }.into())
}

/// Has the peer's chain on this connection checked against a store that many share.
pub fn verify_against(ssl: &mut SslRef, store: &X509StoreRef) -> Result<(), ErrorStack> {
    let store = store.as_ptr().cast();
    // SAFETY: both are alive; the connection takes a reference of its own to the store.
    done(unsafe { openssl_sys::SSL_ctrl(ssl.as_ptr(), SET_STORE, OWN_REFERENCE, store) })
}

/// The same for all connections of a context.
pub fn verify_by_default_against(
    context: &mut SslContextBuilder,
    store: &X509StoreRef,
) -> Result<(), ErrorStack> {
    let store = store.as_ptr().cast();
    // SAFETY: as above.
    done(unsafe { openssl_sys::SSL_CTX_ctrl(context.as_ptr(), SET_STORE, OWN_REFERENCE, store) })
}

fn done(answer: c_long) -> Result<(), ErrorStack> {
    match answer {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// Where this system has the authorities that it trusts: a file, and folders.
pub fn system_authorities() -> (PathBuf, Vec<PathBuf>) {
    // SAFETY: all four are constants inside the library.
    let [file_variable, file, folder_variable, folder] = unsafe {
        [
            CStr::from_ptr(openssl_sys::X509_get_default_cert_file_env()),
            CStr::from_ptr(openssl_sys::X509_get_default_cert_file()),
            CStr::from_ptr(openssl_sys::X509_get_default_cert_dir_env()),
            CStr::from_ptr(openssl_sys::X509_get_default_cert_dir()),
        ]
    }
    .map(|text| OsStr::from_bytes(text.to_bytes()));
    let file = std::env::var_os(file_variable).unwrap_or(file.to_owned());
    let folders = std::env::var_os(folder_variable).unwrap_or(folder.to_owned());
    (file.into(), std::env::split_paths(&folders).collect())
}
