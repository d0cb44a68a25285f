//! What somebody would try who had taken a process over, as system calls. Where one gets through it does no harm: what
//! it makes is closed or ended at once, and what it changes is its own process.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_long};
use nix::errno::Errno;
use nix::unistd::Pid;

/// What the kernel said.
pub type Outcome = Result<(), Errno>;

fn said(result: c_long) -> Outcome {
    Errno::result(result).map(drop)
}

/// The same of a call that makes a descriptor, which is closed.
fn made(result: c_long) -> Outcome {
    let descriptor = Errno::result(result)?;
    // SAFETY: the kernel has just made it, for nobody else.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor as c_int) });
    Ok(())
}

/// Forks with these flags beside SIGCHLD.
pub fn fork(flags: c_int) -> Outcome {
    let nothing = 0;
    let flags = c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM the child has memory of its own; it does nothing but end.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, nothing, nothing, nothing, nothing) };
    if pid == 0 {
        super::process::leave(0);
    }
    let pid = Errno::result(pid)?;
    super::process::wait_for(Pid::from_raw(pid as libc::pid_t));
    Ok(())
}

/// Becomes the open program, or else the one at the path.
pub fn execute(program: BorrowedFd<'_>, path: &CStr) -> Outcome {
    let words = [path.as_ptr(), ptr::null()];
    let none = [ptr::null()];
    // SAFETY: lists of strings, with a null pointer at their ends. It comes back only when it failed.
    unsafe {
        let result = libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            words.as_ptr(),
            none.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        said(result)
            .or_else(|_| said(libc::execve(path.as_ptr(), words.as_ptr(), none.as_ptr()).into()))
    }
}

/// Becomes the tracer of a process, without stopping it.
pub fn trace(pid: Pid) -> Outcome {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: no memory of ours is involved.
    said(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid.as_raw(), nothing, nothing) })
}

/// Reads a byte of the memory of a process that was forked from the same program.
pub fn read_memory(pid: Pid) -> Outcome {
    static THERE: u8 = 1;
    let mut byte = 0_u8;
    let ours = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let theirs = libc::iovec {
        iov_base: (&raw const THERE).cast_mut().cast(),
        iov_len: 1,
    };
    // SAFETY: one byte is written, to `byte`; the other address is looked up in the other process.
    said(unsafe { libc::process_vm_readv(pid.as_raw(), &ours, 1, &theirs, 1, 0) } as c_long)
}

/// Copies the standard input of a process.
pub fn take_descriptor(pid: Pid) -> Outcome {
    // SAFETY: numbers alone.
    unsafe {
        let process = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0))?;
        let process = OwnedFd::from_raw_fd(process as c_int);
        made(libc::syscall(
            libc::SYS_pidfd_getfd,
            process.as_raw_fd(),
            0,
            0,
        ))
    }
}

/// Looks at a limit of another process, as who sets it has to.
pub fn limit_of(pid: Pid) -> Outcome {
    // SAFETY: neither a new limit nor a place for the old one.
    said(
        unsafe {
            let (new, old) = (ptr::null(), ptr::null_mut());
            libc::prlimit(pid.as_raw(), libc::RLIMIT_NOFILE, new, old)
        }
        .into(),
    )
}

/// Has the signals of a descriptor sent to a process.
pub fn own_for(pid: Pid) -> Outcome {
    // SAFETY: numbers alone.
    said(unsafe { libc::fcntl(0, libc::F_SETOWN, pid.as_raw()) }.into())
}

/// Types a letter into the terminal. Standard input is none.
pub fn type_letter() -> Outcome {
    let letter = b'x';
    // SAFETY: one byte is read.
    let result = unsafe { libc::ioctl(0, libc::TIOCSTI, &raw const letter) };
    unless(said(result.into()), Errno::ENOTTY)
}

/// Takes a capability back. No other privilege is lost by it.
pub fn regain_capability() -> Outcome {
    const VERSION_3: u32 = 0x2008_0522;
    const SYS_ADMIN: u32 = 1 << 21;
    let header = [VERSION_3, 0];
    // Effective, permitted and inheritable, of the lower 32 and the upper 32.
    let mut sets = [0_u32; 6];
    // SAFETY: both have the size that version 3 has.
    unsafe {
        said(libc::syscall(
            libc::SYS_capget,
            header.as_ptr(),
            sets.as_mut_ptr(),
        ))?;
        sets[0] |= SYS_ADMIN;
        sets[1] |= SYS_ADMIN;
        said(libc::syscall(
            libc::SYS_capset,
            header.as_ptr(),
            sets.as_ptr(),
        ))
    }
}

/// Mounts a file system that there is not, which only they are told who could mount one.
pub fn mount() -> Outcome {
    let (none, kind) = (c"none".as_ptr(), c"no-such-file-system".as_ptr());
    // SAFETY: strings that end.
    let result = unsafe { libc::mount(none, c"/".as_ptr(), kind, 0, ptr::null()) };
    unless(said(result.into()), Errno::ENODEV)
}

/// Leaves the users and capabilities of everybody else.
pub fn unshare() -> Outcome {
    // SAFETY: numbers alone.
    said(unsafe { libc::unshare(libc::CLONE_NEWUSER) }.into())
}

/// Asks for the keyring of the session, and makes one if there is none.
pub fn keyring() -> Outcome {
    const GET_KEYRING_ID: c_int = 0;
    const SESSION_KEYRING: c_int = -3;
    // SAFETY: numbers alone.
    said(unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION_KEYRING, 1) })
}

/// Makes a map for programs in the kernel.
pub fn bpf() -> Outcome {
    const MAP_CREATE: c_int = 0;
    const ARRAY: u32 = 2;
    // Type, size of a key, size of a value, entries; what follows is nothing.
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[ARRAY, 4, 4, 1]);
    let size = size_of_val(&attributes);
    // SAFETY: so many bytes are read.
    made(unsafe { libc::syscall(libc::SYS_bpf, MAP_CREATE, attributes.as_ptr(), size) })
}

/// Makes a ring by which system calls are made past every filter.
pub fn io_uring() -> Outcome {
    let mut parameters = [0_u8; 120];
    // SAFETY: the structure has this size.
    made(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) })
}

/// Asks to be told of page faults.
pub fn userfaultfd() -> Outcome {
    // Of its own code alone, which everybody may.
    const USER_MODE_ONLY: c_int = 1;
    // SAFETY: numbers alone.
    made(unsafe { libc::syscall(libc::SYS_userfaultfd, USER_MODE_ONLY | libc::O_CLOEXEC) })
}

/// Counts what the process does.
pub fn perf_event() -> Outcome {
    const SOFTWARE: u32 = 1;
    const EXCLUDE_KERNEL: u64 = 1 << 5;
    let mut attributes = [0_u64; 16];
    // Type and size; then what is counted (0: the processor's time) and flags.
    attributes[0] = u64::from(SOFTWARE) | (size_of_val(&attributes) as u64) << 32;
    attributes[5] = EXCLUDE_KERNEL;
    // SAFETY: so many bytes are read.
    made(unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0) })
}

/// Makes a file that has no name, in which a program could be put.
pub fn memory_file() -> Outcome {
    // SAFETY: a string that ends.
    made(unsafe { libc::memfd_create(c"attempt".as_ptr(), libc::MFD_CLOEXEC) }.into())
}

/// Lets itself be traced again.
pub fn be_dumpable() -> Outcome {
    // SAFETY: numbers alone.
    said(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }.into())
}

/// Asks what the kernel takes it for, as who changes that has to.
pub fn personality() -> Outcome {
    const ASK: libc::c_ulong = 0xffff_ffff;
    // SAFETY: numbers alone.
    said(unsafe { libc::personality(ASK) }.into())
}

/// Makes memory that can be executed.
pub fn map_code() -> Outcome {
    memory(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, None)
}

/// Makes memory that was written executable.
pub fn turn_into_code() -> Outcome {
    let data = libc::PROT_READ | libc::PROT_WRITE;
    memory(data, Some(libc::PROT_READ | libc::PROT_EXEC))
}

fn memory(first: c_int, then: Option<c_int>) -> Outcome {
    const SIZE: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping that nobody else knows and that goes at once.
    unsafe {
        let start = libc::mmap(ptr::null_mut(), SIZE, first, flags, -1, 0);
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let outcome = then.map_or(Ok(()), |then| {
            said(libc::mprotect(start, SIZE, then).into())
        });
        libc::munmap(start, SIZE);
        outcome
    }
}

/// An error that is said only to those who may.
pub fn unless(outcome: Outcome, harmless: Errno) -> Outcome {
    match outcome {
        Err(errno) if errno == harmless => Ok(()),
        other => other,
    }
}
