//! The processes: who they are, what they may, and what they know.
#![forbid(unsafe_code)]

mod common;
#[path = "roles/memory.rs"]
mod memory;

use common::keys::leaf;
use common::setup::{JAIL_GID, JAIL_UID};
use common::{Kind, Process, Server, Setup, without_root};
use std::path::PathBuf;

fn ids(process: &Process) -> [String; 3] {
    ["Uid", "Gid", "Groups"].map(|field| process.status(field))
}

fn four(id: u32) -> String {
    [id; 4].map(|id| id.to_string()).join(" ")
}

/// Starts as root with everything separated, and holds one connection.
fn separated() -> (Server, common::Client) {
    let server = Setup::new()
        .jailed(Kind::P256)
        .options(&["-u", "61003", "-g", "61004"])
        .start();
    let mut client = server.connect();
    client.assert_echoes();
    (server, client)
}

#[test]
fn the_roles_that_meet_strangers_are_jailed_and_powerless() {
    if without_root("the_roles_that_meet_strangers_are_jailed_and_powerless") {
        return;
    }
    let (server, _client) = separated();
    for name in ["ssl-keeper", "ssl-terminator", "ssl-session"] {
        let process = server.role(name);
        assert_eq!(
            ids(&process)[..2],
            [four(JAIL_UID), four(JAIL_GID)],
            "{name}"
        );
        assert!(
            ["", &JAIL_GID.to_string()].contains(&process.status("Groups").as_str()),
            "{name}"
        );
        assert_eq!(process.link("root"), server.dir.join("jail"), "{name}");
        assert_eq!(process.link("cwd"), server.dir.join("jail"), "{name}");
        assert_eq!(process.status("NoNewPrivs"), "1", "{name}");
        // 2: a filter of system calls is in force.
        assert_eq!(process.status("Seccomp"), "2", "{name}");
        for field in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(
                u64::from_str_radix(&process.status(field), 16),
                Ok(0),
                "{name} {field}"
            );
        }
    }
}

#[test]
fn the_listener_stays_root_outside_and_the_application_has_its_own_ids() {
    if without_root("the_listener_stays_root_outside_and_the_application_has_its_own_ids") {
        return;
    }
    let (server, _client) = separated();
    let listener = server.role("sslserver");
    assert_eq!(listener.status("Uid"), four(0));
    assert_eq!(listener.link("root"), PathBuf::from("/"));
    // An application may be a program that gains privileges, such as login.
    assert_eq!(listener.status("NoNewPrivs"), "0");
    let application = server.role("cat");
    assert_eq!(
        ids(&application),
        [four(61003), four(61004), "61004".to_owned()]
    );
    assert_eq!(application.link("root"), PathBuf::from("/"));
    assert_eq!(application.status("NoNewPrivs"), "0");
    assert_eq!(application.parent, listener.pid);
}

#[test]
fn without_ssl_user_no_role_but_the_listener_is_root() {
    if without_root("without_ssl_user_no_role_but_the_listener_is_root") {
        return;
    }
    for (options, uid, gid) in [
        (&[][..], 65534, 65534),
        (&["-u", "61003", "-g", "61004"], 61003, 61004),
    ] {
        let server = Setup::new().options(options).start();
        let mut client = server.connect();
        client.assert_echoes();
        for name in ["ssl-keeper", "ssl-terminator", "ssl-session"] {
            let process = server.role(name);
            assert_eq!(
                ids(&process)[..2],
                [four(uid), four(gid)],
                "{options:?} {name}"
            );
            assert_eq!(process.status("NoNewPrivs"), "1", "{options:?} {name}");
            assert_eq!(
                process.status("CapEff"),
                "0000000000000000",
                "{options:?} {name}"
            );
        }
    }
}

#[test]
fn key_paths_may_be_written_as_seen_from_outside_the_jail() {
    if without_root("key_paths_may_be_written_as_seen_from_outside_the_jail") {
        return;
    }
    let setup = Setup::new().jailed(Kind::Rsa2048).shell("echo hi");
    let (certificate, key) = (
        setup.dir.text("jail/cert.pem"),
        setup.dir.text("jail/key.pem"),
    );
    assert_eq!(
        setup
            .env("CERTFILE", &certificate)
            .env("KEYFILE", &key)
            .start()
            .reply(),
        "hi\n"
    );
}

#[test]
fn ssl_user_and_ssl_group_are_names_looked_up_before_the_chroot() {
    if without_root("ssl_user_and_ssl_group_are_names_looked_up_before_the_chroot") {
        return;
    }
    let setup = Setup::new()
        .jailed(Kind::P256)
        .without("SSL_UID")
        .without("SSL_GID");
    common::tempdir::give(&setup.dir.join("jail/key.pem"), 65534);
    let server = setup
        .env("SSL_USER", "nobody")
        .env("SSL_GROUP", "nogroup")
        .start();
    assert_eq!(server.role("ssl-terminator").status("Uid"), four(65534));
    assert_eq!(server.role("ssl-terminator").status("Gid"), four(65534));
}

#[test]
fn no_process_but_the_keeper_has_the_private_key_in_memory() {
    if without_root("no_process_but_the_keeper_has_the_private_key_in_memory") {
        return;
    }
    for kind in [Kind::Rsa2048, Kind::P256, Kind::Ed25519] {
        for jailed in [true, false] {
            let setup = if jailed {
                Setup::new().jailed(kind)
            } else {
                Setup::new().keys(&[kind])
            };
            let server = setup.start();
            let mut client = server.connect();
            client.assert_echoes();
            let secrets = memory::secrets(&leaf(kind).key);
            let mut seen = Vec::new();
            for process in server.processes() {
                let found = memory::found(&process, &secrets);
                if process.name == "ssl-keeper" {
                    for name in memory::NUMBERS
                        .iter()
                        .filter(|name| secrets.iter().any(|secret| secret.name == **name))
                    {
                        assert!(
                            found.contains(name),
                            "{kind:?}: the keeper has no {name}: {found:?}"
                        );
                    }
                } else {
                    assert!(
                        found.is_empty(),
                        "{kind:?} jailed {jailed}: {} has {found:?}",
                        process.name
                    );
                }
                seen.push(process.name);
            }
            seen.sort_unstable();
            assert_eq!(
                seen,
                [
                    "cat",
                    "ssl-keeper",
                    "ssl-session",
                    "ssl-terminator",
                    "sslserver"
                ]
            );
        }
    }
}
