//! The sample run scripts under the supervisors that they are for, as they stand.
#![forbid(unsafe_code)]

use crate::common::daemon::free;
use crate::common::peers::{must, s_client_to};
use crate::common::tempdir::set_mode;
use crate::common::{Client, Dial, End, Ending, LIMIT, Outcome, Program, TempDir, eventually, run};
use crate::service::{
    KEY_USER, PAGE, REQUEST, assert_deserted, directory, inhabitants, sample, without,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// A service directory and its supervisor.
struct Supervised {
    supervisor: Program,
    dir: TempDir,
    address: SocketAddr,
}

impl Supervised {
    /// Runs `SUPERVISOR DIRECTORY` with the sample as `run` in the directory.
    fn start(supervisor: &'static str, script: &str, dir: TempDir) -> Supervised {
        fs::copy(sample(script), dir.join("run")).expect("a copy");
        set_mode(&dir.join("run"), 0o755);
        let ours = Path::new(env!("CARGO_BIN_EXE_sslserver")).parent();
        let ours = ours.expect("a directory").display();
        let address = free("127.0.0.1");
        let mut command = Command::new(supervisor);
        command
            .arg(dir.path())
            .env_clear()
            .env("PATH", format!("{ours}:/usr/bin:/bin"))
            .env("ADDRESS", "127.0.0.1")
            .env("PORT", address.port().to_string())
            .env("KEYUSER", KEY_USER)
            .env("DOCUMENTS", dir.text(""))
            .stdin(Stdio::null());
        Supervised {
            supervisor: Program::start(supervisor, command),
            dir,
            address,
        }
    }

    /// Tells the supervisor something, with the directory at the end of the line.
    fn order(&self, words: &[&str]) -> Outcome {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(self.dir.path());
        run(command, b"", LIMIT)
    }

    fn must(&self, words: &[&str]) -> String {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(self.dir.path());
        String::from_utf8(must(command)).expect("text")
    }

    /// For supervisors that are told nothing: the log says that it is ready, for the first or the second time.
    fn wait_for_log(&self, times: usize) {
        let line = "sslserver: dhparam *";
        self.supervisor.stdout.wait_for_nth(line, times);
    }

    fn assert_serves(&self) {
        let request = format!("{REQUEST}\r\n");
        let outcome = s_client_to(&self.dir, self.address, &["-quiet"], &request);
        assert!(outcome.text().contains(PAGE), "{outcome:?}");
    }

    /// A client in the middle of its request, and its application.
    fn busy(&self) -> Client {
        let mut client = Dial::to(self.address).connect();
        client.send(REQUEST.as_bytes());
        eventually("the application", || {
            let all = inhabitants(self.dir.path());
            all.iter().find(|one| one.name == "busybox").map(drop)
        });
        client
    }

    /// The server is gone, and the client in the middle of its request is served all the same.
    fn assert_down_but_for(&self, mut client: Client) {
        eventually("the end of the server", || {
            let all = inhabitants(self.dir.path());
            let listening = all.iter().any(|one| one.name == "sslserver");
            (!listening).then_some(())
        });
        let refused = std::net::TcpStream::connect(self.address);
        assert!(refused.is_err(), "{refused:?}");
        let (reply, end) = client.exchange(b"\r\n", Ending::Nothing);
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.contains(PAGE), "{reply}");
        assert_eq!(end, End::Clean);
        drop(client);
    }

    /// After the supervisor was told to leave.
    fn assert_gone(mut self) {
        assert_eq!(self.supervisor.wait().code(), Some(0));
        self.supervisor.assert_nothing_left();
        assert_deserted(self.dir.path());
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        for left in inhabitants(self.dir.path()) {
            let _ = kill(Pid::from_raw(left.pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn runit_starts_stops_and_starts_the_service() {
    let needed = ["runsv", "sv", "chpst", "busybox"];
    if without("runit_starts_stops_and_starts_the_service", &needed) {
        return;
    }
    let service = Supervised::start("runsv", "run.runit", directory());
    service.wait_for_log(1);
    service.assert_serves();
    let client = service.busy();
    service.must(&["sv", "-w", "20", "stop"]);
    service.assert_down_but_for(client);
    assert_deserted_but_for(&service, "runsv");
    service.must(&["sv", "-w", "20", "start"]);
    service.wait_for_log(2);
    service.assert_serves();
    service.must(&["sv", "-w", "20", "exit"]);
    service.assert_gone();
}

#[test]
fn daemontools_start_stop_and_start_the_service() {
    let needed = ["supervise", "svc", "svstat", "softlimit", "busybox"];
    if without("daemontools_start_stop_and_start_the_service", &needed) {
        return;
    }
    let service = Supervised::start("supervise", "run.daemontools", directory());
    service.wait_for_log(1);
    service.assert_serves();
    assert!(service.must(&["svstat"]).contains(": up (pid "));
    let client = service.busy();
    service.must(&["svc", "-d"]);
    service.assert_down_but_for(client);
    eventually("svstat to know it", || {
        service.must(&["svstat"]).contains(": down ").then_some(())
    });
    assert_deserted_but_for(&service, "supervise");
    service.must(&["svc", "-u"]);
    service.wait_for_log(2);
    service.assert_serves();
    service.must(&["svc", "-dx"]);
    service.assert_gone();
}

#[test]
fn s6_knows_when_the_service_is_ready_and_stops_and_starts_it() {
    let needed = [
        "s6-supervise",
        "s6-svc",
        "s6-svwait",
        "s6-softlimit",
        "busybox",
    ];
    let test = "s6_knows_when_the_service_is_ready_and_stops_and_starts_it";
    if without(test, &needed) {
        return;
    }
    let dir = directory();
    dir.write("notification-fd", "3\n");
    let service = Supervised::start("s6-supervise", "run.s6", dir);
    eventually("s6-supervise", || {
        service.order(&["s6-svok"]).status.success().then_some(())
    });
    service.must(&["s6-svwait", "-U", "-t", "20000"]);
    assert!(service.must(&["s6-svstat", "-o", "ready"]).contains("true"));
    service.assert_serves();
    let client = service.busy();
    service.must(&["s6-svc", "-d", "-wD", "-T", "20000"]);
    service.assert_down_but_for(client);
    assert_deserted_but_for(&service, "s6-supervise");
    service.must(&["s6-svc", "-u", "-wU", "-T", "20000"]);
    service.assert_serves();
    service.must(&["s6-svc", "-dx"]);
    service.assert_gone();
}

/// What the connections had is gone as well.
fn assert_deserted_but_for(service: &Supervised, supervisor: &str) {
    eventually("nobody but the supervisor", || {
        let all = inhabitants(service.dir.path());
        all.iter().all(|one| one.name == supervisor).then_some(())
    });
}
