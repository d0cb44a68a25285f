//! Looking names up in a process of its own.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Uid, geteuid};
use sslserver::privsep::resolver::{MOST_NAMES, Resolver, resolve};
use sslserver::sys::descriptor;
use sslserver::sys::identity::Identity;

crate::tests! {
    names_are_answered_in_their_order
    an_event_loop_hears_of_the_answers
    a_resolver_that_nobody_wants_any_more_is_ended
    more_names_than_there_is_room_for_are_told_so
    a_resolver_is_nobody_and_a_silent_server_holds_up_nobody
}

/// With this word this program looks a name up in a network whose only name server is itself, and silent.
pub const ARGUMENT: &str = "ask-a-silent-server";
const LIMIT: Duration = Duration::from_secs(20);

fn start(names: &[&str]) -> Resolver {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Resolver::start(names, Identity::current()).unwrap()
}

fn no_child_is_left() {
    assert_eq!(waitpid(None, None), Err(Errno::ECHILD));
}

/// What an event loop does.
fn wait(resolver: &mut Resolver) {
    while !resolver.try_receive() {
        let wanted = [Some((resolver.as_fd(), PollFlags::POLLIN))];
        let [ready] = descriptor::wait(wanted, LIMIT).unwrap();
        assert!(ready.readable, "waited {LIMIT:?} in vain");
    }
}

fn names_are_answered_in_their_order() {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let answers = resolve(
        &["192.0.2.1", "localhost", "no name at all"],
        Identity::current(),
        LIMIT,
    );
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0], Ok(vec![[192, 0, 2, 1].into()]));
    assert!(
        answers[1].as_ref().unwrap().contains(&loopback),
        "{answers:?}"
    );
    let reason = answers[2].as_ref().unwrap_err();
    assert!(!reason.contains("failed to"), "{reason}");
    no_child_is_left();
}

fn an_event_loop_hears_of_the_answers() {
    let mut resolver = start(&["localhost", "localhost"]);
    wait(&mut resolver);
    let answers = resolver.finish();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(answers.len(), 2);
    no_child_is_left();
}

fn a_resolver_that_nobody_wants_any_more_is_ended() {
    drop(start(&["localhost"]));
    no_child_is_left();
    let answers = start(&["localhost"]).finish();
    assert_eq!(answers, [Err("no answer in time".into())]);
}

fn more_names_than_there_is_room_for_are_told_so() {
    let mut resolver = start(&["127.0.0.1"; MOST_NAMES + 1]);
    wait(&mut resolver);
    let answers = resolver.finish();
    let (last, rest) = answers.split_last().unwrap();
    assert!(rest.iter().all(Result::is_ok));
    assert_eq!(last, &Err("more than 256 names".into()));
}

/// Has this program run again where it may have its own network and name server.
fn a_resolver_is_nobody_and_a_silent_server_holds_up_nobody() {
    if !geteuid().is_root() {
        return eprintln!("skipped: needs root");
    }
    let servers = std::env::temp_dir().join(format!("resolver-test-{}", std::process::id()));
    std::fs::write(&servers, "nameserver 127.0.0.1\n").unwrap();
    let script = r#"ip link set lo up && mount --bind "$1" /etc/resolv.conf && exec "$2" "$3""#;
    let status = Command::new("unshare")
        .args(["--mount", "--net", "sh", "-c", script, "sh"])
        .arg(&servers)
        .arg(std::env::current_exe().unwrap())
        .arg(ARGUMENT)
        .status();
    std::fs::remove_file(&servers).unwrap();
    assert!(status.unwrap().success());
}

pub fn ask_a_silent_server() -> ExitCode {
    let _server = UdpSocket::bind("127.0.0.1:53").unwrap();
    let nobody = Identity {
        uid: Uid::from_raw(65534),
        gid: Gid::from_raw(65534),
    };
    let answers = resolve(
        &["a.example", "localhost"],
        nobody,
        Duration::from_millis(500),
    );
    assert_eq!(answers[0], Err("no answer in time".into()));
    assert!(answers[1].is_ok(), "{answers:?}");
    no_child_is_left();

    let mut resolver = Resolver::start(vec!["a.example".into()], nobody).unwrap();
    let pid = resolver.pid();
    let end = Instant::now() + LIMIT;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        if status.contains("NoNewPrivs:\t1") {
            break status;
        }
        assert!(Instant::now() < end, "{status}");
        std::thread::yield_now();
    };
    let lines: Vec<&str> = status.lines().collect();
    assert!(
        lines.contains(&"Uid:\t65534\t65534\t65534\t65534"),
        "{status}"
    );
    assert!(
        lines.contains(&"Gid:\t65534\t65534\t65534\t65534"),
        "{status}"
    );
    assert!(lines.contains(&"Groups:\t65534 "), "{status}");

    kill(pid, Signal::SIGKILL).unwrap();
    wait(&mut resolver);
    let expected = Err("the resolver ended without an answer".into());
    assert_eq!(resolver.finish(), [expected]);
    no_child_is_left();
    ExitCode::SUCCESS
}
