//! What /proc says about the processes of a server. A server leads a process group of its own, so the group is the way to
//! find them all, also those that refuse to show their memory and those whose parent is gone.
#![forbid(unsafe_code)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    pub name: String,
    pub state: char,
    pub parent: i32,
    pub group: i32,
    /// Processor time used so far, in ticks.
    pub ticks: u64,
}

impl Process {
    pub fn read(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Process {
            pid,
            name: head.split_once('(')?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            ticks: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
        })
    }

    /// Everything after `FIELD:` in /proc/PID/status.
    pub fn status(&self, field: &str) -> String {
        let path = format!("/proc/{}/status", self.pid);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error} ({self:?})"));
        status_field(&text, field)
    }

    pub fn link(&self, name: &str) -> PathBuf {
        let path = format!("/proc/{}/{name}", self.pid);
        fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error} ({self:?})"))
    }

    /// It has this user and this group, sees nothing but this directory, has one thread, and may do next to nothing.
    pub fn assert_jailed(&self, directory: &Path, uid: u32, gid: u32) {
        let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
        assert_eq!(self.status("Uid"), four(uid));
        assert_eq!(self.status("Gid"), four(gid));
        assert_eq!(self.link("root"), directory);
        assert_eq!(self.link("cwd"), directory);
        assert_eq!(self.link("fd/2"), Path::new("/dev/null"));
        assert_eq!(self.status("Threads"), "1");
        assert_eq!(self.status("NoNewPrivs"), "1");
        // 2: a filter of system calls is in force.
        assert_eq!(self.status("Seccomp"), "2");
        for field in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            let powers = u64::from_str_radix(&self.status(field), 16);
            assert_eq!(powers, Ok(0), "{field}");
        }
    }

    pub fn is_gone(&self) -> bool {
        Process::read(self.pid).is_none_or(|now| now.state == 'Z')
    }

    pub fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid), signal)
            .unwrap_or_else(|error| panic!("{signal} to {self:?}: {error}"));
    }
}

/// A field of the text of /proc/PID/status, its blanks made single.
pub fn status_field(text: &str, field: &str) -> String {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = value.unwrap_or_else(|| panic!("no {field} in {text}"));
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn in_group(group: i32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::read)
        .filter(|process| process.group == group)
        .collect()
}
