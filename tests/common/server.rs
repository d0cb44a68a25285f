//! A running sslserver.
#![forbid(unsafe_code)]

use super::client::{Client, Dial};
use super::process::Process;
use super::program::Program;
use super::setup::shared;
use super::tempdir::TempDir;
use super::{LIMIT, Log, eventually};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::process::Command;

pub struct Server {
    /// Ended before the directory goes.
    program: Program,
    pub dir: TempDir,
    pub address: SocketAddr,
    /// The line of `-1`.
    pub ready: String,
    /// What stays while nobody is connected; with `-j` several processes in the place of the terminator.
    roles: Vec<&'static str>,
}

/// What those are called that take clients from the listener.
pub fn terminator() -> &'static str {
    if shared().is_some() {
        "ssl-shared"
    } else {
        "ssl-terminator"
    }
}

/// What those are called that speak TLS with clients.
pub fn session() -> &'static str {
    if shared().is_some() {
        "ssl-shared"
    } else {
        "ssl-session"
    }
}

/// Group and key, and the number.
pub type Counters = BTreeMap<String, u64>;

/// The last group of counters that is said.
pub const LAST_COUNTERS: &str = "sslserver: counters * memory *";

const KEEPER_ENDED: &str = "sslserver: warning: keeper * ended by signal 9*";

impl Deref for Server {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl Server {
    pub fn start(dir: TempDir, command: Command) -> Server {
        let roles = roles(&command);
        let mut program = Program::start("sslserver", command);
        let Some(ready) = program.stdout.first(LIMIT) else {
            panic!("no readiness line, {}", program.explain(LIMIT));
        };
        let address = reachable(&ready);
        Server {
            program,
            dir,
            address,
            ready,
            roles,
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn dial(&self) -> Dial {
        Dial::to(self.address)
    }

    pub fn connect(&self) -> Client {
        self.dial().connect()
    }

    /// What the application says to a client that says nothing, up to a clean end.
    pub fn reply(&self) -> String {
        self.connect().text()
    }

    /// Waits until no session and no application is left.
    pub fn wait_until_idle(&self) {
        let mut last = Vec::new();
        let idle = |last: &mut Vec<Process>| {
            *last = self.processes();
            // It is there only if something is looked up.
            last.retain(|process| process.name != "ssl-lookup");
            let mut names: Vec<&str> = last.iter().map(|process| process.name.as_str()).collect();
            names.sort_unstable();
            (names == self.roles).then_some(())
        };
        let end = std::time::Instant::now() + LIMIT;
        while idle(&mut last).is_none() {
            let log = || self.log.lines().join("\n");
            assert!(
                std::time::Instant::now() < end,
                "still there: {last:?}, log:\n{}",
                log()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Waits until so many connections have been let in, or are asked about, and have no application.
    pub fn wait_for_unfinished(&self, number: usize) {
        eventually("connections without an application", || {
            let there = self.counters()["connections unfinished"];
            (there == number as u64).then_some(())
        });
    }

    /// Waits until so many clients are with whoever speaks TLS with them.
    pub fn wait_for_sessions(&self, number: usize) {
        eventually("sessions", || {
            let there = match shared() {
                None => self.roles("ssl-session").len(),
                Some(_) => {
                    let now = self.counters();
                    (now["connections running"] + now["connections unfinished"]) as usize
                }
            };
            (there == number).then_some(())
        });
    }

    /// Kills all processes of this name that are there and waits for their end.
    pub fn kill(&self, role: &str) -> Vec<Process> {
        let all = eventually(role, || {
            let mut all = self.roles(role);
            all.retain(|process| process.state != 'Z');
            (!all.is_empty()).then_some(all)
        });
        let ended = self.log.count(KEEPER_ENDED);
        for process in &all {
            process.send(Signal::SIGKILL);
        }
        eventually("their end", || {
            all.iter().all(Process::is_gone).then_some(())
        });
        if role == "ssl-keeper" {
            // A handshake that meets the moment before the listener knows has nobody to sign it.
            self.log.wait_for_nth(KEEPER_ENDED, ended + 1);
        }
        all
    }

    /// Waits for a process of this name that is not one of the old ones.
    pub fn successor(&self, role: &str, old: &[Process]) -> Process {
        eventually("another process", || {
            let is_old = |one: &Process| old.iter().any(|old| old.pid == one.pid);
            let mut all = self.roles(role).into_iter();
            all.find(|one| !is_old(one) && one.state != 'Z')
        })
    }

    /// Asks for the counters and takes them from the log.
    pub fn counters(&self) -> Counters {
        let before = self.log.count(LAST_COUNTERS);
        self.signal(Signal::SIGUSR1);
        self.log.wait_for_nth(LAST_COUNTERS, before + 1);
        let pid = self.role("sslserver").pid;
        let begin = format!("sslserver: counters {pid} ");
        let mut counters = Counters::new();
        for line in self.log.lines() {
            let Some((group, rest)) = line
                .strip_prefix(&begin)
                .and_then(|line| line.split_once(' '))
            else {
                continue;
            };
            for pair in rest.split(' ') {
                let (key, value) = pair.split_once('=').expect("key=value");
                counters.insert(format!("{group} {key}"), value.parse().expect("a number"));
            }
        }
        counters
    }

    /// Ends it as an administrator would and sees that nothing stays.
    pub fn stop(self) -> Log {
        self.program.stop()
    }

    /// Waits for the end of the listener.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.program.wait()
    }
}

/// The names of what stays of a server that was started so, in order.
fn roles(command: &Command) -> Vec<&'static str> {
    let mut words = command.get_args().skip_while(|word| *word != "-j").skip(1);
    let number = words.next().map(|number| {
        let number = number.to_str().and_then(|number| number.parse().ok());
        number.expect("a number for -j")
    });
    let terminators = match number {
        None => vec!["ssl-terminator"],
        Some(number) => vec!["ssl-shared"; number],
    };
    [vec!["ssl-keeper"], terminators, vec!["sslserver"]].concat()
}

/// Where a client finds what `-1` says: `ADDRESS : PORT [LIMIT/PERIP]`.
fn reachable(ready: &str) -> SocketAddr {
    let parsed = ready.split_once(" : ").and_then(|(address, rest)| {
        let port = rest.split_once(' ')?.0.parse::<u16>().ok()?;
        Some((address.parse::<IpAddr>().ok()?, port))
    });
    let (address, port) = parsed.unwrap_or_else(|| panic!("not a readiness line: {ready:?}"));
    let address = match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::from((address, port))
}
