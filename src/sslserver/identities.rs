//! Who the application and the roles that meet strangers become, by options and environment. Names are looked up here,
//! before any root changes.
#![forbid(unsafe_code)]

use std::fmt::Display;

use nix::unistd::{Gid, Group, Uid, User, geteuid};

use super::config::Variables;
use super::error::Error;
use super::options::Options;
use crate::sys::identity::Identity;

/// `-u`, `-g` and `-U`: the later of two does not matter, 0 is no change.
pub fn application_ids(
    options: &Options,
    variables: &Variables,
    notes: &mut Vec<String>,
) -> Result<(Option<Uid>, Option<Gid>), Error> {
    let (mut uid, mut gid) = (options.uid, options.gid);
    if options.ids_from_environment {
        let id = |name: &str| -> Result<u32, Error> {
            let missing = || Error::BadSetting(format!("-U wants {name} in the environment"));
            let id = variables.number(name, u64::from(u32::MAX) - 1)?;
            id.map(|id| id as u32).ok_or_else(missing)
        };
        (uid, gid) = (id("UID")?, id("GID")?);
    }
    let uid = (uid != 0).then(|| Uid::from_raw(uid));
    let gid = (gid != 0).then(|| Gid::from_raw(gid));
    if !geteuid().is_root() {
        let current = Identity::current();
        let uid = uid.filter(|&uid| uid != current.uid);
        let gid = gid.filter(|&gid| gid != current.gid);
        if let Some(uid) = uid {
            return Err(Error::fatal(format_args!(
                "unable to set uid: {uid}: only root can"
            )));
        }
        if let Some(gid) = gid {
            return Err(Error::fatal(format_args!(
                "unable to set gid: {gid}: only root can"
            )));
        }
        return Ok((None, None));
    }
    if let (Some(uid), None) = (uid, gid) {
        notes.push(format!(
            "-u {uid} without -g: applications keep the group {}",
            Gid::effective()
        ));
        return Ok((Some(uid), Some(Gid::effective())));
    }
    Ok((uid, gid))
}

/// SSL_USER or SSL_UID, and SSL_GROUP or SSL_GID. `None`: neither user is set.
pub fn keeper_identity(
    variables: &Variables,
    options: &Options,
    application_gid: Option<Gid>,
) -> Result<Option<Identity>, Error> {
    let most = u64::from(u32::MAX) - 1;
    let user = match variables.text("SSL_USER") {
        Some(name) => Some(known("user", &name, User::from_name(&name))?),
        None => None,
    };
    let group = match variables.text("SSL_GROUP") {
        Some(name) => Some(known("group", &name, Group::from_name(&name))?),
        None => None,
    };
    let uid = variables
        .number("SSL_UID", most)?
        .map(|id| Uid::from_raw(id as u32));
    let gid = variables
        .number("SSL_GID", most)?
        .map(|id| Gid::from_raw(id as u32));
    if let (Some(user), Some(uid)) = (&user, uid)
        && user.uid != uid
    {
        let (name, has) = (&user.name, user.uid);
        return Err(Error::fatal(format_args!(
            "SSL_UID is {uid}, but SSL_USER {name} has uid {has}"
        )));
    }
    if let (Some(group), Some(gid)) = (&group, gid)
        && group.gid != gid
    {
        let (name, has) = (&group.name, group.gid);
        return Err(Error::fatal(format_args!(
            "SSL_GID is {gid}, but SSL_GROUP {name} has gid {has}"
        )));
    }
    let Some(uid) = user.as_ref().map(|user| user.uid).or(uid) else {
        return Ok(None);
    };
    let own_group = || {
        let found = user.clone().or_else(|| User::from_uid(uid).ok().flatten());
        found.map(|user| user.gid)
    };
    let gid = group.map(|group| group.gid).or(gid);
    let asked = application_gid.filter(|_| user.is_none() && options.gid != 0);
    let gid = gid.or(asked).or_else(own_group);
    Ok(Some(Identity {
        uid,
        gid: gid.unwrap_or_else(|| Gid::from_raw(uid.as_raw())),
    }))
}

fn known<T, E: Display>(kind: &str, name: &str, found: Result<Option<T>, E>) -> Result<T, Error> {
    match found {
        Ok(Some(entry)) => Ok(entry),
        Ok(None) => Err(Error::fatal(format_args!("unknown {kind}: {name}"))),
        Err(error) => Err(Error::fatal(format_args!(
            "unable to look up {kind}: {name}: {error}"
        ))),
    }
}

pub fn nobody() -> Result<Identity, Error> {
    let user = known("user", "nobody", User::from_name("nobody"))?;
    Ok(Identity {
        uid: user.uid,
        gid: user.gid,
    })
}
