//! Descriptors and processes run out under load and come back: clients wait meanwhile, and are served.
#![forbid(unsafe_code)]

use super::{WAYS, assert_serves};
use crate::common::{Setup, without_root};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Takes all there is with silent clients while others want to be served: those wait, and all of them are when the
/// silent ones have gone.
fn runs_out(setup: Setup, line: &str) {
    let server = setup
        .options(&["-c", "200", "-b", "500", "-T", "600"])
        .start();
    for spell in 1..=2 {
        let silent: Vec<TcpStream> = (0..100).map(|_| server.dial().tcp()).collect();
        server.log.wait_for_nth(line, spell);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..4).for_each(|_| assert_serves(&server)));
            }
            // They are in the queue now, or about to be.
            drop(silent);
        });
        server.wait_until_idle();
        server.log.wait_for_nth("sslserver: info: * again", spell);
    }
    server.stop();
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
    if without_root("processes_run_out_under_load_and_come_back") {
        return;
    }
    for way in WAYS {
        // The limit counts the processes of a user, so this one is the test's own.
        let server = Setup::new()
            .options(way)
            .options(&["-u", "61007", "-g", "61007"])
            .env("SSL_UID", "61008")
            .env("SSL_GID", "61008")
            .prefix(&["prlimit", "--nproc=40"])
            .start();
        let mut others: Vec<Child> = (0..42)
            .map(|_| {
                let mut command = Command::new("sleep");
                command.arg("600").uid(61007).gid(61007);
                command.spawn().expect("sleep")
            })
            .collect();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..4).for_each(|_| assert_serves(&server)));
            }
            let line = "sslserver: warning: unable to start more applications: *";
            server.log.wait_for(line);
            for other in &mut others {
                other.kill().expect("an own child");
                other.wait().expect("an own child");
            }
        });
        server
            .log
            .wait_for("sslserver: info: starting applications again");
        server.wait_until_idle();
        server.stop();
    }
}
