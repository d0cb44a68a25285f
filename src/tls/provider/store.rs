//! Whom certificates are traced back to: what the `openssl` crate cannot do with stores.

use std::ffi::{CStr, OsStr, c_int, c_long};
use std::iter;
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

/// Where this system has the authorities that it trusts, a file or folders: where SSL_CERT_FILE says, or SSL_CERT_DIR;
/// else where the library looks; else, if nothing is there, where Linux distributions have them.
pub fn system_authorities() -> (Option<PathBuf>, Vec<PathBuf>) {
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
    let named = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(file) = named(file_variable) {
        return (Some(file.into()), Vec::new());
    }
    if let Some(folders) = named(folder_variable) {
        return (None, std::env::split_paths(&folders).collect());
    }
    let (usual_file, usual_folders) = usual_places();
    let (file, folder) = (PathBuf::from(file), PathBuf::from(folder));
    if let Some(found) = [Some(&file), usual_file.as_ref()]
        .into_iter()
        .flatten()
        .find(|file| file.exists())
    {
        return (Some(found.clone()), Vec::new());
    }
    let mut folders = iter::once(folder).chain(usual_folders);
    match folders.find(|folder| folder.is_dir()) {
        Some(folder) => (None, vec![folder]),
        None => (Some(file), Vec::new()),
    }
}

/// A library that was built here looks below the prefix that it was built for, where nobody puts any.
#[cfg(feature = "vendored")]
fn usual_places() -> (Option<PathBuf>, Vec<PathBuf>) {
    let found = openssl_probe::probe();
    (found.cert_file, found.cert_dir)
}

/// The system's library knows where the system has them.
#[cfg(not(feature = "vendored"))]
fn usual_places() -> (Option<PathBuf>, Vec<PathBuf>) {
    (None, Vec::new())
}
