//! What is tried from inside a role, and who may do it. Everybody else must be refused.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use super::Role::{self, *};
use super::deeds::*;
use super::{PROGRAM, Surroundings};
use crate::sys::attempts::{self as calls, Outcome};

/// Something to try.
pub struct Attempt {
    pub name: &'static str,
    pub run: fn(&Surroundings) -> Outcome,
    /// Who may.
    pub may: &'static [Role],
    /// Who could but for the kernel's Landlock.
    pub without_landlock: &'static [Role],
    /// Who may unless it has a root directory of its own.
    pub without_root: &'static [Role],
}

const fn only(
    may: &'static [Role],
    name: &'static str,
    run: fn(&Surroundings) -> Outcome,
) -> Attempt {
    Attempt {
        name,
        run,
        may,
        without_landlock: &[],
        without_root: &[],
    }
}

const fn nobody(name: &'static str, run: fn(&Surroundings) -> Outcome) -> Attempt {
    only(&[], name, run)
}

impl Attempt {
    /// Whether this role may do it, with such a kernel.
    pub fn is_for(&self, role: Role, rooted: bool, lacks_landlock: bool) -> bool {
        role == Listener
            || self.may.contains(&role)
            || lacks_landlock && self.without_landlock.contains(&role)
            || !rooted && self.without_root.contains(&role)
    }

    const fn but_for_landlock(self, without_landlock: &'static [Role]) -> Attempt {
        Attempt {
            without_landlock,
            ..self
        }
    }

    const fn without_a_root(self, without_root: &'static [Role]) -> Attempt {
        Attempt {
            without_root,
            ..self
        }
    }
}

/// In an order in which one that succeeds does not spoil the next.
pub const TABLE: &[Attempt] = &[
    only(&[Resolver], "read /etc/passwd", |_| open("/etc/passwd")).without_a_root(&[Keeper]),
    only(
        &[Resolver],
        "read /etc/passwd by a directory left open",
        |around| open_beneath(&around.outside),
    )
    .but_for_landlock(&[Keeper])
    .without_a_root(&[Keeper]),
    only(&[Keeper, Resolver], "open /", |_| open("/")),
    nobody("open /dev/null to write", |_| write("/dev/null")),
    nobody("make a file", |_| make_file()),
    nobody("make a directory", |_| make_directory()),
    nobody("remove a file", |_| remove()),
    nobody("rename a file", |_| rename()),
    nobody("change the mode of a file", |_| change_mode()),
    nobody("read the parent's memory in /proc", |_| open_memory())
        .but_for_landlock(&[Keeper, Resolver]),
    only(
        &[Lookup, Store, Worker, Resolver],
        "make an IPv4 socket",
        |_| ipv4_socket(),
    ),
    only(
        &[Lookup, Store, Worker, Resolver],
        "make an IPv6 socket",
        |_| ipv6_socket(),
    ),
    only(&[Worker, Resolver], "make a Unix socket", |_| unix_socket()),
    only(&[Resolver], "make a netlink socket", |_| netlink_socket()),
    nobody("make a raw socket", |_| raw_socket()),
    nobody("make a packet socket", |_| packet_socket()),
    only(
        &[Lookup, Store, Worker, Resolver],
        "connect to its TCP port",
        |around| connect_to(around.served),
    ),
    only(&[Resolver], "connect to another TCP port", |around| {
        connect_to(around.other)
    })
    .but_for_landlock(&[Lookup, Store, Worker]),
    nobody("connect to another TCP port by sending", |around| {
        connect_by_sending(around.other)
    }),
    only(
        &[Resolver],
        "connect to an abstract Unix socket",
        |around| connect_to_name(&around.name),
    )
    .but_for_landlock(&[Worker]),
    only(&[Lookup, Resolver], "send a UDP packet", |around| {
        send_packet(around.other)
    }),
    nobody("take a TCP port", |_| take_port()).but_for_landlock(&[Lookup, Resolver]),
    nobody("listen", |_| listen_anywhere()),
    only(&[Terminator, Safe], "make a pair of sockets", |_| pair()),
    nobody("make a pipe", |_| make_pipe()),
    only(&[Terminator, Safe], "fork", |_| calls::fork(0)),
    nobody("fork into other namespaces", |_| {
        calls::fork(libc::CLONE_NEWUSER)
    }),
    nobody("start a thread", |_| start_thread()),
    nobody("signal the parent", |_| signal(parent())),
    nobody("signal another of its role", |around| {
        signal(around.sibling)
    }),
    nobody("trace the parent", |_| calls::trace(parent())),
    nobody("trace another of its role", |around| {
        calls::trace(around.sibling)
    }),
    nobody("read the parent's memory", |_| calls::read_memory(parent())),
    nobody("read the memory of another of its role", |around| {
        calls::read_memory(around.sibling)
    }),
    nobody("take a descriptor of another of its role", |around| {
        calls::take_descriptor(around.sibling)
    }),
    nobody("reach the limits of another of its role", |around| {
        calls::limit_of(around.sibling)
    }),
    nobody("have the parent signalled by a descriptor", |_| {
        calls::own_for(parent())
    }),
    nobody("type into a terminal", |_| calls::type_letter()),
    nobody("become root", |_| become_root()),
    nobody("become a member of group 0", |_| join_group()),
    nobody("take up further groups", |_| take_up_groups()),
    nobody("regain a capability", |_| calls::regain_capability()),
    nobody("change the root directory", |_| change_root()),
    nobody("mount", |_| calls::mount()),
    nobody("raise a limit", |_| raise_limit()),
    nobody("be dumpable again", |_| calls::be_dumpable()),
    nobody("change its personality", |_| calls::personality()),
    only(&[Resolver], "map memory to execute", |_| calls::map_code()),
    only(&[Resolver], "make memory executable", |_| {
        calls::turn_into_code()
    }),
    nobody("make a file in memory", |_| calls::memory_file()),
    nobody("reach the keyring", |_| calls::keyring()),
    nobody("make a BPF map", |_| calls::bpf()),
    nobody("make an io_uring", |_| calls::io_uring()),
    nobody("make a userfaultfd", |_| calls::userfaultfd()),
    nobody("count performance events", |_| calls::perf_event()),
    nobody("make a user namespace", |_| calls::unshare()),
    nobody("execute a program", |around| {
        calls::execute(around.program.as_fd(), PROGRAM)
    }),
];
