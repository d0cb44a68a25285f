//! Who the processes become that meet strangers or have keys.
#![forbid(unsafe_code)]

use nix::unistd::{Group, User};

use super::config::Config;
use super::failure::Failure;
use crate::privsep::role::Confinement;
use crate::sys::identity::Identity;

const NOBODY: &str = "nobody";

/// As root without a user it is `nobody`: whoever meets a stranger's byte is never root. The text says so.
pub fn confinement(config: &Config) -> Result<(Confinement, Option<String>), Failure> {
    let mut identity = Identity::current();
    let mut note = None;
    match &config.user {
        Some(name) => {
            let user = user(name)?;
            (identity.uid, identity.gid) = (user.uid, user.gid);
        }
        None if identity.uid.is_root() => {
            let user = user(NOBODY)?;
            (identity.uid, identity.gid) = (user.uid, user.gid);
            note = Some(format!(
                "no user is set: keeper and workers run as {NOBODY}"
            ));
        }
        None => {}
    }
    if let Some(name) = &config.group {
        let found = Group::from_name(name).ok().flatten();
        identity.gid = found
            .ok_or_else(|| Failure(format!("group: there is no group {name}")))?
            .gid;
    }
    let present = Identity::current();
    if !present.uid.is_root() && identity != present {
        return Err(Failure(
            "user, group: only root can become somebody else".into(),
        ));
    }
    let confinement = Confinement {
        root: config.chroot.clone(),
        identity,
    };
    Ok((confinement, note))
}

fn user(name: &str) -> Result<User, Failure> {
    let found = User::from_name(name).ok().flatten();
    found.ok_or_else(|| Failure(format!("user: there is no user {name}")))
}
