//! The tables by which OpenSSL finds the functions of this provider.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::ffi::{AnyFunction, OP_KEYMGMT, OP_SIGNATURE, OsslAlgorithm, OsslDispatch};
use super::key::{self, EC, ED25519, RSA};
use super::signature;

/// A constant table; OpenSSL only reads it.
struct Table<T, const N: usize>([T; N]);

// SAFETY: the tables hold pointers to constants and functions and are never written.
unsafe impl<T, const N: usize> Sync for Table<T, N> {}

const END: OsslDispatch = OsslDispatch {
    number: 0,
    function: None,
};

/// An entry of a dispatch table. OpenSSL casts the function back to the type that goes with the number.
macro_rules! entry {
    ($number:literal, $function:expr, $type:ty) => {
        OsslDispatch {
            number: $number,
            // SAFETY: all function pointers are alike in size, and this one is called only as $type.
            function: Some(unsafe { std::mem::transmute::<$type, AnyFunction>($function) }),
        }
    };
}

const fn key_management<const KIND: u8>() -> Table<OsslDispatch, 12> {
    Table([
        entry!(1, key::new::<KIND>, key::New),
        entry!(10, key::free, key::Free),
        entry!(11, key::get_parameters, key::GetParameters),
        entry!(12, key::gettable, key::Types),
        entry!(20, key::operation_name::<KIND>, key::OperationName),
        entry!(21, key::has, key::Has),
        entry!(23, key::matches, key::Matches),
        entry!(40, key::import, key::Import),
        entry!(41, key::exchange_types::<KIND>, key::ExchangeTypes),
        entry!(42, key::export, key::Export),
        entry!(43, key::exchange_types::<KIND>, key::ExchangeTypes),
        END,
    ])
}

static RSA_KEYS: Table<OsslDispatch, 12> = key_management::<RSA>();
static EC_KEYS: Table<OsslDispatch, 12> = key_management::<EC>();
static ED25519_KEYS: Table<OsslDispatch, 12> = key_management::<ED25519>();

static SIGNATURES: Table<OsslDispatch, 7> = Table([
    entry!(1, signature::new_context, signature::NewContext),
    entry!(16, signature::free_context, signature::FreeContext),
    entry!(8, signature::digest_sign_init, signature::DigestSignInit),
    entry!(11, signature::digest_sign, signature::DigestSign),
    entry!(20, signature::set_parameters, signature::SetParameters),
    entry!(21, signature::settable, signature::Settable),
    END,
]);

const fn algorithm<const N: usize>(
    names: &'static std::ffi::CStr,
    table: &'static Table<OsslDispatch, N>,
) -> OsslAlgorithm {
    OsslAlgorithm {
        names: names.as_ptr(),
        properties: c"provider=keeper".as_ptr(),
        implementation: table.0.as_ptr(),
        description: ptr::null(),
    }
}

const NO_ALGORITHM: OsslAlgorithm = OsslAlgorithm {
    names: ptr::null(),
    properties: ptr::null(),
    implementation: ptr::null(),
    description: ptr::null(),
};

static KEY_ALGORITHMS: Table<OsslAlgorithm, 4> = Table([
    algorithm(c"RSA:rsaEncryption", &RSA_KEYS),
    algorithm(c"EC:id-ecPublicKey", &EC_KEYS),
    algorithm(c"ED25519:1.3.101.112", &ED25519_KEYS),
    NO_ALGORITHM,
]);

static SIGNATURE_ALGORITHMS: Table<OsslAlgorithm, 4> = Table([
    algorithm(c"RSA:rsaEncryption", &SIGNATURES),
    algorithm(c"ECDSA", &SIGNATURES),
    algorithm(c"ED25519:1.3.101.112", &SIGNATURES),
    NO_ALGORITHM,
]);

type QueryOperation = unsafe extern "C" fn(*mut c_void, c_int, *mut c_int) -> *const OsslAlgorithm;

static PROVIDER: Table<OsslDispatch, 2> =
    Table([entry!(1027, query_operation, QueryOperation), END]);

unsafe extern "C" fn query_operation(
    _context: *mut c_void,
    operation: c_int,
    no_cache: *mut c_int,
) -> *const OsslAlgorithm {
    // SAFETY: OpenSSL passes a place for the answer.
    unsafe { *no_cache = 0 };
    match operation {
        OP_KEYMGMT => KEY_ALGORITHMS.0.as_ptr(),
        OP_SIGNATURE => SIGNATURE_ALGORITHMS.0.as_ptr(),
        _ => ptr::null(),
    }
}

/// The provider's entry: OpenSSL calls it once, when the provider is loaded.
pub unsafe extern "C" fn init(
    handle: *const c_void,
    _core: *const OsslDispatch,
    provider: *mut *const OsslDispatch,
    context: *mut *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL passes places for both answers. The context only must not be null; the provider has no state.
    unsafe {
        *provider = PROVIDER.0.as_ptr();
        *context = handle.cast_mut();
    }
    1
}

/// Names of algorithms as constants for the operation query.
pub const ECDSA: *const c_char = c"ECDSA".as_ptr();
