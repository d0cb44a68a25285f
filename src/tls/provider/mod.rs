//! An OpenSSL provider for keys that are elsewhere. It offers key objects that hold only the public half and pass
//! every handshake message whole to a signer, which asks the keeper. Beside `sys` the only home of `unsafe`.
//!
//! OpenSSL's provider(7), provider-keymgmt(7) and provider-signature(7) describe the interface.

mod client;
mod connection;
mod decoder;
mod dispatch;
mod ffi;
mod key;
mod ocsp;
mod sessions;
mod signature;
mod store;
mod tickets;

use std::cell::RefCell;
use std::ffi::{CStr, c_int, c_uint};
use std::ptr;
use std::sync::{Mutex, OnceLock};

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};
use openssl_sys::OSSL_PARAM;

use super::tickets::{TicketKey, TicketName};

pub use self::client::ClientContext;
pub use self::connection::{
    clear_certificates, group, hello_extension, set_session_context, settle, use_by_default,
    use_identity,
};
pub use self::decoder::KeyReader;
pub use self::ocsp::{Single as OcspSingle, singles as ocsp_singles};
#[cfg(test)]
pub use self::sessions::come_back;
pub use self::sessions::{allows_tls13, look_sessions_up};
pub use self::store::{add_revoked, system_authorities, verify_against, verify_by_default_against};
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

thread_local! {
    /// The public half of the key that is being made.
    static PUBLIC: RefCell<Option<PKey<Public>>> = const { RefCell::new(None) };
}

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

/// Keys to seal something new, from whoever has the secrets.
pub fn new_ticket() -> Option<TicketKey> {
    with_keeper(|keeper| keeper.new_ticket())
}

/// Keys to open what was sealed under that name.
pub fn open_ticket(name: TicketName) -> Option<TicketKey> {
    with_keeper(|keeper| keeper.open_ticket(name))
}

/// Says who has the secrets of this process from now on; nobody makes no handshake. A forked process must have a way
/// to the keeper of its own.
pub fn set_keeper(keeper: Option<Box<dyn Keeper>>) {
    *KEEPER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = keeper;
}

fn sign(key: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>> {
    with_keeper(|keeper| keeper.sign(key, scheme, message))
}

fn with_keeper<T>(ask: impl FnOnce(&dyn Keeper) -> Option<T>) -> Option<T> {
    let keeper = KEEPER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    ask(keeper.as_deref()?)
}

/// A key object for the key of that number and with this public half: usable wherever OpenSSL wants a private key.
pub fn private_key(number: u16, public: &PKeyRef<Public>) -> Result<PKey<Private>, ErrorStack> {
    let algorithm = match public.id() {
        Id::RSA => c"RSA",
        Id::EC => c"EC",
        _ => c"ED25519",
    };
    PUBLIC.set(Some(public.to_owned()));
    let mut value = c_uint::from(number);
    // SAFETY: the list is closed, and points to `value`, which outlives the call.
    let made = unsafe {
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
    };
    PUBLIC.take();
    made
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

/// A reference's raw pointer, for the parts of this module.
fn raw<T>(key: &openssl::pkey::PKeyRef<T>) -> *mut openssl_sys::EVP_PKEY {
    key.as_ptr()
}
