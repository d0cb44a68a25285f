//! What a role can reach that was taken over: tried from inside each, and looked at in servers that run. The table that
//! this holds against is in docs/threat-model.md.
#![forbid(unsafe_code)]

mod common;
#[path = "containment/running.rs"]
mod running;
#[path = "containment/without_landlock.rs"]
mod without_landlock;

use common::setup::{JAIL_GID, JAIL_UID};
use common::{LIMIT, Outcome, TempDir, peers, say, without_root};
use std::collections::BTreeMap;
use std::process::Command;

/// What a role that may fork passes on, and the limits leave nothing of.
const LIMITED: [(&str, &str); 2] = [("fork", "EAGAIN"), ("make a pair of sockets", "EMFILE")];

/// By attempt: `done`, or why it was refused.
struct Tried {
    results: BTreeMap<String, String>,
    /// What the kernel has not got.
    lack: Option<String>,
}

fn command(words: &[&str], role: &str) -> Command {
    let all = [words, &[env!("CARGO_BIN_EXE_sslserver")]].concat();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).args(["--from-inside", role]);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// Sees to it that the program itself finds nothing possible that its own table forbids.
fn tried(outcome: &Outcome) -> Tried {
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let mut tried = Tried {
        results: BTreeMap::new(),
        lack: None,
    };
    for line in outcome.text().lines() {
        let (name, result) = line.split_once(": ").expect(line);
        match name {
            "kernel" => tried.lack = Some(result.to_owned()),
            _ => drop(tried.results.insert(name.to_owned(), result.to_owned())),
        }
    }
    tried
}

/// As root, with a root directory and a user of its own.
fn jailed(role: &str) -> Tried {
    let dir = TempDir::new();
    let jail = dir.subdirectory("jail");
    let mut command = command(&[], role);
    command
        .env("SSL_CHROOT", jail)
        .env("SSL_UID", JAIL_UID.to_string())
        .env("SSL_GID", JAIL_GID.to_string());
    tried(&peers::run(command, b"", LIMIT))
}

/// As somebody, who has no other root directory and nobody else to be.
fn unprivileged(role: &str) -> Tried {
    let (uid, gid) = (JAIL_UID.to_string(), JAIL_GID.to_string());
    let words = [
        "setpriv",
        "--reuid",
        &uid,
        "--regid",
        &gid,
        "--clear-groups",
    ];
    tried(&peers::run(command(&words, role), b"", LIMIT))
}

impl Tried {
    /// All of it is refused by the filter of system calls but what is done, and what something else refuses. Where there
    /// is no Landlock that does not stop what it would.
    fn assert(&self, role: &str, done: &[&str], otherwise: &[(&str, &str)]) {
        assert!(self.results.len() > 50, "{role}: {:?}", self.results);
        let otherwise: BTreeMap<&str, &str> = otherwise.iter().copied().collect();
        for name in done.iter().chain(otherwise.keys()) {
            assert!(self.results.contains_key(*name), "no attempt to {name}");
        }
        for (name, result) in &self.results {
            let wanted = match otherwise.get(name.as_str()) {
                _ if done.contains(&name.as_str()) => "done".to_owned(),
                Some(errno) => format!("refused ({errno})"),
                None => "refused (EPERM)".to_owned(),
            };
            let excused =
                self.lack.is_some() && *result == "done" && LANDLOCKED.contains(&name.as_str());
            assert!(*result == wanted || excused, "{role}: {name}: {result}");
        }
        if let Some(lack) = &self.lack {
            say(&format!("{role}: only in part: this kernel has {lack}"));
        }
    }
}

/// What nothing else but Landlock refuses.
const LANDLOCKED: [&str; 5] = [
    "connect to an abstract Unix socket",
    "connect to another TCP port",
    "read /etc/passwd by a directory left open",
    "read the parent's memory in /proc",
    "take a TCP port",
];

/// In both ways to run, for a role that has nothing to do with files.
fn assert_confined(test: &str, role: &str, done: &[&str], otherwise: &[(&str, &str)]) {
    if without_root(test) {
        return;
    }
    jailed(role).assert(role, done, otherwise);
    unprivileged(role).assert(role, done, otherwise);
}

#[test]
fn every_attempt_succeeds_where_nothing_was_given_up() {
    if without_root("every_attempt_succeeds_where_nothing_was_given_up") {
        return;
    }
    // What a kernel may have been built without, or an administrator may have switched off.
    let uncertain = [
        "connect to another TCP port by sending",
        "count performance events",
        "fork into other namespaces",
        "make a BPF map",
        "make a packet socket",
        "make a user namespace",
        "make a userfaultfd",
        "make an IPv6 socket",
        "make an io_uring",
        "reach the keyring",
        "trace the parent",
    ];
    for (name, result) in jailed("listener").results {
        if result != "done" && uncertain.contains(&name.as_str()) {
            say(&format!("{name}: {result}: this proves nothing here"));
            continue;
        }
        assert_eq!(result, "done", "{name}");
    }
}

#[test]
fn the_keeper_reads_beneath_its_root_and_does_nothing_else() {
    if without_root("the_keeper_reads_beneath_its_root_and_does_nothing_else") {
        return;
    }
    let nothing_there = [
        ("read /etc/passwd", "ENOENT"),
        ("read /etc/passwd by a directory left open", "EACCES"),
        ("read the parent's memory in /proc", "ENOENT"),
    ];
    jailed("keeper").assert("keeper", &["open /"], &nothing_there);
}

#[test]
fn a_keeper_without_a_root_of_its_own_reads_what_its_user_may_but_no_memory() {
    if without_root("a_keeper_without_a_root_of_its_own_reads_what_its_user_may_but_no_memory") {
        return;
    }
    let done = [
        "open /",
        "read /etc/passwd",
        "read /etc/passwd by a directory left open",
    ];
    // The parent is the same user here, and lets itself be traced.
    let refused = [("read the parent's memory in /proc", "EACCES")];
    unprivileged("keeper").assert("keeper", &done, &refused);
}

#[test]
fn the_terminator_forks_and_does_nothing_else() {
    let done = ["fork", "make a pair of sockets"];
    let test = "the_terminator_forks_and_does_nothing_else";
    assert_confined(test, "terminator", &done, &[]);
}

#[test]
fn a_session_cannot_even_fork_or_make_descriptors() {
    let test = "a_session_cannot_even_fork_or_make_descriptors";
    assert_confined(test, "session", &[], &LIMITED);
}

#[test]
fn a_process_that_sessions_share_can_do_none_of_it() {
    let test = "a_process_that_sessions_share_can_do_none_of_it";
    assert_confined(test, "shared", &[], &[]);
}

#[test]
fn the_lookup_process_asks_at_its_ports_and_does_nothing_else() {
    let done = [
        "connect to its TCP port",
        "make an IPv4 socket",
        "make an IPv6 socket",
        "send a UDP packet",
    ];
    let refused = [
        ("connect to another TCP port", "EACCES"),
        ("take a TCP port", "EACCES"),
    ];
    let test = "the_lookup_process_asks_at_its_ports_and_does_nothing_else";
    assert_confined(test, "lookup", &done, &refused);
}

#[test]
fn studs_keeper_forks_signers_and_reads_no_more() {
    let done = ["fork", "make a pair of sockets"];
    let test = "studs_keeper_forks_signers_and_reads_no_more";
    assert_confined(test, "stud-keeper", &done, &[]);
}

#[test]
fn a_signer_can_do_none_of_it() {
    assert_confined("a_signer_can_do_none_of_it", "signer", &[], &LIMITED);
}

#[test]
fn a_worker_connects_to_the_ports_of_its_backends_and_does_nothing_else() {
    let done = [
        "connect to its TCP port",
        "make a Unix socket",
        "make an IPv4 socket",
        "make an IPv6 socket",
    ];
    let refused = [("connect to another TCP port", "EACCES")];
    let test = "a_worker_connects_to_the_ports_of_its_backends_and_does_nothing_else";
    assert_confined(test, "worker", &done, &refused);
}

#[test]
fn the_store_connects_to_the_port_of_its_server_and_does_nothing_else() {
    let done = [
        "connect to its TCP port",
        "make an IPv4 socket",
        "make an IPv6 socket",
    ];
    let refused = [("connect to another TCP port", "EACCES")];
    let test = "the_store_connects_to_the_port_of_its_server_and_does_nothing_else";
    assert_confined(test, "store", &done, &refused);
}

#[test]
fn the_resolver_reads_and_asks_and_touches_nothing() {
    let done = [
        "connect to an abstract Unix socket",
        "connect to another TCP port",
        "connect to its TCP port",
        "make a Unix socket",
        "make a netlink socket",
        "make an IPv4 socket",
        "make an IPv6 socket",
        "map memory to execute",
        "make memory executable",
        "open /",
        "read /etc/passwd",
        "read /etc/passwd by a directory left open",
        "send a UDP packet",
    ];
    let refused = [
        ("read the parent's memory in /proc", "EACCES"),
        ("take a TCP port", "EACCES"),
    ];
    let test = "the_resolver_reads_and_asks_and_touches_nothing";
    assert_confined(test, "resolver", &done, &refused);
}

#[test]
fn a_role_that_there_is_not_is_named_with_those_that_there_are() {
    let outcome = peers::run(command(&[], "janitor"), b"", LIMIT);
    assert_eq!(outcome.code(), 100, "{outcome:?}");
    assert!(outcome.stderr.contains("keeper"), "{outcome:?}");
}
