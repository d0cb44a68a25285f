//! Going to the background, in copies of this program.

use std::fs;
use std::process::{Command, ExitCode, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use sslserver::sys::{daemon, descriptor};

crate::tests! {
    a_starter_leaves_with_the_number_of_a_daemon_that_lets_go_of_everything
    a_daemon_that_fails_is_heard_and_told_by_the_exit_code
    a_daemon_that_is_never_ready_is_ended
}

/// With this word and a mode this program goes to the background.
pub const ARGUMENT: &str = "go-to-the-background";
const LIMIT: Duration = Duration::from_secs(20);
/// Long enough for a copy to say its number on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

pub fn go(mode: &str) -> ExitCode {
    let patience = if mode == "stuck" { SHORT } else { LIMIT };
    let starter = daemon::detach("proxy", patience).unwrap();
    eprintln!("{}", getpid());
    match mode {
        "fail" => return ExitCode::from(3),
        "serve" => starter.release().unwrap(),
        _ => {}
    }
    // Until it is ended.
    descriptor::wait([], LIMIT).unwrap();
    eprintln!("nobody has ended me");
    ExitCode::SUCCESS
}

/// Starts a copy and waits until it is gone, and nobody writes to its standard streams any more.
fn start(mode: &str) -> (Output, Pid) {
    let mut copy = Command::new(std::env::current_exe().unwrap());
    let output = copy.args([ARGUMENT, mode]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let pid = errors.lines().next().unwrap().parse().unwrap();
    (output, Pid::from_raw(pid))
}

fn stat(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

/// Nobody may be there to reap it.
fn is_gone(pid: Pid) -> bool {
    stat(pid).is_none_or(|stat| stat.starts_with('Z'))
}

fn wait_until_gone(pid: Pid) {
    let end = Instant::now() + LIMIT;
    while !is_gone(pid) {
        assert!(Instant::now() < end, "{pid} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn a_starter_leaves_with_the_number_of_a_daemon_that_lets_go_of_everything() {
    let (output, pid) = start("serve");
    assert_eq!(output.status.code(), Some(0));
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(line, format!("proxy: running as process {pid}.\n"));
    assert_eq!(line.split(' ').nth(4), Some(&*format!("{pid}.\n")));
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap();
    assert_eq!(link("cwd").to_str(), Some("/"));
    for name in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(link(name).to_str(), Some("/dev/null"), "{name}");
    }
    // State, parent, group, session.
    let stat = stat(pid).unwrap();
    assert_eq!(stat.split(' ').nth(3), Some(&*pid.to_string()), "{stat}");
    kill(pid, Signal::SIGKILL).unwrap();
    wait_until_gone(pid);
}

fn a_daemon_that_fails_is_heard_and_told_by_the_exit_code() {
    let (output, pid) = start("fail");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    wait_until_gone(pid);
}

fn a_daemon_that_is_never_ready_is_ended() {
    let (output, pid) = start("stuck");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.ends_with("proxy: ended because it was not ready within 2 seconds\n"));
    wait_until_gone(pid);
}
