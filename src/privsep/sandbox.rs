//! The system calls that a role may make once it is set up. Everything else answers EPERM: a role that was taken over
//! opens no file, makes no socket, executes nothing and reaches no other process.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// What every role needs: its channels, memory, time and its end.
const COMMON: [i64; 36] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_exit,
    libc::SYS_exit_group,
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
const READING: [i64; 5] = [
    libc::SYS_fstat,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_statx,
];

/// What those need beyond that who ask servers. They cannot listen.
const ASKING: [i64; 4] = [
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_setsockopt,
];

/// What a worker needs beyond that, to take clients and to reach backends. It cannot bind and cannot listen.
const PROXYING: [i64; 5] = [
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_setsockopt,
];

/// What the router needs beyond that, to find and reach backends. It opens no file: a directory that it enters need not be
/// opened, and of the files in it only the existence counts.
const ROUTING: [i64; 9] = [
    libc::SYS_accept4,
    libc::SYS_chdir,
    libc::SYS_connect,
    libc::SYS_fchdir,
    libc::SYS_fstat,
    libc::SYS_getsockname,
    libc::SYS_newfstatat,
    libc::SYS_pipe2,
    libc::SYS_splice,
];

/// For the keeper: files inside its root to read, but no new process and no socket.
pub fn confine_keeper() -> Result<(), String> {
    let writing = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    let (flags, word) = (2, SeccompCmpArgLen::Dword);
    let none = SeccompCmpOp::MaskedEq(writing as u64);
    let condition = SeccompCondition::new(flags, word, none, libc::O_RDONLY as u64);
    let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
    let program = program(&READING, vec![(libc::SYS_openat, vec![rule])])?;
    // Its second thread is there already.
    seccompiler::apply_filter_all_threads(&program).map_err(failed)
}

/// For the terminator, and inherited by its sessions.
pub fn confine_terminator() -> Result<(), String> {
    install(&FORKING)
}

/// For the lookup process: sockets, but of the internet's two families alone.
pub fn confine_lookup() -> Result<(), String> {
    let more = [&ASKING[..], &[libc::SYS_bind]].concat();
    apply(&more, vec![sockets(&[libc::AF_INET, libc::AF_INET6])])
}

/// For the store of sessions: sockets of the families that its server may have; none without a server.
pub fn confine_store(families: &[libc::c_int]) -> Result<(), String> {
    match families {
        [] => install(&[]),
        _ => apply(&ASKING, vec![sockets(families)]),
    }
}

fn sockets(families: &[libc::c_int]) -> Ruled {
    let families = families.iter().map(|&family| is(0, family as u64));
    (libc::SYS_socket, families.collect())
}

/// For a worker: sockets of the families that backends have.
pub fn confine_worker() -> Result<(), String> {
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX];
    let families = families.map(|family| is(0, family as u64));
    apply(&PROXYING, vec![(libc::SYS_socket, families.into())])
}

/// For a process that shares sessions: whatever it needs it is handed by descriptor.
pub fn confine_shared() -> Result<(), String> {
    install(&[])
}

/// For a keeper that has read everything and forks a signer for each worker.
pub fn confine_safe() -> Result<(), String> {
    install(&FORKING)
}

/// For the router: connections to Unix sockets, and from wherever it listens.
pub fn confine_router() -> Result<(), String> {
    apply(&ROUTING, vec![sockets(&[libc::AF_UNIX])])
}

/// Takes from a session or a signer what its parent's calls leave it: making processes.
pub fn confine_child() {
    // Lowering a limit cannot fail.
    let _ = setrlimit(Resource::RLIMIT_NPROC, 0, 0);
}

/// A call of which this argument, counted from 0, is this number.
fn is(argument: u8, number: u64) -> Result<SeccompRule, BackendError> {
    let (word, equal) = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
    SeccompRule::new(vec![SeccompCondition::new(argument, word, equal, number)?])
}

fn install(more: &[i64]) -> Result<(), String> {
    apply(more, Vec::new())
}

/// A call and the arguments with which it is allowed.
type Ruled = (i64, Vec<Result<SeccompRule, BackendError>>);

/// Allows what is common, what is named, and what is named with rules for its arguments.
fn apply(more: &[i64], ruled: Vec<Ruled>) -> Result<(), String> {
    seccompiler::apply_filter(&program(more, ruled)?).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("fatal: (111) unable to filter system calls: {error}")
}

fn program(more: &[i64], mut ruled: Vec<Ruled>) -> Result<BpfProgram, String> {
    // Limits of one's own: of another process, the keeper's for one, they would be a weapon.
    ruled.push((libc::SYS_prlimit64, vec![is(0, 0)]));
    // Flags and sizes of descriptors. Who owns one is who gets its signals, so that is not for change.
    let commands = [
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_SETPIPE_SZ,
    ];
    let commands = commands.map(|command| is(1, command as u64));
    ruled.push((libc::SYS_fcntl, commands.into()));
    let calls = COMMON.iter().chain(&OLDER).chain(more);
    let mut rules: BTreeMap<i64, Vec<_>> = calls.map(|&call| (call, Vec::new())).collect();
    let machine = std::env::consts::ARCH.try_into();
    let program: Result<BpfProgram, _> = machine.and_then(|machine| {
        for (call, arguments) in ruled {
            rules.insert(call, arguments.into_iter().collect::<Result<_, _>>()?);
        }
        let denied = SeccompAction::Errno(libc::EPERM as u32);
        SeccompFilter::new(rules, denied, SeccompAction::Allow, machine)?.try_into()
    });
    program.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixStream};
    use std::process::Command;

    fn is_denied<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    #[test]
    fn the_lookup_process_asks_the_internet_and_does_nothing_else() {
        // The filter is in force for the thread alone that asked for it.
        let confined = std::thread::spawn(|| {
            confine_lookup()?;
            let asked = UdpSocket::bind("127.0.0.1:0").is_ok();
            let denied = [
                is_denied(File::open("/dev/null")),
                is_denied(File::create("/tmp/sslserver-no-such-file")),
                is_denied(Command::new("/bin/true").spawn()),
                is_denied(UnixDatagram::unbound()),
                is_denied(TcpListener::bind("127.0.0.1:0")),
                is_denied(std::fs::remove_file("/tmp/sslserver-no-such-file")),
            ];
            Ok::<_, String>((asked, denied))
        });
        assert_eq!(confined.join().unwrap(), Ok((true, [true; 6])));
    }

    #[test]
    fn the_store_reaches_a_server_of_the_kind_it_has_and_nobody_else() {
        let reached = |families: &'static [libc::c_int]| {
            let confined = std::thread::spawn(move || {
                confine_store(families)?;
                Ok::<_, String>([
                    // Nobody is there: what counts is that it may be tried.
                    is_denied(TcpStream::connect("127.0.0.1:9")),
                    is_denied(UnixStream::connect("/sslserver-no-such-file")),
                    is_denied(UdpSocket::bind("127.0.0.1:0")),
                    is_denied(File::open("/dev/null")),
                    is_denied(Command::new("/bin/true").spawn()),
                ])
            });
            confined.join().unwrap()
        };
        assert_eq!(reached(&[]), Ok([true; 5]));
        let internet = reached(&[libc::AF_INET, libc::AF_INET6]);
        assert_eq!(internet, Ok([false, true, true, true, true]));
        let unix = reached(&[libc::AF_UNIX]);
        assert_eq!(unix, Ok([true, false, true, true, true]));
    }
}
