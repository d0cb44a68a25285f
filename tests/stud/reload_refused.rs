//! A configuration that will not do is not taken up, and the one in force stays.
#![forbid(unsafe_code)]

use crate::common::{Backend, Running, Serving, Stud, eventually};
use crate::reload::answer;
use nix::sys::signal::Signal;

#[test]
fn a_reload_that_fails_leaves_everything_as_it_was_and_says_why() {
    let backend = Serving::answering(b"answer");
    let mut stud = Stud::to(backend.address).start();
    let workers = pids(&stud);
    let pem = stud.dir.text("localhost.pem");
    for (number, (from, to, why)) in [
        ("backend =", "backwards =", "backwards"),
        (
            "backwards =",
            "ciphers = \"NONSENSE\"\nbackend =",
            "NONSENSE",
        ),
        (
            "ciphers = \"NONSENSE\"\n",
            "workers = 99999999999\n",
            "workers",
        ),
        ("workers = 99999999999\n", "", "localhost.pem"),
    ]
    .into_iter()
    .enumerate()
    {
        stud.edit(from, to);
        if why == "localhost.pem" {
            std::fs::write(&pem, "no certificate").expect("written");
        }
        stud.signal(Signal::SIGHUP);
        stud.log.wait_for(&format!("*{why}*"));
        stud.log
            .wait_for_nth("*the configuration in force stays", number + 1);
        assert_eq!(answer(&stud), "answer");
    }
    // The keeper that failed may take a moment to be gone.
    eventually("nobody else", || (pids(&stud) == workers).then_some(()));
}

fn pids(stud: &Running) -> Vec<i32> {
    let mut pids: Vec<_> = stud.processes().iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn a_frontend_that_cannot_be_had_makes_the_whole_reload_fail() {
    let backend = Serving::answering(b"answer");
    let taken = Backend::new();
    let mut stud = Stud::to(backend.address).config("# here").start();
    let port = taken.address.port();
    stud.edit(
        "# here",
        &format!("frontend = \"[127.0.0.1]:{port}\"\nworkers = 2"),
    );
    stud.signal(Signal::SIGHUP);
    stud.log.wait_for(&format!("*{}*", taken.address));
    assert_eq!(answer(&stud), "answer");
    assert_eq!(stud.roles("ssl-worker").len(), 1);
}

#[test]
fn a_reload_that_fails_is_said_at_every_level() {
    let backend = Serving::answering(b"answer");
    for lines in ["log-level = 0", "quiet = on"] {
        let mut stud = Stud::to(backend.address).config(lines).start();
        stud.edit("backend =", "backwards =");
        stud.signal(Signal::SIGHUP);
        stud.log
            .wait_for("*backwards*the configuration in force stays");
    }
}
