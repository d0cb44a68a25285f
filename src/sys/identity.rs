//! Dropping privileges: one function for every role, checked afterwards.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{
    Gid, Uid, chdir, chroot, getegid, geteuid, getgroups, getresgid, getresuid, setgroups,
    setresgid, setresuid, setuid,
};

/// The user and group that a process is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: Uid,
    pub gid: Gid,
}

impl Identity {
    pub fn current() -> Identity {
        Identity {
            uid: geteuid(),
            gid: getegid(),
        }
    }
}

/// A step of the drop that failed. Going on would leave privileges behind, so it is always fatal.
#[derive(Debug)]
pub struct DropFailed(pub String);

impl fmt::Display for DropFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn step(step: &'static str) -> impl Fn(Errno) -> DropFailed {
    move |reason| DropFailed(format!("unable to {step}: {}", reason.desc()))
}

/// Confines this process to `root` (if given) and becomes `identity` with no other group, for good.
/// Becoming what the process is already needs no privilege and cannot fail.
pub fn confine(root: Option<&Path>, identity: Identity) -> Result<(), DropFailed> {
    if let Some(root) = root {
        chdir(root).map_err(step("chroot"))?;
        chroot(".").map_err(step("chroot"))?;
        chdir("/").map_err(step("chroot"))?;
    }
    let Identity { uid, gid } = identity;
    let alone = getgroups().is_ok_and(|groups| groups.iter().all(|&group| group == gid));
    if geteuid().is_root() || !alone && Identity::current() != identity {
        setgroups(&[gid]).map_err(step("set groups"))?;
    }
    setresgid(gid, gid, gid).map_err(step("set gid"))?;
    setresuid(uid, uid, uid).map_err(step("set uid"))?;
    let ids = getresuid().map_err(step("set uid"))?;
    let groups = getresgid().map_err(step("set gid"))?;
    if [ids.real, ids.effective, ids.saved] != [uid; 3] {
        return Err(step("set uid")(Errno::EPERM));
    }
    if [groups.real, groups.effective, groups.saved] != [gid; 3] {
        return Err(step("set gid")(Errno::EPERM));
    }
    if !uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
        return Err(step("give up root")(Errno::EPERM));
    }
    Ok(())
}
