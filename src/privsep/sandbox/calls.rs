//! The system calls that a role may make once it is set up. Everything else answers EPERM: a role that was taken over
//! opens no file, makes no socket, executes nothing and reaches no other process.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use libc::c_int;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// What every role needs: its channels, memory, time and its end.
const COMMON: [i64; 34] = [
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
#[cfg(target_arch = "x86_64")]
const OLDER_RESOLVING: [i64; 2] = [libc::SYS_access, libc::SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_RESOLVING: [i64; 0] = [];

/// What those need beyond that who fork, beside fork itself.
const FORKING: [i64; 4] = [
    libc::SYS_close_range,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
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

/// What the system's library needs beyond that, to find a name: the parts of it that nsswitch.conf(5) calls for, their
/// files, and their messages to services of this machine.
const RESOLVING: [i64; 20] = [
    libc::SYS_bind,
    libc::SYS_epoll_create1,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fstatfs,
    libc::SYS_geteuid,
    libc::SYS_getegid,
    libc::SYS_getgid,
    libc::SYS_getuid,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_pread64,
    libc::SYS_readlinkat,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sendmmsg,
    libc::SYS_set_robust_list,
    libc::SYS_sysinfo,
    libc::SYS_timerfd_create,
    libc::SYS_uname,
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

/// A call, and the arguments with which it is allowed.
type Ruled = (i64, Vec<Rule>);
type Rule = Result<SeccompRule, BackendError>;

/// What is allowed.
pub struct Calls {
    free: Vec<i64>,
    ruled: Vec<Ruled>,
}

/// Files to read, but no new process and no socket.
pub fn keeper() -> Calls {
    Calls::common().and(&READING).with(opening())
}

/// Forks, and makes channels for those that it forks, which inherit this. A filter of their own would cost each of them
/// more than all else that confines them, so the arguments are such that the calls are of no use to them: no thread, no
/// namespace, nothing changed about the process but its name. Forking itself is taken from them by a limit.
pub fn parent() -> Calls {
    let told_its_number = libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    let fork = masked(0, !told_its_number, libc::SIGCHLD);
    Calls::common()
        .and(&FORKING)
        .with((libc::SYS_clone, vec![fork]))
        .with((libc::SYS_prctl, vec![is(0, libc::PR_SET_NAME)]))
        .with((libc::SYS_socketpair, vec![is(0, libc::AF_UNIX)]))
}

/// Nothing but what is common: whatever a process needs that shares sessions it is handed by descriptor.
pub fn shared() -> Calls {
    Calls::common()
}

/// Sockets, but of the internet's two families alone.
pub fn lookup() -> Calls {
    Calls::common()
        .and(&ASKING)
        .and(&[libc::SYS_bind])
        .with_sockets(&[libc::AF_INET, libc::AF_INET6], is_family)
}

/// Sockets of the families that the store's server may have; none without a server.
pub fn store(families: &[c_int]) -> Calls {
    match families {
        [] => Calls::common(),
        _ => Calls::common()
            .and(&ASKING)
            .with_sockets(families, is_stream),
    }
}

/// Clients, and sockets of the families that backends have.
pub fn worker() -> Calls {
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX];
    let calls = Calls::common().and(&PROXYING);
    calls.with_sockets(&families, is_stream)
}

/// Files to read, and every kind of socket that one asks for a name. Parts of the library are loaded when they are
/// needed, so this alone may have more code.
pub fn resolver() -> Calls {
    let families = [
        libc::AF_INET,
        libc::AF_INET6,
        libc::AF_NETLINK,
        libc::AF_UNIX,
    ];
    Calls::with_code()
        .and(&READING)
        .and(&ASKING)
        .and(&RESOLVING)
        .and(&OLDER_RESOLVING)
        .with(opening())
        .with((libc::SYS_ioctl, vec![is(1, libc::FIONREAD as c_int)]))
        .with_sockets(&families, is_family)
}

/// Connections to Unix sockets, and from wherever the router listens.
pub fn router() -> Calls {
    let calls = Calls::common().and(&ROUTING);
    calls.with_sockets(&[libc::AF_UNIX], is_stream)
}

impl Calls {
    /// With memory of which nothing can be executed.
    fn common() -> Calls {
        let data = || vec![masked(2, libc::PROT_EXEC, 0)];
        Calls::with_code()
            .with((libc::SYS_mmap, data()))
            .with((libc::SYS_mprotect, data()))
    }

    fn with_code() -> Calls {
        // Limits of one's own: of another process, the keeper's for one, they would be a weapon.
        let limits = (libc::SYS_prlimit64, vec![is(0, 0)]);
        // Flags and sizes of descriptors. Who owns one is who gets its signals, so that is not for change.
        let commands = [
            libc::F_DUPFD_CLOEXEC,
            libc::F_GETFD,
            libc::F_SETFD,
            libc::F_GETFL,
            libc::F_SETFL,
            libc::F_SETPIPE_SZ,
        ];
        let commands = commands.map(|command| is(1, command));
        let calls = Calls {
            free: [&COMMON[..], &OLDER].concat(),
            ruled: Vec::new(),
        };
        calls.with(limits).with((libc::SYS_fcntl, commands.into()))
    }

    fn and(mut self, more: &[i64]) -> Calls {
        self.free.extend(more);
        self
    }

    fn with(mut self, ruled: Ruled) -> Calls {
        self.ruled.push(ruled);
        self
    }

    /// Sockets of these families, as far as the rule lets them. Sending must not be what connects them (TCP Fast Open): Landlock, which says to
    /// which ports one may connect, does not see that.
    fn with_sockets(self, families: &[c_int], rule: fn(c_int) -> Rule) -> Calls {
        let families = families.iter().map(|&family| rule(family)).collect();
        let plain = |flags| vec![masked(flags, libc::MSG_FASTOPEN, 0)];
        self.with((libc::SYS_socket, families))
            .with((libc::SYS_sendto, plain(3)))
            .with((libc::SYS_sendmsg, plain(2)))
    }

    /// For the process, which has one thread.
    pub fn apply(self) -> Result<(), String> {
        seccompiler::apply_filter(&self.program()?).map_err(failed)
    }

    /// For all threads there are. Others cannot come.
    pub fn apply_to_all_threads(self) -> Result<(), String> {
        seccompiler::apply_filter_all_threads(&self.program()?).map_err(failed)
    }

    fn program(self) -> Result<BpfProgram, String> {
        let mut rules: BTreeMap<i64, Vec<_>> =
            self.free.iter().map(|&call| (call, Vec::new())).collect();
        let machine = std::env::consts::ARCH.try_into();
        let program: Result<BpfProgram, _> = machine.and_then(|machine| {
            for (call, arguments) in self.ruled {
                rules.insert(call, arguments.into_iter().collect::<Result<_, _>>()?);
            }
            let denied = SeccompAction::Errno(libc::EPERM as u32);
            SeccompFilter::new(rules, denied, SeccompAction::Allow, machine)?.try_into()
        });
        program.map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("fatal: (111) unable to filter system calls: {error}")
}

/// Opening a file that is there, to read it.
fn opening() -> Ruled {
    let writing = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    (libc::SYS_openat, vec![masked(2, writing, libc::O_RDONLY)])
}

/// Every kind of socket of a family.
fn is_family(family: c_int) -> Rule {
    is(0, family)
}

/// Connections of a family.
fn is_stream(family: c_int) -> Rule {
    const KIND: u64 = 0xf;
    let kind = argument(1, SeccompCmpOp::MaskedEq(KIND), libc::SOCK_STREAM)?;
    SeccompRule::new(vec![argument(0, SeccompCmpOp::Eq, family)?, kind])
}

/// A call of which this argument, counted from 0, is this number.
fn is(place: u8, number: c_int) -> Rule {
    SeccompRule::new(vec![argument(place, SeccompCmpOp::Eq, number)?])
}

/// A call of which this argument, counted from 0, is this number where the mask has its bits. The kernel itself looks
/// at the lower half of all arguments that are ruled here.
fn masked(place: u8, mask: c_int, number: c_int) -> Rule {
    let mask = SeccompCmpOp::MaskedEq(u64::from(mask as u32));
    SeccompRule::new(vec![argument(place, mask, number)?])
}

fn argument(place: u8, how: SeccompCmpOp, number: c_int) -> Result<SeccompCondition, BackendError> {
    let number = u64::from(number as u32);
    SeccompCondition::new(place, SeccompCmpArgLen::Dword, how, number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io;
    use std::net::{TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    fn is_denied<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    #[test]
    fn the_store_reaches_a_server_of_the_kind_it_has_and_nobody_else() {
        let reached = |families: &'static [c_int]| {
            // The filter is in force for the thread alone that asked for it.
            let confined = std::thread::spawn(move || {
                store(families).apply()?;
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
