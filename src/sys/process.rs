//! Forking a role and looking after children.

use std::os::fd::OwnedFd;
use std::panic::{self, AssertUnwindSafe};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::descriptor;

/// The exit code of a process of Rust's that panicked.
const PANICKED: u8 = 101;

unsafe extern "C" {
    /// fork(2) and nothing else. What fork(3) does beside it, in memory that would have to be copied for it, is for
    /// processes with threads.
    fn _Fork() -> libc::pid_t;
}

/// Forks a child that owns only the descriptors in `keep` beside 0, 1 and 2, runs `body` there and leaves with its
/// exit code. Nothing of the parent's is dropped or flushed in the child.
///
/// The programs of this family have one thread each, so that every lock is free in the child. When no process can be
/// made the descriptors come back with the reason.
pub fn fork_role(
    keep: Vec<OwnedFd>,
    body: impl FnOnce(Vec<OwnedFd>) -> u8,
) -> Result<Pid, (Errno, Vec<OwnedFd>)> {
    // SAFETY: single-threaded, see above: the child may go on using everything it inherited.
    match unsafe { _Fork() } {
        ..0 => Err((Errno::last(), keep)),
        child @ 1.. => Ok(Pid::from_raw(child)),
        0 => {
            // SAFETY: the child runs `body` alone, which has just these descriptors, and then leaves for good.
            unsafe { descriptor::close_all_but(&keep) };
            // A panic must not unwind into what was the parent's, whose values would be dropped a second time.
            let code = panic::catch_unwind(AssertUnwindSafe(|| body(keep)));
            leave(code.unwrap_or(PANICKED))
        }
    }
}

/// Ends a forked process at once: nothing is dropped, no exit handler runs. Both belong to the parent, and what they
/// touch would be copied first.
pub fn leave(code: u8) -> ! {
    // SAFETY: the kernel closes and frees what is left.
    unsafe { libc::_exit(code.into()) }
}

/// How a child ended: the raw status of wait(2), as the log shows it, and the same in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub pid: Pid,
    pub status: i32,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if libc::WIFSIGNALED(self.status) {
            write!(f, "ended by signal {}", libc::WTERMSIG(self.status))
        } else {
            write!(f, "ended with exit code {}", libc::WEXITSTATUS(self.status))
        }
    }
}

/// The memory of a process in bytes that no file backs, as proc_pid_status(5) has it (`RssAnon`): its own, and what it
/// has inherited and nobody has written to since. `None`: there is no such process.
pub fn anonymous_memory(pid: Pid) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let size = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = size.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Takes the status of one child that has ended, if there is one.
pub fn reap() -> Option<Ended> {
    let mut status = 0;
    loop {
        // SAFETY: waitpid writes only to `status`, which lives here.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        match pid {
            0 => return None,
            pid if pid > 0 => {
                return Some(Ended {
                    pid: Pid::from_raw(pid),
                    status,
                });
            }
            _ if Errno::last() == Errno::EINTR => {}
            _ => return None,
        }
    }
}

/// Ends a child at once and waits until it has. One that was reaped already is left alone: its number may be somebody
/// else's by now.
pub fn end(pid: Pid) {
    if let Ok(WaitStatus::StillAlive) = waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        // It is there until it is waited for.
        let _ = kill(pid, Signal::SIGKILL);
        wait_for(pid);
    }
}

/// Waits until the given child has ended.
pub fn wait_for(pid: Pid) {
    while let Err(Errno::EINTR) = waitpid(pid, None) {}
}
