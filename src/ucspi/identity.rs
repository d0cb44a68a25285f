//! Users and groups by name, looked up before any root changes.
#![forbid(unsafe_code)]

use std::fmt::Display;

use nix::unistd::User;

use super::error::Error;
use crate::sys::identity::Identity;

/// What was found of a user or group of that name.
pub fn known<T, E: Display>(
    kind: &str,
    name: &str,
    found: Result<Option<T>, E>,
) -> Result<T, Error> {
    match found {
        Ok(Some(entry)) => Ok(entry),
        Ok(None) => Err(Error::fatal(format_args!("unknown {kind}: {name}"))),
        Err(error) => Err(Error::fatal(format_args!(
            "unable to look up {kind}: {name}: {error}"
        ))),
    }
}

/// Who meets strangers where nobody else is named for it.
pub fn nobody() -> Result<Identity, Error> {
    let user = known("user", "nobody", User::from_name("nobody"))?;
    Ok(Identity {
        uid: user.uid,
        gid: user.gid,
    })
}
