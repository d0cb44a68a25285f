//! Key objects: the public half, kept as a key of the default provider, and the number by which the keeper knows
//! the private half.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use openssl::pkey::{PKey, Public};
use openssl_sys::OSSL_PARAM;

use super::{dispatch, ffi, raw};

/// The one parameter that makes a key object: its number.
pub const NUMBER: &CStr = c"keeper-key-number";

pub const RSA: u8 = 0;
pub const EC: u8 = 1;
pub const ED25519: u8 = 2;

pub struct Key {
    kind: u8,
    /// None for a key that was only imported to be compared.
    pub number: Option<u16>,
    public: Option<PKey<Public>>,
}

impl Key {
    pub fn public(&self) -> *mut openssl_sys::EVP_PKEY {
        self.public.as_ref().map_or(ptr::null_mut(), |key| raw(key))
    }

    pub fn kind(&self) -> u8 {
        self.kind
    }
}

pub type New = unsafe extern "C" fn(*mut c_void) -> *mut Key;
pub type Free = unsafe extern "C" fn(*mut Key);
pub type GetParameters = unsafe extern "C" fn(*const Key, *mut OSSL_PARAM) -> c_int;
pub type Types = unsafe extern "C" fn(*mut c_void) -> *const OSSL_PARAM;
pub type OperationName = unsafe extern "C" fn(c_int) -> *const c_char;
pub type Has = unsafe extern "C" fn(*const Key, c_int) -> c_int;
pub type Matches = unsafe extern "C" fn(*const Key, *const Key, c_int) -> c_int;
pub type Import = unsafe extern "C" fn(*mut Key, c_int, *const OSSL_PARAM) -> c_int;
pub type ExchangeTypes = unsafe extern "C" fn(c_int) -> *const OSSL_PARAM;
pub type Export =
    unsafe extern "C" fn(*const Key, c_int, ffi::ExportCallback, *mut c_void) -> c_int;

pub unsafe extern "C" fn new<const KIND: u8>(_context: *mut c_void) -> *mut Key {
    Box::into_raw(Box::new(Key {
        kind: KIND,
        number: None,
        public: None,
    }))
}

pub unsafe extern "C" fn free(key: *mut Key) {
    if !key.is_null() {
        // SAFETY: OpenSSL gives back what `new` made, once.
        drop(unsafe { Box::from_raw(key) });
    }
}

pub unsafe extern "C" fn get_parameters(key: *const Key, parameters: *mut OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes a key of ours and a closed list of parameters.
    unsafe {
        match (*key).public() {
            public if public.is_null() => 0,
            public => openssl_sys::EVP_PKEY_get_params(public, parameters),
        }
    }
}

pub unsafe extern "C" fn gettable(_context: *mut c_void) -> *const OSSL_PARAM {
    static LIST: List<4> = List([
        parameter(c"bits", ffi::PARAM_UNSIGNED_INTEGER),
        parameter(c"security-bits", ffi::PARAM_UNSIGNED_INTEGER),
        parameter(c"max-size", ffi::PARAM_UNSIGNED_INTEGER),
        END,
    ]);
    LIST.0.as_ptr()
}

pub unsafe extern "C" fn operation_name<const KIND: u8>(operation: c_int) -> *const c_char {
    match (operation, KIND) {
        (ffi::OP_SIGNATURE, EC) => dispatch::ECDSA,
        (_, RSA) => c"RSA".as_ptr(),
        (_, EC) => c"EC".as_ptr(),
        _ => c"ED25519".as_ptr(),
    }
}

/// A key object stands for the whole key, private half included, unless it was imported.
pub unsafe extern "C" fn has(key: *const Key, selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    let key = unsafe { &*key };
    let private = selection & ffi::PRIVATE == 0 || key.number.is_some();
    c_int::from(key.public.is_some() && private)
}

pub unsafe extern "C" fn matches(one: *const Key, other: *const Key, _selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes two keys of ours.
    let (one, other) = unsafe { (&*one, &*other) };
    match (&one.public, &other.public) {
        (Some(one), Some(other)) => c_int::from(one.public_eq(other)),
        _ => 0,
    }
}

pub unsafe extern "C" fn import(
    key: *mut Key,
    _selection: c_int,
    parameters: *const OSSL_PARAM,
) -> c_int {
    // SAFETY: OpenSSL passes a key of ours, just made, and a closed list of parameters that it owns.
    unsafe {
        let number = openssl_sys::OSSL_PARAM_locate_const(parameters, NUMBER.as_ptr());
        let mut value = 0;
        if !number.is_null() && ffi::OSSL_PARAM_get_uint(number, &mut value) == 1 {
            let Ok(number) = u16::try_from(value) else {
                return 0;
            };
            (*key).number = Some(number);
            (*key).public = super::PUBLIC.with_borrow(Clone::clone);
        } else {
            let name = match (*key).kind {
                RSA => c"RSA",
                EC => c"EC",
                _ => c"ED25519",
            };
            let made = super::from_data(name, c"provider=default", ffi::PUBLIC, parameters);
            (*key).public = made.ok();
        }
        c_int::from((*key).public.is_some())
    }
}

/// Gives the public half away, and nothing when the private one is wanted: OpenSSL then keeps the operation here.
pub unsafe extern "C" fn export(
    key: *const Key,
    selection: c_int,
    callback: ffi::ExportCallback,
    argument: *mut c_void,
) -> c_int {
    if selection & ffi::PRIVATE != 0 {
        return 0;
    }
    // SAFETY: OpenSSL passes a key of ours; callback and argument are its own.
    unsafe {
        match (*key).public() {
            public if public.is_null() => 0,
            public => ffi::EVP_PKEY_export(public, selection, callback, argument),
        }
    }
}

/// What can be imported and exported: the public parts under OpenSSL's own names.
pub unsafe extern "C" fn exchange_types<const KIND: u8>(_selection: c_int) -> *const OSSL_PARAM {
    static RSA_LIST: List<3> = List([
        parameter(c"n", ffi::PARAM_UNSIGNED_INTEGER),
        parameter(c"e", ffi::PARAM_UNSIGNED_INTEGER),
        END,
    ]);
    static EC_LIST: List<3> = List([
        parameter(c"group", ffi::PARAM_UTF8_STRING),
        parameter(c"pub", ffi::PARAM_OCTET_STRING),
        END,
    ]);
    static ED25519_LIST: List<2> = List([parameter(c"pub", ffi::PARAM_OCTET_STRING), END]);
    match KIND {
        RSA => RSA_LIST.0.as_ptr(),
        EC => EC_LIST.0.as_ptr(),
        _ => ED25519_LIST.0.as_ptr(),
    }
}

/// A closed list of parameter names and types.
pub struct List<const N: usize>(pub [OSSL_PARAM; N]);

// SAFETY: the lists are constants that OpenSSL only reads.
unsafe impl<const N: usize> Sync for List<N> {}

pub const END: OSSL_PARAM = OSSL_PARAM {
    key: ptr::null(),
    data_type: 0,
    data: ptr::null_mut(),
    data_size: 0,
    return_size: 0,
};

pub const fn parameter(name: &'static CStr, data_type: std::ffi::c_uint) -> OSSL_PARAM {
    OSSL_PARAM {
        key: name.as_ptr(),
        data_type,
        data: ptr::null_mut(),
        data_size: 0,
        return_size: 0,
    }
}
