//! What servers and clients of UCSPI have in common: how they are called, what they say, and the environment that they
//! give to their applications.
#![forbid(unsafe_code)]

pub mod environment;
pub mod error;
pub mod identity;
pub mod log;
pub mod options;

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

use self::error::Error;
use crate::sys::descriptor;

/// Where the password of a key comes from with `-3`.
pub const PASSWORD: RawFd = 3;

/// Takes that over, before anything of ours can come to sit there.
pub fn password() -> Result<OwnedFd, Error> {
    descriptor::inherited(PASSWORD).map_err(|errno| {
        let reason = errno.desc();
        Error::Fatal(format!(
            "error: (111) unable to read password from FD3: {reason}"
        ))
    })
}

/// The name lines begin with: the last part of what we were called by.
pub fn program_name(called: Option<OsString>, otherwise: &str) -> String {
    let called = called.unwrap_or_default();
    let name = Path::new(&called).file_name();
    name.map_or(otherwise.into(), |name| name.to_string_lossy().into_owned())
}
