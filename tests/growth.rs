//! Many connections leave the roles as few did: no memory, no descriptor, no process is left of them.
#![forbid(unsafe_code)]

mod common;

use common::{Server, Setup, without_root};
use std::fs;

/// Connections of every fate: served, denied, refused in the handshake.
fn connections(server: &Server, count: usize) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..count / 4 {
                    assert_eq!(server.reply(), "hi\n");
                    drop(server.dial().tcp());
                    drop(server.dial().from("127.0.0.2").tcp());
                }
            });
        }
    });
    server.wait_until_idle();
}

/// Anonymous memory in kB and the number of descriptors of each role.
fn size(server: &Server, roles: [&'static str; 3]) -> Vec<(usize, usize)> {
    let of = |name| {
        let process = server.role(name);
        let memory = process
            .status("RssAnon")
            .split(' ')
            .next()
            .and_then(|kb| kb.parse().ok());
        let descriptors = fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("as root");
        (memory.expect("kB"), descriptors.count())
    };
    roles.map(of).into()
}

#[test]
fn memory_and_descriptors_of_the_roles_do_not_grow_with_the_connections_served() {
    if without_root("memory_and_descriptors_of_the_roles_do_not_grow_with_the_connections_served") {
        return;
    }
    grow(&[], ["sslserver", "ssl-keeper", "ssl-terminator"]);
}

#[test]
fn where_sessions_share_a_process_it_does_not_grow_either() {
    if without_root("where_sessions_share_a_process_it_does_not_grow_either") {
        return;
    }
    grow(&["-j", "1"], ["sslserver", "ssl-keeper", "ssl-shared"]);
}

fn grow(options: &[&str], roles: [&'static str; 3]) {
    let server = Setup::new()
        .options(options)
        .rules("-y", "127.0.0.2:deny\n")
        .program(&["echo", "hi"])
        .start();
    connections(&server, 400);
    let before = size(&server, roles);
    connections(&server, 1600);
    let after = size(&server, roles);
    for ((role, before), after) in roles.iter().zip(before).zip(after) {
        // The last connections may be in the course of being closed.
        assert!(
            after.1 < before.1 + 100,
            "descriptors of {role}: {}, then {}",
            before.1,
            after.1
        );
        // 130 bytes lost per connection would be more than 600 kB; how many there are at a time differs.
        let spare = 256 * server.roles(role).len();
        assert!(
            after.0 <= before.0 + spare,
            "{role}: {} kB, then {} kB",
            before.0,
            after.0
        );
    }
}
