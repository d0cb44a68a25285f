//! A kernel that has no Landlock: everything works, and what else confines the roles does.
#![forbid(unsafe_code)]

use crate::common::{Kind, Setup, without_root};
use crate::{LIMITED, jailed};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;

/// Does something in a thread whose children find no Landlock.
fn without<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let there_is_none = SeccompAction::Errno(nix::libc::ENOSYS as u32);
    let calls = BTreeMap::from([(nix::libc::SYS_landlock_create_ruleset, Vec::new())]);
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, there_is_none, machine);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    let thread = std::thread::spawn(move || {
        seccompiler::apply_filter(&program).unwrap();
        work()
    });
    thread.join().unwrap()
}

#[test]
fn a_kernel_without_landlock_serves_all_the_same_and_it_is_said() {
    if without_root("a_kernel_without_landlock_serves_all_the_same_and_it_is_said") {
        return;
    }
    let setup = Setup::new().jailed(Kind::P256);
    let server = without(|| setup.start());
    server.connect().assert_echoes();
    server
        .log
        .wait_for("sslserver: info: this kernel has no Landlock*");
}

#[test]
fn a_kernel_with_landlock_is_not_worth_a_line() {
    if without_root("a_kernel_with_landlock_is_not_worth_a_line") {
        return;
    }
    let server = Setup::new().start();
    server.connect().assert_echoes();
    let said = server.stop().count("*Landlock*") > 0;
    assert_eq!(said, jailed("keeper").lack.is_some());
}

#[test]
fn without_landlock_the_filter_stands() {
    if without_root("without_landlock_the_filter_stands") {
        return;
    }
    without(|| {
        jailed("session").assert("session", &[], &LIMITED);
        let done = ["open /", "read /etc/passwd by a directory left open"];
        let nothing_there = [
            ("read /etc/passwd", "ENOENT"),
            ("read the parent's memory in /proc", "ENOENT"),
        ];
        jailed("keeper").assert("keeper", &done, &nothing_there);
        let done = [
            "connect to its TCP port",
            "connect to another TCP port",
            "make an IPv4 socket",
            "make an IPv6 socket",
            "send a UDP packet",
            "take a TCP port",
        ];
        jailed("lookup").assert("lookup", &done, &[]);
    });
}
