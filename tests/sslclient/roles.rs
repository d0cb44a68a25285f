//! The processes of a client: who they are, what they may, and what they know.
#![forbid(unsafe_code)]

#[path = "../roles/memory.rs"]
mod memory;

use crate::common::keys::{Kind, Pair, authority, for_names};
use crate::common::{Called, Caller, Process, Server, Setup, eventually, is_root, without_root};
use std::fs;

/// A client with a certificate whose program is in plain text still, so that all roles are there.
fn waiting(pair: &Pair) -> (Server, Called) {
    let server = Setup::new().options(&["-n"]).start();
    let caller = Caller::of(&server)
        .showing(pair)
        .options(&["-y"])
        .shell("echo ready; cat <&6")
        .start();
    caller.role("cat");
    (server, caller)
}

fn a_client(kind: Kind) -> Pair {
    for_names(kind, authority(), "a client", &["client.example"])
}

/// What its descriptors from 3 on are.
fn descriptors(process: &Process) -> Vec<String> {
    let folder = fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("its descriptors");
    let numbers = folder.map(|entry| entry.expect("an entry").file_name().into_string());
    let numbers = numbers.map(|number| number.expect("a number"));
    let beyond = numbers.filter(|number| number.parse::<u32>().is_ok_and(|number| number > 2));
    let mut kinds: Vec<String> = beyond
        .map(|number| {
            let link = process.link(&format!("fd/{number}"));
            link.display()
                .to_string()
                .split(':')
                .next()
                .expect("a kind")
                .to_owned()
        })
        .collect();
    kinds.sort();
    kinds
}

#[test]
fn who_meets_the_server_or_has_the_key_may_nothing() {
    let (_server, caller) = waiting(&a_client(Kind::P256));
    for name in ["ssl-keeper", "ssl-session"] {
        let process = caller.role(name);
        assert_eq!(process.status("NoNewPrivs"), "1", "{name}");
        // 2: a filter of system calls is in force.
        assert_eq!(process.status("Seccomp"), "2", "{name}");
        for field in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            let none = u64::from_str_radix(&process.status(field), 16);
            assert_eq!(none, Ok(0), "{name} {field}");
        }
        if is_root() {
            assert_eq!(process.status("Uid"), "65534 65534 65534 65534", "{name}");
            assert_eq!(process.status("Groups"), "65534", "{name}");
        }
    }
    // Its program is the user's own.
    let program = caller.role("cat");
    assert_eq!(
        (program.status("NoNewPrivs"), program.status("Seccomp")),
        ("0".into(), "0".into())
    );
}

#[test]
fn no_role_has_a_descriptor_that_is_not_its_own() {
    if without_root("no_role_has_a_descriptor_that_is_not_its_own") {
        return;
    }
    let (_server, caller) = waiting(&a_client(Kind::P256));
    // The channel to the session; that to the parent is closed.
    assert_eq!(descriptors(&caller.role("ssl-keeper")), ["socket"]);
    // Report, keeper, command and server; the program's input and output.
    let session = descriptors(&caller.role("ssl-session"));
    assert_eq!(
        session,
        ["pipe", "pipe", "socket", "socket", "socket", "socket"]
    );
}

#[test]
fn the_key_is_with_the_keeper_alone_and_gone_with_it_after_the_handshake() {
    if without_root("the_key_is_with_the_keeper_alone_and_gone_with_it_after_the_handshake") {
        return;
    }
    let pair = a_client(Kind::P256);
    let secrets = memory::secrets(&pair.key);
    let (_server, caller) = waiting(&pair);
    let found = memory::found(&caller.role("ssl-keeper"), &secrets);
    assert!(
        found.iter().any(|name| memory::NUMBERS.contains(name)),
        "{found:?}"
    );
    for name in ["ssl-session", "sslclient"] {
        let found = memory::found(&caller.role(name), &secrets);
        assert_eq!(found, [""; 0], "{name}");
    }
    drop(caller);

    let server = Setup::new()
        .options(&["-m"])
        .file("CAFILE", "ca.pem", &authority().certificate)
        .start();
    let caller = Caller::of(&server)
        .showing(&pair)
        .shell("echo ready; cat <&6")
        .start();
    caller.stdout.wait_for("ready");
    eventually("the end of the keeper", || {
        let mut keepers = caller.roles("ssl-keeper").into_iter();
        keepers.all(|keeper| keeper.state == 'Z').then_some(())
    });
}

#[test]
fn without_a_certificate_there_is_no_keeper() {
    let server = Setup::new().start();
    let caller = Caller::of(&server).shell("echo ready; cat <&6").start();
    caller.role("cat");
    let mut names: Vec<String> = caller.processes().into_iter().map(|one| one.name).collect();
    names.sort();
    assert_eq!(names, ["cat", "sh", "ssl-session", "sslclient"]);
}

#[test]
fn a_key_for_root_alone_is_read_by_somebody_else() {
    if without_root("a_key_for_root_alone_is_read_by_somebody_else") {
        return;
    }
    let server = Setup::new()
        .options(&["-m"])
        .file("CAFILE", "ca.pem", &authority().certificate)
        .program(&["echo", "welcome"])
        .start();
    let caller = Caller::of(&server).showing(&a_client(Kind::P256));
    for name in ["own.pem", "own.key", "trusted.pem"] {
        crate::common::tempdir::give(&caller.dir.join(name), 0);
    }
    assert_eq!(caller.run().text(), "welcome\n");
}
