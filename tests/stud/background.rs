//! `--daemon` and the pid file.
#![forbid(unsafe_code)]

use crate::common::{Dial, End, Ending, Process, Serving, Stud, eventually};
use nix::sys::signal::Signal;
use std::fs;
use std::net::SocketAddr;

/// A process that left its group, ended when the test is over.
struct Daemon(Process);

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.0.is_gone() {
            self.0.send(Signal::SIGINT);
            eventually("the daemon's end", || self.0.is_gone().then_some(()));
        }
    }
}

fn answer(address: SocketAddr) {
    let (words, end) = Dial::to(address)
        .connect()
        .exchange(b"x", Ending::CloseNotify);
    assert_eq!((words.as_slice(), end), (&b"answer"[..], End::Clean));
}

#[test]
fn the_fifth_word_of_a_daemons_starter_is_the_pid_of_one_that_serves() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address);
    let (report, pid_file) = (stud.dir.text("listening"), stud.dir.text("pid"));
    let options = [
        &format!("--dbg-listen={report}"),
        &format!("--pidfile={pid_file}"),
    ];
    let outcome = stud.run_with(&["--daemon", options[0], options[1]]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let text = outcome.text();
    let word = text.split(' ').nth(4).expect("a fifth word");
    let pid = word
        .trim_end()
        .strip_suffix('.')
        .expect("a full stop")
        .parse()
        .expect("a pid");
    let daemon = Daemon(Process::read(pid).expect("it lives"));
    assert_eq!(
        fs::read_to_string(&pid_file).expect("a pid file"),
        pid.to_string()
    );
    let address = fs::read_to_string(&report).expect("its addresses");
    let address = address.trim_end().parse().expect("an address");
    answer(address);
    assert_eq!(daemon.0.group, pid, "a session of its own");
    daemon.0.send(Signal::SIGHUP);
    answer(address);
    daemon.0.send(Signal::SIGTERM);
    eventually("the daemon's end", || daemon.0.is_gone().then_some(()));
    assert!(!fs::exists(&pid_file).expect("a folder"));
}

#[test]
fn a_daemon_that_cannot_serve_says_so_before_its_starter_ends() {
    let taken = Serving::answering(b"answer");
    let port = taken.address.port();
    let stud = Stud::to(taken.address).frontend(&format!("[127.0.0.1]:{port}"));
    let outcome = stud.run_with(&["--daemon"]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains(&taken.address.to_string()),
        "{outcome:?}"
    );
}

#[test]
fn a_daemon_reloads_files_that_were_named_from_where_it_was_started() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::without_pem(backend.address).config("pem-file = \"own.pem\"");
    stud.file(
        "own.pem",
        crate::common::keys::leaf(crate::common::Kind::P256),
    );
    let (report, log) = (stud.dir.text("listening"), stud.dir.join("log"));
    let options = [
        &format!("--dbg-listen={report}"),
        &format!("--log-filename={}", log.display()),
    ];
    let outcome = stud.run_with(&["--daemon", options[0], options[1]]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let text = outcome.text();
    let word = text
        .split(' ')
        .nth(4)
        .expect("a fifth word")
        .trim_end()
        .trim_end_matches('.');
    let daemon = Daemon(Process::read(word.parse().expect("a pid")).expect("it lives"));
    daemon.0.send(Signal::SIGHUP);
    eventually("a reload", || {
        let text = fs::read_to_string(&log).ok()?;
        text.contains("is in force").then_some(())
    });
}

#[test]
fn a_pid_file_is_the_number_alone_and_goes_with_the_program() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address);
    let path = stud.dir.join("pid");
    let stud = stud.options(&["-p", &path.display().to_string()]).start();
    let pid = stud.role("stud").pid;
    assert_eq!(
        fs::read_to_string(&path).expect("a pid file"),
        pid.to_string()
    );
    // Another one does not take it away.
    let second = Stud::to(backend.address);
    let outcome = second.run_with(&["-p", &path.display().to_string()]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains(&pid.to_string()), "{outcome:?}");
    answer(stud.address());
    stud.reload();
    assert_eq!(
        fs::read_to_string(&path).expect("a pid file"),
        pid.to_string()
    );
    let dir = path.clone();
    stud.signal(Signal::SIGTERM);
    eventually("the end of the pid file", || (!dir.exists()).then_some(()));
}
