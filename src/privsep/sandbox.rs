//! The system calls that a role may make once it is set up. Everything else answers EPERM: a role that was taken over
//! opens no file, makes no socket, executes nothing and reaches no other process.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What every role needs: its channels, memory, time and its end.
const COMMON: [i64; 37] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getsockopt,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_getppid,
];

/// Older calls that newer machines do without.
#[cfg(target_arch = "x86_64")]
const OLDER: [i64; 3] = [libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: [i64; 0] = [];

/// What the terminator needs beyond that, to make sessions.
const FORKING: [i64; 9] = [
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_close_range,
    libc::SYS_gettid,
    libc::SYS_prctl,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_socketpair,
    libc::SYS_wait4,
];

/// What the keeper needs beyond that, to read files.
const READING: [i64; 6] = [
    libc::SYS_fstat,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_statx,
];

/// For the keeper: files inside its root, but no new process and no socket.
pub fn confine_keeper() -> Result<(), String> {
    install(&READING)
}

/// For the terminator, and inherited by its sessions.
pub fn confine_terminator() -> Result<(), String> {
    install(&FORKING)
}

/// Limits of one's own: of another process, the keeper's for one, they would be a weapon.
fn own_limits() -> Result<SeccompRule, seccompiler::BackendError> {
    let (first, word, is) = (0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
    SeccompRule::new(vec![SeccompCondition::new(first, word, is, 0)?])
}

/// Takes from a session what the terminator's calls leave it: making processes.
pub fn confine_session() {
    // Lowering a limit cannot fail.
    let _ = setrlimit(Resource::RLIMIT_NPROC, 0, 0);
}

fn install(more: &[i64]) -> Result<(), String> {
    let calls = COMMON.iter().chain(&OLDER).chain(more);
    let mut rules: BTreeMap<i64, Vec<_>> = calls.map(|&call| (call, Vec::new())).collect();
    let machine = std::env::consts::ARCH.try_into();
    let program: Result<BpfProgram, _> = machine.and_then(|machine| {
        rules.insert(libc::SYS_prlimit64, vec![own_limits()?]);
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        SeccompFilter::new(rules, denied, SeccompAction::Allow, machine)?.try_into()
    });
    let failed = |error: &dyn std::fmt::Display| {
        format!("fatal: (111) unable to filter system calls: {error}")
    };
    let program = program.map_err(|error| failed(&error))?;
    seccompiler::apply_filter(&program).map_err(|error| failed(&error))
}
