//! Who the processes are, what they may, and what they know.
#![forbid(unsafe_code)]

use crate::common::keys::{Kind, leaf};
use crate::common::tempdir::set_mode;
use crate::common::{Process, Running, Serving, Stud, eventually, without_root};
use crate::memory;
use std::path::PathBuf;

/// The processes that meet strangers or keys.
const ROLES: [&str; 3] = ["ssl-worker", "ssl-keeper", "ssl-signer"];

fn four(id: u32) -> String {
    [id; 4].map(|id| id.to_string()).join(" ")
}

/// With two workers, in a chroot, as somebody else, with a key that only root may read.
fn separated() -> (Running, Serving) {
    let backend = Serving::echo();
    let stud = Stud::to(backend.address);
    set_mode(&stud.dir.join("localhost.pem"), 0o600);
    let jail = stud.dir.subdirectory("jail");
    let config = format!(
        "workers = 2\nchroot = \"{}\"\nuser = \"daemon\"\ngroup = \"nogroup\"",
        jail.display()
    );
    (stud.config(&config).start(), backend)
}

#[test]
fn keeper_and_workers_are_jailed_and_powerless() {
    if without_root("keeper_and_workers_are_jailed_and_powerless") {
        return;
    }
    let (stud, _backend) = separated();
    let mut client = stud.connect();
    client.assert_echoes();
    let jail = stud.dir.join("jail");
    for name in ROLES {
        let all = stud.roles(name);
        assert!(!all.is_empty(), "{name}");
        for process in all {
            assert_powerless(&process, 1, 65534);
            assert_eq!(process.link("root"), jail, "{name}");
            assert_eq!(process.link("cwd"), jail, "{name}");
        }
    }
    assert_eq!(stud.role("stud").link("root"), PathBuf::from("/"));
}

/// A reload of two workers, to the end of those before.
fn settled_reload(stud: &Running) {
    stud.reload();
    let wanted = [
        "ssl-keeper",
        "ssl-signer",
        "ssl-signer",
        "ssl-worker",
        "ssl-worker",
        "stud",
    ];
    eventually("the end of those before", || {
        let processes = stud.processes();
        let mut names: Vec<&str> = processes.iter().map(|process| &process.name[..]).collect();
        names.sort_unstable();
        (names == wanted).then_some(())
    });
}

fn assert_powerless(process: &Process, uid: u32, gid: u32) {
    let name = &process.name;
    assert_eq!(process.status("Uid"), four(uid), "{name}");
    assert_eq!(process.status("Gid"), four(gid), "{name}");
    let groups = process.status("Groups");
    assert!(
        groups.is_empty() || groups == gid.to_string(),
        "{name}: {groups}"
    );
    assert_eq!(process.status("NoNewPrivs"), "1", "{name}");
    // 2: a filter of system calls is in force.
    assert_eq!(process.status("Seccomp"), "2", "{name}");
    for field in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        let value = u64::from_str_radix(&process.status(field), 16);
        assert_eq!(value, Ok(0), "{name} {field}");
    }
}

#[test]
fn with_a_group_alone_nobody_stays_root() {
    if without_root("with_a_group_alone_nobody_stays_root") {
        return;
    }
    let backend = Serving::echo();
    for (options, gid) in [(&[][..], 65534), (&["-g", "daemon"], 1)] {
        let stud = Stud::to(backend.address).options(options).start();
        stud.connect().assert_echoes();
        for name in ROLES {
            for process in stud.roles(name) {
                assert_powerless(&process, 65534, gid);
            }
        }
    }
}

#[test]
fn a_reload_reads_keys_that_only_root_may_and_a_dead_keeper_does_too() {
    if without_root("a_reload_reads_keys_that_only_root_may_and_a_dead_keeper_does_too") {
        return;
    }
    let (stud, _backend) = separated();
    stud.reload();
    stud.connect().assert_echoes();
    stud.wait_for_roles("ssl-keeper", 1);
    let keeper = stud.role("ssl-keeper");
    keeper.send(nix::sys::signal::Signal::SIGKILL);
    eventually("another keeper", || {
        let fresh = stud.roles("ssl-keeper");
        fresh
            .iter()
            .any(|one| one.pid != keeper.pid && one.state != 'Z')
            .then_some(())
    });
    stud.connect().assert_echoes();
}

#[test]
fn nobody_but_keeper_and_signers_has_the_private_key_in_memory() {
    if without_root("nobody_but_keeper_and_signers_has_the_private_key_in_memory") {
        return;
    }
    for kind in [Kind::Rsa2048, Kind::P256, Kind::Ed25519] {
        let backend = Serving::echo();
        let stud = Stud::without_pem(backend.address)
            .pem("own.pem", leaf(kind))
            .config("workers = 2")
            .start();
        settled_reload(&stud);
        let mut clients: Vec<_> = (0..6).map(|_| stud.connect()).collect();
        clients.iter_mut().for_each(|client| client.assert_echoes());
        let secrets = memory::secrets(&leaf(kind).key);
        for process in stud.processes() {
            let found = memory::found(&process, &secrets);
            match process.name.as_str() {
                "ssl-keeper" => assert_has_all(&secrets, &found),
                "ssl-signer" => {}
                name => assert!(found.is_empty(), "{kind:?}: {name} has {found:?}"),
            }
        }
    }
}

/// Of every part of the key there is something.
fn assert_has_all(secrets: &[memory::Secret], found: &[&str]) {
    let known = memory::NUMBERS.iter();
    for part in known.filter(|part| secrets.iter().any(|secret| secret.name == **part)) {
        assert!(found.contains(part), "the keeper has no {part}: {found:?}");
    }
}

#[test]
fn a_worker_has_no_more_descriptors_than_it_needs() {
    if without_root("a_worker_has_no_more_descriptors_than_it_needs") {
        return;
    }
    let backend = Serving::echo();
    let stud = Stud::to(backend.address).config("workers = 2").start();
    settled_reload(&stud);
    for worker in stud.roles("ssl-worker") {
        let folder = format!("/proc/{}/fd", worker.pid);
        let number = std::fs::read_dir(folder).expect("its descriptors").count();
        assert!(number <= 16, "{number} descriptors");
    }
}
