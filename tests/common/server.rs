//! A running server, its log and its processes. It leads a process group of its own; on drop it is told to end, and
//! what then still belongs to the group is killed by pid.
#![forbid(unsafe_code)]

use super::client::{Client, Dial};
use super::log::Log;
use super::process::{Process, in_group};
use super::tempdir::TempDir;
use super::{LIMIT, eventually, peers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

pub struct Server {
    pub dir: TempDir,
    pub address: SocketAddr,
    pub log: Log,
    /// The line of `-1`.
    pub ready: String,
    child: Child,
    status: Option<ExitStatus>,
}

/// What stays while nobody is connected.
const ROLES: [&str; 3] = ["ssl-keeper", "ssl-terminator", "sslserver"];

impl Server {
    pub fn start(dir: TempDir, mut command: Command) -> Server {
        let spawned = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Log::collect(child.stderr.take().expect("piped"));
        let stdout = Log::collect(child.stdout.take().expect("piped"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // From here on the drop ends it, whatever goes wrong.
        let mut server = Server {
            dir,
            address,
            log,
            ready: String::new(),
            child,
            status: None,
        };
        let Some(ready) = stdout.first(LIMIT) else {
            let end = peers::wait(&mut server.child, LIMIT);
            panic!(
                "no readiness line, {end:?}, log:\n{}",
                server.log.lines().join("\n")
            );
        };
        server.address = reachable(&ready);
        server.ready = ready;
        server
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

    /// Every process of it, the zombies too.
    pub fn processes(&self) -> Vec<Process> {
        let mut all = in_group(self.pid());
        all.retain(|process| process.name != "unshare");
        all
    }

    /// The pid of the process that was started, which is the group's.
    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pids are small")
    }

    /// The one process of that name.
    pub fn role(&self, name: &str) -> Process {
        eventually(name, || {
            let mut found = self.roles(name);
            if found.len() == 1 { found.pop() } else { None }
        })
    }

    pub fn roles(&self, name: &str) -> Vec<Process> {
        self.processes()
            .into_iter()
            .filter(|process| process.name == name)
            .collect()
    }

    /// Processor time of all its processes so far, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let processes = self.processes();
        processes.iter().map(|process| process.ticks).sum()
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
            (names == ROLES).then_some(())
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

    pub fn signal(&self, signal: Signal) {
        self.role("sslserver").send(signal);
    }

    /// Waits for the end of the listener.
    pub fn wait(&mut self) -> ExitStatus {
        let end = peers::wait(&mut self.child, LIMIT);
        let end =
            end.unwrap_or_else(|| panic!("still running, log:\n{}", self.log.lines().join("\n")));
        self.status = Some(end);
        end
    }

    /// Ends it as an administrator would and sees that nothing stays.
    pub fn stop(mut self) -> Log {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{status:?}");
        self.assert_nothing_left();
        self.log.clone()
    }

    /// After its end: every process of the group is gone.
    pub fn assert_nothing_left(&self) {
        let left = || {
            in_group(self.pid())
                .into_iter()
                .filter(|process| process.state != 'Z')
                .collect::<Vec<_>>()
        };
        let end = std::time::Instant::now() + LIMIT;
        while !left().is_empty() {
            assert!(std::time::Instant::now() < end, "left behind: {:?}", left());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
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

impl Drop for Server {
    fn drop(&mut self) {
        let group = self.pid();
        if self.status.is_none() {
            for listener in self.roles("sslserver") {
                let _ = kill(Pid::from_raw(listener.pid), Signal::SIGTERM);
            }
            if peers::wait(&mut self.child, LIMIT / 4).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        for left in in_group(group) {
            let _ = kill(Pid::from_raw(left.pid), Signal::SIGKILL);
        }
    }
}
