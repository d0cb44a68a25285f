//! As the first process of a container: nobody else reaps, and with its end everybody's comes.
#![forbid(unsafe_code)]

use crate::common::{
    Dial, End, Ending, LIMIT, Process, Server, Setup, eventually, run, say, without_own_processes,
    without_root,
};
use nix::sys::signal::Signal;
use std::process::Command;

const CONTAINER: [&str; 3] = ["unshare", "--pid", "--fork"];

/// True, said, where no process can be the first.
fn without(test: &str) -> bool {
    if without_root(test) {
        return true;
    }
    let mut command = Command::new(CONTAINER[0]);
    command.args(&CONTAINER[1..]).arg("true");
    let made = run(command, b"", LIMIT).status.success();
    if !made {
        say(&format!("{test}: skipped: no namespace of processes"));
    }
    !made
}

fn assert_is_first(server: &Server) {
    let numbers = server.role("sslserver").status("NSpid");
    assert!(numbers.ends_with(" 1"), "{numbers}");
}

#[test]
fn orphans_of_applications_are_reaped() {
    if without("orphans_of_applications_are_reaped") {
        return;
    }
    let script = "sleep 600 </dev/null >/dev/null 2>&1 & echo started";
    let server = Setup::new().prefix(&CONTAINER).shell(script).start();
    assert_is_first(&server);
    assert_eq!(server.reply(), "started\n");
    let orphan = server.role("sleep");
    server.log.wait_for("sslserver: ended by *");
    assert_eq!(
        Process::read(orphan.pid).expect("running").parent,
        server.role("sslserver").pid
    );
    orphan.send(Signal::SIGKILL);
    eventually("the orphan's number to be free", || {
        Process::read(orphan.pid).is_none().then_some(())
    });
    // It is nobody's affair that it ended.
    assert_eq!(server.log.count("sslserver: ended by *"), 1);
    assert_eq!(server.log.count("sslserver: warning: *"), 0);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn with_drain_connections_end_by_themselves_before_the_container_does() {
    if without("with_drain_connections_end_by_themselves_before_the_container_does") {
        return;
    }
    let setup = Setup::new().prefix(&CONTAINER).env("DRAIN", "600");
    let mut server = setup.start();
    assert_is_first(&server);
    let mut client = server.connect();
    client.assert_echoes();
    server.signal(Signal::SIGTERM);
    server
        .log
        .wait_for("sslserver: info: SIGTERM: 1 connections *");
    client.assert_echoes();
    let (_, end) = client.exchange(b"", Ending::CloseNotify);
    assert_eq!(end, End::Clean);
    assert_eq!(server.wait().code(), Some(0));
    server.assert_nothing_left();
}

#[test]
fn roles_that_die_are_replaced_by_the_first_process_too() {
    let test = "roles_that_die_are_replaced_by_the_first_process_too";
    if without(test) || without_own_processes(test) {
        return;
    }
    let server = Setup::new().prefix(&CONTAINER).start();
    let mut client = server.connect();
    client.assert_echoes();
    let old = server.role("ssl-terminator");
    old.send(Signal::SIGKILL);
    server.log.wait_for("sslserver: warning: terminator *");
    // Its session has the listener for a parent now, which reaps it in the end.
    let session = server.role("ssl-session");
    client.assert_echoes();
    drop(client);
    eventually("the session's number to be free", || {
        Process::read(session.pid).is_none().then_some(())
    });
    Dial::to(server.address).connect().assert_echoes();
    server.wait_until_idle();
    server.stop();
}
