//! What an OCSP response says of which certificates: the `openssl` crate only finds what one can name already, for which
//! one would need the issuer's key.

use std::ffi::c_int;
use std::ptr;

use foreign_types_shared::ForeignTypeRef;
use openssl::asn1::{Asn1IntegerRef, Asn1ObjectRef, Asn1OctetStringRef, Asn1Time, Asn1TimeRef};
use openssl::bn::BigNum;
use openssl::nid::Nid;
use openssl::ocsp::{OcspBasicResponseRef, OcspCertStatus};
use openssl_sys::{
    ASN1_GENERALIZEDTIME, ASN1_INTEGER, ASN1_OBJECT, ASN1_OCTET_STRING, OCSP_BASICRESP, OCSP_CERTID,
};

/// OCSP_SINGLERESP
enum SingleResponse {}

unsafe extern "C" {
    fn OCSP_resp_count(response: *mut OCSP_BASICRESP) -> c_int;
    fn OCSP_resp_get0(response: *mut OCSP_BASICRESP, number: c_int) -> *mut SingleResponse;
    fn OCSP_SINGLERESP_get0_id(single: *const SingleResponse) -> *const OCSP_CERTID;
    fn OCSP_id_get0_info(
        name_hash: *mut *mut ASN1_OCTET_STRING,
        digest: *mut *mut ASN1_OBJECT,
        key_hash: *mut *mut ASN1_OCTET_STRING,
        serial: *mut *mut ASN1_INTEGER,
        id: *mut OCSP_CERTID,
    ) -> c_int;
    fn OCSP_single_get0_status(
        single: *mut SingleResponse,
        reason: *mut c_int,
        revoked: *mut *mut ASN1_GENERALIZEDTIME,
        this_update: *mut *mut ASN1_GENERALIZEDTIME,
        next_update: *mut *mut ASN1_GENERALIZEDTIME,
    ) -> c_int;
}

/// What is said of one certificate.
pub struct Single {
    /// The certificate's serial number, and a digest of its issuer's name.
    pub serial: BigNum,
    pub digest: Nid,
    pub issuer: Vec<u8>,
    pub status: OcspCertStatus,
    /// In seconds since 1970.
    pub from: i64,
    pub until: Option<i64>,
}

/// Everything that a response says.
pub fn singles(response: &OcspBasicResponseRef) -> Vec<Single> {
    let response = response.as_ptr();
    // SAFETY: the response is alive; every number below the count has an answer.
    unsafe {
        (0..OCSP_resp_count(response))
            .filter_map(|number| read(OCSP_resp_get0(response, number)))
            .collect()
    }
}

/// # Safety
/// `single` is null or part of a response that is alive.
unsafe fn read(single: *mut SingleResponse) -> Option<Single> {
    if single.is_null() {
        return None;
    }
    let (mut name_hash, mut digest, mut serial) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let (mut this_update, mut next_update) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: what OpenSSL answers belongs to the response and is copied before it can go. Places that are null are
    // not written to. A GENERALIZEDTIME is one of the two kinds of TIME.
    unsafe {
        let id = OCSP_SINGLERESP_get0_id(single).cast_mut();
        let keyless = ptr::null_mut();
        if OCSP_id_get0_info(&mut name_hash, &mut digest, keyless, &mut serial, id) != 1 {
            return None;
        }
        let status = OCSP_single_get0_status(
            single,
            ptr::null_mut(),
            ptr::null_mut(),
            &mut this_update,
            &mut next_update,
        );
        if status < 0 || this_update.is_null() {
            return None;
        }
        let until = match next_update.is_null() {
            true => None,
            false => Some(seconds(Asn1TimeRef::from_ptr(next_update.cast()))?),
        };
        Some(Single {
            serial: Asn1IntegerRef::from_ptr(serial).to_bn().ok()?,
            digest: Asn1ObjectRef::from_ptr(digest).nid(),
            issuer: Asn1OctetStringRef::from_ptr(name_hash).as_slice().to_vec(),
            status: OcspCertStatus::from_raw(status),
            from: seconds(Asn1TimeRef::from_ptr(this_update.cast()))?,
            until,
        })
    }
}

/// Since 1970.
fn seconds(time: &Asn1TimeRef) -> Option<i64> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some(i64::from(since.days) * 86_400 + i64::from(since.secs))
}
