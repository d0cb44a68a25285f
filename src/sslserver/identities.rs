//! Who the application and the roles that meet strangers become, by options and environment. Names are looked up here,
//! before any root changes.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, geteuid};

use super::config::Variables;
use super::error::Error;
use super::options::Options;
use crate::privsep::role::Confinement;
use crate::privsep::sandbox;
use crate::sys::identity::Identity;
use crate::ucspi::identity::known;
pub use crate::ucspi::identity::nobody;

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
            let id = variables.number(name, 0, u64::from(u32::MAX) - 1)?;
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

/// Where and as whom the roles live that meet strangers or hold a key.
pub struct Roles {
    pub confinement: Confinement,
    /// Nobody else is set who could open the files of keys.
    pub opened_by_listener: bool,
}

/// SSL_CHROOT, and the user and group of the roles.
pub fn roles(
    options: &Options,
    variables: &Variables,
    (uid, gid): (Option<Uid>, Option<Gid>),
    notes: &mut Vec<String>,
) -> Result<Roles, Error> {
    let root = variables.get("SSL_CHROOT").map(|path| {
        let path = PathBuf::from(OsStr::from_bytes(path));
        // Without the slash at its end, so that it is cut off whole from a path.
        path.components().collect::<PathBuf>()
    });
    let named = keeper_identity(variables, options, gid)?;
    let am_root = geteuid().is_root();
    let identity = match named {
        Some(identity) if identity.uid.is_root() => {
            let text = "SSL_USER must not be root: it is whom strangers talk to";
            return Err(Error::fatal(text));
        }
        Some(identity) => identity,
        None if am_root => {
            let identity = match uid {
                Some(uid) => Identity {
                    uid,
                    gid: match gid {
                        Some(gid) if gid.as_raw() != 0 => gid,
                        _ => nobody()?.gid,
                    },
                },
                None => nobody()?,
            };
            notes.push(format!(
                "no SSL_USER: keys are opened as root, TLS runs with uid {} and gid {}",
                identity.uid, identity.gid
            ));
            identity
        }
        None => Identity::current(),
    };
    match (&root, named) {
        (None, Some(_)) => notes.push("no SSL_CHROOT: TLS runs without a root of its own".into()),
        (Some(root), None) => notes.push(format!(
            "SSL_CHROOT without SSL_USER: {} is used all the same",
            root.display()
        )),
        _ => {}
    }
    if let Some(lack) = sandbox::lack() {
        notes.push(format!(
            "this kernel has {lack}: the roles are confined without"
        ));
    }
    Ok(Roles {
        confinement: Confinement { root, identity },
        opened_by_listener: named.is_none() && am_root,
    })
}

/// SSL_USER or SSL_UID, and SSL_GROUP or SSL_GID. `None`: neither user is set.
fn keeper_identity(
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
        .number("SSL_UID", 0, most)?
        .map(|id| Uid::from_raw(id as u32));
    let gid = variables
        .number("SSL_GID", 0, most)?
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
