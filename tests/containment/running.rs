//! The same roles in servers that run: what the kernel says of them.
#![forbid(unsafe_code)]

use crate::common::process::status_field;
use crate::common::setup::{JAIL_GID, JAIL_UID};
use crate::common::{Client, Kind, Process, Server, Serving, Setup, Stud, without_root};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Of a process: the kinds of its descriptors, and how many there are.
fn descriptors(process: &Process) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    let folder = format!("/proc/{}/fd", process.pid);
    for entry in fs::read_dir(&folder).unwrap() {
        let target = fs::read_link(entry.unwrap().path()).unwrap();
        let target = target.display().to_string();
        // `socket:[123]`, `anon_inode:[eventpoll]`, or a path.
        let kind = match target.split_once(":[") {
            Some(("anon_inode", kind)) => kind.trim_end_matches(']').to_owned(),
            Some((kind, _)) => kind.to_owned(),
            None => target,
        };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

fn assert_descriptors(process: &Process, wanted: &[(&str, usize)]) {
    let wanted: BTreeMap<String, usize> = wanted
        .iter()
        .map(|&(kind, count)| (kind.to_owned(), count))
        .collect();
    assert_eq!(descriptors(process), wanted, "{process:?}");
}

/// The listener's and the terminator's ends, and the pair between its two threads.
const KEEPERS: [(&str, usize); 3] = [("/dev/null", 3), ("eventpoll", 1), ("socket", 4)];

/// A line of /proc/PID/limits: what is in force, and up to where it can be raised.
fn limit(process: &Process, name: &str) -> [String; 2] {
    let text = fs::read_to_string(format!("/proc/{}/limits", process.pid)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let words = line.expect(name).split_whitespace().map(str::to_owned);
    let words: Vec<String> = words.take(2).collect();
    words.try_into().unwrap()
}

fn assert_limit(process: &Process, name: &str, most: &str) {
    assert_eq!(limit(process, name), [most, most], "{process:?} {name}");
}

/// What is true of every role.
fn assert_confined(process: &Process, uid: u32, gid: u32) {
    let name = &process.name;
    let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
    assert_eq!(process.status("Uid"), four(uid), "{name}");
    assert_eq!(process.status("Gid"), four(gid), "{name}");
    let groups = process.status("Groups");
    assert!(groups.is_empty() || groups == gid.to_string(), "{name}");
    for thread in fs::read_dir(format!("/proc/{}/task", process.pid)).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert_eq!(status_field(&status, "NoNewPrivs"), "1", "{name}");
        assert_eq!(status_field(&status, "Seccomp"), "2", "{name}");
    }
    for field in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(process.status(field), "0000000000000000", "{name} {field}");
    }
    // Of one that leaves no core and cannot be traced everything in /proc belongs to root.
    let memory = fs::metadata(format!("/proc/{}/mem", process.pid)).unwrap();
    assert_eq!(memory.uid(), 0, "{name} can be traced by its user");
    for name in [
        "Max core file size",
        "Max file size",
        "Max locked memory",
        "Max msgqueue size",
    ] {
        assert_limit(process, name, "0");
    }
    assert_eq!(descriptors(process)["/dev/null"], 3, "{name}");
}

/// Everything separated, with names looked up, and one connection that echoes.
fn everything(setup: Setup) -> (Server, Client) {
    let server = setup
        .options(&["-u", "61003", "-g", "61004", "-h"])
        .env("DNSCACHEIP", "127.0.0.1:9")
        .start();
    let mut client = server.connect();
    client.assert_echoes();
    (server, client)
}

#[test]
fn the_roles_of_a_running_server_are_as_the_table_says() {
    if without_root("the_roles_of_a_running_server_are_as_the_table_says") {
        return;
    }
    let (server, _client) = everything(Setup::new().jailed(Kind::P256));
    let role = |name: &str| {
        let process = server.role(name);
        assert_confined(&process, JAIL_UID, JAIL_GID);
        assert_eq!(process.link("root"), server.dir.join("jail"), "{name}");
        process
    };
    let keeper = role("ssl-keeper");
    assert_limit(&keeper, "Max processes", "0");
    assert_descriptors(&keeper, &KEEPERS);
    let terminator = role("ssl-terminator");
    assert_limit(&terminator, "Max open files", "4096");
    // The listener's and the keeper's.
    assert_descriptors(&terminator, &[("/dev/null", 3), ("socket", 2)]);
    let session = role("ssl-session");
    assert_limit(&session, "Max processes", "0");
    assert_limit(&session, "Max open files", "3");
    // The listener's and the client's; the application's input and output.
    let ends = [("/dev/null", 3), ("pipe", 2), ("socket", 2)];
    assert_descriptors(&session, &ends);
    let lookup = role("ssl-lookup");
    assert_limit(&lookup, "Max processes", "0");
    let most: u64 = limit(&lookup, "Max open files")[1].parse().unwrap();
    assert!(most < 10_000, "{most}");
}

#[test]
fn processes_that_sessions_share_are_as_the_table_says() {
    if without_root("processes_that_sessions_share_are_as_the_table_says") {
        return;
    }
    let setup = Setup::new().jailed(Kind::P256).options(&["-j", "1"]);
    let server = setup.start();
    let mut client = server.connect();
    client.assert_echoes();
    let shared = server.role("ssl-shared");
    assert_confined(&shared, JAIL_UID, JAIL_GID);
    assert_eq!(shared.link("root"), server.dir.join("jail"));
    assert_limit(&shared, "Max processes", "0");
    // The listener's, the keeper's and the signer's; the client's and its application's.
    let ends = [
        ("/dev/null", 3),
        ("eventpoll", 1),
        ("pipe", 2),
        ("socket", 4),
    ];
    assert_descriptors(&shared, &ends);
}

#[test]
fn the_files_of_keys_do_not_stay_open_in_the_keeper() {
    if without_root("the_files_of_keys_do_not_stay_open_in_the_keeper") {
        return;
    }
    // The listener opens them for the keeper, whose user could not.
    let server = Setup::new().start();
    let keeper = server.role("ssl-keeper");
    assert_confined(&keeper, 65534, 65534);
    assert_descriptors(&keeper, &KEEPERS);
}

#[test]
fn without_root_the_roles_give_up_what_they_can() {
    if without_root("without_root_the_roles_give_up_what_they_can") {
        return;
    }
    let setup = Setup::new().jailed(Kind::P256);
    let (uid, gid) = (JAIL_UID.to_string(), JAIL_GID.to_string());
    let jail = setup.dir.text("jail");
    crate::common::tempdir::set_mode(setup.dir.path(), 0o755);
    let server = setup
        .without("SSL_CHROOT")
        .env("CERTFILE", &format!("{jail}/cert.pem"))
        .env("KEYFILE", &format!("{jail}/key.pem"))
        .prefix(&[
            "setpriv",
            "--reuid",
            &uid,
            "--regid",
            &gid,
            "--clear-groups",
        ])
        .start();
    let mut client = server.connect();
    client.assert_echoes();
    for name in ["ssl-keeper", "ssl-terminator", "ssl-session"] {
        assert_confined(&server.role(name), JAIL_UID, JAIL_GID);
    }
}

#[test]
fn the_roles_of_a_running_proxy_are_as_the_table_says() {
    if without_root("the_roles_of_a_running_proxy_are_as_the_table_says") {
        return;
    }
    let backend = Serving::echo();
    let stud = Stud::to(backend.address);
    let config = "user = \"daemon\"\ngroup = \"nogroup\"\nsession-cache = 100";
    let stud = stud.config(config).start();
    let mut client = stud.connect();
    client.assert_echoes();
    for name in ["ssl-keeper", "ssl-signer", "ssl-worker"] {
        assert_confined(&stud.role(name), 1, 65534);
    }
    let (keeper, signer) = (stud.role("ssl-keeper"), stud.role("ssl-signer"));
    assert_limit(&keeper, "Max open files", "32");
    assert_descriptors(&keeper, &[("/dev/null", 3), ("socket", 1)]);
    assert_limit(&signer, "Max open files", "3");
    assert_limit(&signer, "Max processes", "0");
    assert_descriptors(&signer, &[("/dev/null", 3), ("socket", 1)]);
    assert_limit(&stud.role("ssl-worker"), "Max processes", "0");
}
