//! An OpenSSL provider for keys that are elsewhere. It offers key objects that hold only the public half and pass
//! every handshake message whole to a signer, which asks the keeper. Beside `sys` the only home of `unsafe`.
//!
//! OpenSSL's provider(7), provider-keymgmt(7) and provider-signature(7) describe the interface.

mod decoder;
mod dispatch;
mod ffi;
mod key;
mod signature;
mod tickets;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_uint};
use std::ptr;
use std::sync::{Mutex, OnceLock};

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl::x509::store::X509StoreBuilderRef;
use openssl::x509::{X509, X509Crl};
use openssl_sys::OSSL_PARAM;

use super::tickets::{TicketKey, TicketName};

pub use self::decoder::KeyReader;
pub use self::tickets::use_keeper as seal_tickets;

/// Whoever has the secrets that a handshake needs.
pub trait Keeper: Send {
    /// A signature over the whole message with the key of that number, in the scheme of that number (see
    /// [`super::signing::scheme`]); `None` fails the handshake.
    fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>>;
    /// Keys to seal a new ticket; `None` fails the handshake.
    fn new_ticket(&self) -> Option<TicketKey>;
    /// Keys to open the ticket of that name; `None`: it cannot be opened.
    fn open_ticket(&self, name: TicketName) -> Option<TicketKey>;
}

static PUBLIC_KEYS: Mutex<BTreeMap<u16, PKey<Public>>> = Mutex::new(BTreeMap::new());
static LOADED: OnceLock<bool> = OnceLock::new();
static KEEPER: Mutex<Option<Box<dyn Keeper>>> = Mutex::new(None);

/// Loads the provider into this process, if it is not there yet.
pub fn install() -> Result<(), ErrorStack> {
    match LOADED.get_or_init(|| load().is_ok()) {
        true => Ok(()),
        false => Err(ErrorStack::get()),
    }
}

fn load() -> Result<(), ErrorStack> {
    openssl::init();
    let name = c"keeper".as_ptr();
    // SAFETY: the names are NUL-terminated constants, `dispatch::init` has the signature of a provider's entry.
    unsafe {
        // A provider loaded by hand switches the implicit default one off.
        if openssl_sys::OSSL_PROVIDER_load(ptr::null_mut(), c"default".as_ptr()).is_null()
            || ffi::OSSL_PROVIDER_add_builtin(ptr::null_mut(), name, dispatch::init) != 1
            || openssl_sys::OSSL_PROVIDER_load(ptr::null_mut(), name).is_null()
        {
            return Err(ErrorStack::get());
        }
    }
    Ok(())
}

/// Lays down the public half of the key of that number, before a key object is made for it.
pub fn learn(number: u16, public: PKey<Public>) {
    PUBLIC_KEYS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .insert(number, public);
}

/// Takes all certificates and keys from a connection, so that only those set afterwards are there.
pub fn clear_certificates(ssl: &mut SslRef) {
    // SAFETY: the connection is ours alone while we are called; OpenSSL keeps no pointer to what it frees.
    unsafe { ffi::SSL_certs_clear(ssl.as_ptr()) };
}

/// Says who has the secrets of this process from now on; nobody makes no handshake. A forked process must have a way
/// to the keeper of its own.
pub fn set_keeper(keeper: Option<Box<dyn Keeper>>) {
    *KEEPER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = keeper;
}

fn sign(key: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>> {
    let keeper = KEEPER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    keeper.as_ref()?.sign(key, scheme, message)
}

fn public_key(number: u16) -> Option<PKey<Public>> {
    let keys = PUBLIC_KEYS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    keys.get(&number).cloned()
}

/// A key object for the public key of that number: usable wherever OpenSSL wants a private key.
pub fn private_key(number: u16) -> Result<PKey<Private>, ErrorStack> {
    let algorithm = match public_key(number).map(|key| key.id()) {
        Some(Id::RSA) => c"RSA",
        Some(Id::EC) => c"EC",
        _ => c"ED25519",
    };
    let mut value = c_uint::from(number);
    // SAFETY: the list is closed, and points to `value`, which outlives the call.
    unsafe {
        let parameters = [
            openssl_sys::OSSL_PARAM_construct_uint(key::NUMBER.as_ptr(), &mut value),
            openssl_sys::OSSL_PARAM_construct_end(),
        ];
        from_data(
            algorithm,
            c"provider=keeper",
            ffi::KEYPAIR,
            parameters.as_ptr(),
        )
    }
}

/// Makes a key of the provider that has these properties.
///
/// # Safety
/// `parameters` is a closed list.
unsafe fn from_data<T>(
    algorithm: &CStr,
    properties: &CStr,
    selection: c_int,
    parameters: *const OSSL_PARAM,
) -> Result<PKey<T>, ErrorStack> {
    let mut made = ptr::null_mut();
    // SAFETY: the context is freed on every path; OpenSSL does not write to the parameters despite its type.
    unsafe {
        let context = openssl_sys::EVP_PKEY_CTX_new_from_name(
            ptr::null_mut(),
            algorithm.as_ptr(),
            properties.as_ptr(),
        );
        if context.is_null() {
            return Err(ErrorStack::get());
        }
        let done = openssl_sys::EVP_PKEY_fromdata_init(context) == 1
            && openssl_sys::EVP_PKEY_fromdata(context, &mut made, selection, parameters.cast_mut())
                == 1;
        openssl_sys::EVP_PKEY_CTX_free(context);
        if !done || made.is_null() {
            return Err(ErrorStack::get());
        }
        Ok(PKey::from_ptr(made))
    }
}

/// Adds an intermediate certificate to the chain of the certificate that was set last. The safe wrapper knows
/// only one chain for all certificates of a context.
pub fn add_to_chain(context: &mut SslContextBuilder, certificate: &X509) -> Result<(), ErrorStack> {
    const SSL_CTRL_CHAIN_CERT: c_int = 89;
    // SAFETY: with 1 as third argument OpenSSL takes a reference of its own to the certificate.
    let done = unsafe {
        openssl_sys::SSL_CTX_ctrl(
            context.as_ptr(),
            SSL_CTRL_CHAIN_CERT,
            1,
            certificate.as_ptr().cast(),
        )
    };
    match done {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// Adds a list of revoked certificates to those that chains are checked against.
pub fn add_revoked(store: &mut X509StoreBuilderRef, list: &X509Crl) -> Result<(), ErrorStack> {
    // SAFETY: the store takes a reference of its own to the list.
    match unsafe { ffi::X509_STORE_add_crl(store.as_ptr(), list.as_ptr()) } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// A reference's raw pointer, for the parts of this module.
fn raw<T>(key: &openssl::pkey::PKeyRef<T>) -> *mut openssl_sys::EVP_PKEY {
    key.as_ptr()
}
