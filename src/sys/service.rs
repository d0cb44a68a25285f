//! Port numbers by name, as services(5) has them.

use std::ffi::CString;

/// The TCP port of a service name.
pub fn port(name: &str) -> Option<u16> {
    let name = CString::new(name).ok()?;
    // SAFETY: both arguments are NUL-terminated; the answer is static storage that is read before any other call.
    unsafe {
        let entry = libc::getservbyname(name.as_ptr(), c"tcp".as_ptr());
        let port = u16::from_be(entry.as_ref()?.s_port as u16);
        Some(port)
    }
}
