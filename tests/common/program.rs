//! A running program, its log and its processes. It leads a process group of its own; on drop it is told to end, and
//! what then still belongs to the group is killed by pid.
#![forbid(unsafe_code)]

use super::log::Log;
use super::process::{Process, in_group};
use super::{LIMIT, eventually, peers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub struct Program {
    pub log: Log,
    pub stdout: Log,
    /// The name of the process that the others belong to.
    name: &'static str,
    child: Child,
    status: Option<ExitStatus>,
}

impl Program {
    pub fn start(name: &'static str, mut command: Command) -> Program {
        let spawned = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Program {
            log: Log::collect(child.stderr.take().expect("piped")),
            stdout: Log::collect(child.stdout.take().expect("piped")),
            name,
            child,
            status: None,
        }
    }

    /// How it ended, if it did within a limit, and its log.
    pub fn explain(&mut self, limit: Duration) -> String {
        let end = peers::wait(&mut self.child, limit);
        format!("{end:?}, log:\n{}", self.log.lines().join("\n"))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("an own child").is_none()
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

    /// To the process that the others belong to.
    pub fn signal(&self, signal: Signal) {
        self.role(self.name).send(signal);
    }

    /// Waits for the end of the process that was started.
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
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = self.pid();
        if self.status.is_none() {
            for process in self.roles(self.name) {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGTERM);
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
