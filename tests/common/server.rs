//! A running sslserver.
#![forbid(unsafe_code)]

use super::client::{Client, Dial};
use super::process::Process;
use super::program::Program;
use super::tempdir::TempDir;
use super::{LIMIT, Log, eventually};
use nix::sys::signal::Signal;
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
}

/// What stays while nobody is connected; with `-j` several processes in the place of the terminator.
const ROLES: [&str; 3] = ["ssl-keeper", "ssl-terminator", "sslserver"];
const SHARED: [&str; 3] = ["ssl-keeper", "ssl-shared", "sslserver"];

impl Deref for Server {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl Server {
    pub fn start(dir: TempDir, command: Command) -> Server {
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
            let is_alone = names == ROLES;
            names.dedup();
            (is_alone || names == SHARED).then_some(())
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
        let line = "sslserver: counters * connections *";
        let end = format!(" unfinished={number}");
        eventually("connections without an application", || {
            let before = self.log.count(line);
            self.signal(Signal::SIGUSR1);
            let told = self.log.wait_for_nth(line, before + 1);
            told.ends_with(&end).then_some(())
        });
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
