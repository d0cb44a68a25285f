//! How a process takes up a role: it gets a name, loses the signals of its parent, and gives up for good whatever
//! it does not need.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::path::PathBuf;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use super::sandbox;
use crate::sys::identity::{self, DropFailed, Identity};
use crate::sys::{descriptor, signal};

/// Where and as whom the roles that meet a stranger's bytes or hold a key live.
#[derive(Clone)]
pub struct Confinement {
    pub root: Option<PathBuf>,
    pub identity: Identity,
}

/// Names the process and takes it out of reach of the listener's signals: it ends when its channels do.
pub fn take_up(name: &CStr) {
    // What the supervisor gave as input and output is the listener's affair, and so is the log: a process that was
    // taken over shall not write lines of its own into it.
    let _ = descriptor::null_on(&[0, 1, 2]);
    // A name is for people who look at ps(1); nothing depends on it.
    let _ = prctl::set_name(name);
    signal::ignore(&[
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
    ]);
    signal::unblock_all();
}

/// Gives another name to a child that goes on in its parent's role.
pub fn rename(name: &CStr) {
    let _ = prctl::set_name(name);
}

/// The same for a session, which was forked by a process that had taken up its role. SIGTERM ends it, and its
/// connection with it, so that an administrator can.
pub fn take_up_session() {
    let _ = prctl::set_name(c"ssl-session");
    signal::restore(Signal::SIGTERM);
}

/// Changes root and ids, and shuts the ways back: no privileges by exec, no tracing by others of the same user, and
/// what else no role needs. What a role needs and others do not is left until [`sandbox`] takes that too.
pub fn confine(confinement: &Confinement) -> Result<(), DropFailed> {
    identity::confine(confinement.root.as_deref(), confinement.identity)?;
    // Neither can fail on a kernel that has close_range.
    let _ = prctl::set_no_new_privs();
    let _ = prctl::set_dumpable(false);
    sandbox::confine_any().map_err(DropFailed)
}

/// Has this process killed when its parent ends, for roles that have no channel to notice it by. To be called after
/// the ids have changed, which calls it off.
pub fn end_with(parent: Pid) -> Result<(), String> {
    let tied = prctl::set_pdeathsig(Signal::SIGKILL);
    tied.map_err(|errno| format!("unable to watch the parent: {}", errno.desc()))?;
    match getppid() == parent {
        true => Ok(()),
        false => Err("the parent is gone".into()),
    }
}
