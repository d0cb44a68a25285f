//! Descriptors and processes run out under load and come back: clients wait meanwhile, and are served.
#![forbid(unsafe_code)]

use super::{WAYS, assert_serves};
use crate::common::{Client, Setup, is_root, say};

/// Takes connections until no more are served at once, gives half of them back, and sees that service returns.
fn runs_out(setup: Setup, line: &str) {
    let server = setup.start();
    let mut held: Vec<Client> = Vec::new();
    let waiting = loop {
        let early = server.dial();
        let tcp = early.tcp();
        tcp.set_read_timeout(Some(std::time::Duration::from_millis(1500)))
            .expect("set");
        // One that cannot be served yet waits in the kernel's queue.
        if server.log.count(line) > 0 || held.len() > 150 {
            break (early, tcp);
        }
        let mut client = early.over(tcp);
        client.assert_echoes();
        held.push(client);
    };
    server.log.wait_for(line);
    assert!(held.len() > 3, "{}", held.len());
    for client in &mut held {
        client.assert_echoes();
    }
    held.truncate(held.len() / 2);
    let (early, tcp) = waiting;
    tcp.set_read_timeout(Some(crate::common::LIMIT))
        .expect("set");
    let mut client = early.over(tcp);
    client.assert_echoes();
    drop(client);
    drop(held);
    for _ in 0..30 {
        assert_serves(&server);
    }
    server.wait_until_idle();
}

#[test]
fn descriptors_run_out_under_load_and_come_back() {
    for way in WAYS {
        let setup = Setup::new().options(way).options(&["-c", "500"]).prefix(&[
            "prlimit",
            "--nofile=60:60",
            "--",
        ]);
        runs_out(setup, "sslserver: warning: unable to *");
    }
}

#[test]
fn processes_run_out_under_load_and_come_back() {
    if !is_root() {
        return say("processes_run_out_under_load_and_come_back: skipped: needs root");
    }
    for way in WAYS {
        // A user that nobody else has, so that only ours count.
        let setup = Setup::new()
            .options(way)
            .options(&["-c", "500", "-u", "61007", "-g", "61007"])
            .env("SSL_UID", "61008")
            .env("SSL_GID", "61008")
            .prefix(&["prlimit", "--nproc=20:20", "--"]);
        for name in ["cert0.pem", "key0.pem"] {
            crate::common::tempdir::set_mode(&setup.dir.join(name), 0o644);
        }
        crate::common::tempdir::set_mode(setup.dir.path(), 0o755);
        runs_out(setup, "sslserver: warning: unable to *");
    }
}
