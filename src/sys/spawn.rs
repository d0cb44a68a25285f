//! Starting an application the way vfork(2) does: the parent's memory is borrowed, not copied, so that the cost
//! does not grow with the parent, and the child's last word (why exec failed) needs no pipe.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

const STACK_SIZE: usize = 64 * 1024;
/// Greater than every number that a descriptor is put at.
const FREE_NUMBER: RawFd = 16;

/// What to execute, and as whom.
pub struct Application {
    /// Paths to try in order, as execvp(3) would.
    pub candidates: Vec<CString>,
    pub arguments: Vec<CString>,
    pub gid: Option<nix::unistd::Gid>,
    pub uid: Option<nix::unistd::Uid>,
    /// The soft and hard number of open files that the application is to have.
    pub open_files: (libc::rlim_t, libc::rlim_t),
    pub signals: SigSet,
}

/// Why no application runs.
#[derive(Debug, Clone, Copy)]
pub enum SpawnError {
    /// No process could be made: another try may succeed.
    Fork(Errno),
    /// The child could not become what it should.
    Step(&'static str, Errno),
    Exec(Errno),
}

impl SpawnError {
    /// True for a lack of processes or memory that passes.
    pub fn is_shortage(&self) -> bool {
        matches!(
            self,
            SpawnError::Fork(_)
                | SpawnError::Exec(Errno::EAGAIN | Errno::ENOMEM | Errno::ENFILE)
                | SpawnError::Step(_, Errno::EAGAIN)
        )
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::Fork(reason) => write!(f, "unable to fork: {}", reason.desc()),
            SpawnError::Step(step, reason) => write!(f, "unable to {step}: {}", reason.desc()),
            SpawnError::Exec(reason) => f.write_str(reason.desc()),
        }
    }
}

/// All that the child needs, as plain pointers: it must not allocate.
struct Order {
    paths: Vec<*const libc::c_char>,
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    /// Which descriptor becomes which number.
    places: Vec<(RawFd, RawFd)>,
    gid: Option<libc::gid_t>,
    uid: Option<libc::uid_t>,
    open_files: libc::rlimit,
    signals: libc::sigset_t,
    failure: Option<SpawnError>,
}

/// A reusable stack for the child. The parent sleeps while it is in use.
pub struct Spawner {
    stack: Vec<u8>,
}

impl Default for Spawner {
    fn default() -> Self {
        Spawner {
            stack: vec![0; STACK_SIZE],
        }
    }
}

impl Spawner {
    /// Runs the application with these descriptors at these numbers, and the caller's 2.
    pub fn spawn(
        &mut self,
        application: &Application,
        environment: &[CString],
        descriptors: &[(BorrowedFd<'_>, RawFd)],
    ) -> Result<Pid, SpawnError> {
        let (soft, hard) = application.open_files;
        let mut order = Order {
            paths: pointers(&application.candidates),
            arguments: pointers(&application.arguments),
            environment: pointers(environment),
            places: descriptors
                .iter()
                .map(|(fd, place)| (fd.as_raw_fd(), *place))
                .collect(),
            gid: application.gid.map(|gid| gid.as_raw()),
            uid: application.uid.map(|uid| uid.as_raw()),
            open_files: libc::rlimit {
                rlim_cur: soft,
                rlim_max: hard,
            },
            signals: *application.signals.as_ref(),
            failure: None,
        };
        let order_pointer: *mut Order = &mut order;
        // SAFETY: the pointer stays inside the stack's allocation; rounding down keeps the ABI's alignment.
        let top = unsafe {
            let end = self.stack.as_mut_ptr().add(STACK_SIZE);
            end.sub(end as usize % 16)
        };
        // SAFETY: CLONE_VFORK suspends this (only) thread until the child has executed or left, so the borrowed
        // memory, the stack and `order` outlive their use. No signal handler exists that the child could run.
        let pid = unsafe {
            libc::clone(
                child,
                top.cast::<c_void>(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                order_pointer.cast::<c_void>(),
            )
        };
        if pid < 0 {
            return Err(SpawnError::Fork(Errno::last()));
        }
        // SAFETY: the child is past its use of `order`; the read is volatile because it wrote behind the compiler.
        match unsafe { ptr::read_volatile(&raw const (*order_pointer).failure) } {
            None => Ok(Pid::from_raw(pid)),
            Some(failure) => {
                super::process::wait_for(Pid::from_raw(pid));
                Err(failure)
            }
        }
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let end = std::iter::once(ptr::null());
    strings.iter().map(|s| s.as_ptr()).chain(end).collect()
}

extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: the parent passed its `Order` and sleeps; nobody else touches it.
    let order = unsafe { &mut *order.cast::<Order>() };
    let failure = prepare(order).err().unwrap_or_else(|| execute(order));
    order.failure = Some(failure);
    // SAFETY: leaves at once; exit handlers belong to the parent.
    unsafe { libc::_exit(111) }
}

/// Raw system calls throughout: the wrappers of the C library for setuid and its kin would look for other threads
/// in the memory that belongs to the parent.
fn prepare(order: &mut Order) -> Result<(), SpawnError> {
    let check = |step, result: i64| match result {
        -1 => Err(SpawnError::Step(step, Errno::last())),
        _ => Ok(()),
    };
    // SAFETY: every call takes integers or pointers into `order`, which the sleeping parent keeps alive.
    unsafe {
        for (fd, _) in &mut order.places {
            // Out of the way of the numbers that are about to be taken, and without close-on-exec afterwards.
            if *fd < FREE_NUMBER {
                *fd = libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, FREE_NUMBER);
            }
        }
        for &(fd, place) in &order.places {
            check("set up its descriptors", libc::dup2(fd, place).into())?;
        }
        check(
            "restore the limit of open files",
            libc::setrlimit(libc::RLIMIT_NOFILE, &order.open_files).into(),
        )?;
        if let Some(gid) = order.gid {
            check("set groups", libc::syscall(libc::SYS_setgroups, 1, &gid))?;
            check("set gid", libc::syscall(libc::SYS_setgid, gid))?;
        }
        if let Some(uid) = order.uid {
            check("set uid", libc::syscall(libc::SYS_setuid, uid))?;
        }
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        check(
            "restore signals",
            libc::sigaction(libc::SIGPIPE, &default, ptr::null_mut()).into(),
        )?;
        check(
            "restore signals",
            libc::sigprocmask(libc::SIG_SETMASK, &order.signals, ptr::null_mut()).into(),
        )
    }
}

/// Returns only when no candidate could be executed, with the most telling reason.
fn execute(order: &Order) -> SpawnError {
    let mut reason = Errno::ENOENT;
    for &path in order.paths.iter().take_while(|path| !path.is_null()) {
        // SAFETY: all three are NULL-terminated lists of NUL-terminated strings owned by the sleeping parent.
        unsafe { libc::execve(path, order.arguments.as_ptr(), order.environment.as_ptr()) };
        match Errno::last() {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => reason = Errno::EACCES,
            other => return SpawnError::Exec(other),
        }
    }
    SpawnError::Exec(reason)
}

/// The paths that execvp(3) would try for `name`; an unset PATH is `/bin:/usr/bin`.
pub fn candidates(name: &CStr, path: Option<&[u8]>) -> Vec<CString> {
    if name.to_bytes().contains(&b'/') {
        return vec![name.to_owned()];
    }
    path.unwrap_or(b"/bin:/usr/bin")
        .split(|&byte| byte == b':')
        .filter_map(|directory| {
            let mut full = directory.to_vec();
            if full.is_empty() {
                full.push(b'.');
            }
            full.push(b'/');
            full.extend_from_slice(name.to_bytes());
            CString::new(full).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slash_is_not_searched() {
        assert_eq!(candidates(c"./run", Some(b"/bin")), [c"./run".to_owned()]);
    }

    #[test]
    fn an_unset_path_means_bin_and_usr_bin() {
        let expected = [c"/bin/cat".to_owned(), c"/usr/bin/cat".to_owned()];
        assert_eq!(candidates(c"cat", None), expected);
    }

    #[test]
    fn an_empty_part_of_the_path_is_the_current_directory() {
        assert_eq!(candidates(c"cat", Some(b"")), [c"./cat".to_owned()]);
    }
}
