//! What the proxy takes of the machine: processes, descriptors, memory.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::common::process::{Process, status_field};
use crate::common::{Running, eventually, say};

/// Between two looks at memory of which nothing more is given back.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The descriptors of each process, by name; `None` where we may not know.
    pub descriptors: BTreeMap<String, Vec<Option<usize>>>,
    /// What each kind of process has in memory, in bytes; what several share is divided among them. Empty where we may
    /// not know.
    pub memory: BTreeMap<String, u64>,
}

impl Footprint {
    pub fn of(stud: &Running) -> Footprint {
        let mut footprint = Footprint {
            descriptors: BTreeMap::new(),
            memory: BTreeMap::new(),
        };
        let mut is_whole = true;
        for process in stud.processes().iter().filter(|one| one.state != 'Z') {
            let name = process.name.clone();
            let counts = footprint.descriptors.entry(name.clone()).or_default();
            counts.push(descriptors(process));
            counts.sort_unstable();
            match memory(process) {
                Some(bytes) => *footprint.memory.entry(name).or_default() += bytes,
                None => is_whole = false,
            }
        }
        if !is_whole {
            // A part of it would be taken for all.
            footprint.memory.clear();
        }
        footprint
    }

    /// What is left when whoever drains has ended and unused memory is given back.
    pub fn settled(stud: &Running, workers: usize) -> Footprint {
        let mut last = Footprint::of(stud);
        eventually("the end of the old workers", || {
            std::thread::sleep(QUIET);
            let now = Footprint::of(stud);
            let is_calm = now.total().abs_diff(last.total()) <= now.total() / 100;
            last = now;
            let numbers = [("worker", workers), ("signer", workers), ("keeper", 1)];
            let is_alone = numbers
                .iter()
                .all(|(role, count)| last.number(role) == *count);
            (is_calm && is_alone).then(|| last.clone())
        })
    }

    /// How many processes there are of a role.
    pub fn number(&self, role: &str) -> usize {
        let mut processes = self.descriptors.iter();
        let found = processes.find(|(name, _)| name.ends_with(role));
        found.map_or(0, |(_, counts)| counts.len())
    }

    pub fn total(&self) -> u64 {
        self.memory.values().sum()
    }
}

fn descriptors(process: &Process) -> Option<usize> {
    Some(
        fs::read_dir(format!("/proc/{}/fd", process.pid))
            .ok()?
            .count(),
    )
}

fn memory(process: &Process) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).ok()?;
    let kilobytes = status_field(&text, "Pss");
    let kilobytes: u64 = kilobytes.strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.memory.is_empty() {
            return write!(f, "unknown memory");
        }
        write!(f, "{} kB (", self.total() / 1024)?;
        for (place, (name, bytes)) in self.memory.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {}", bytes / 1024)?;
        }
        write!(f, ")")
    }
}

/// Says the end of the log if the test fails.
pub struct Witness<'a>(pub &'a Running);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.0.log.lines();
            let last = &lines[lines.len().saturating_sub(20)..];
            say(&format!("the end of the log:\n{}", last.join("\n")));
        }
    }
}

/// Bytes from clients and to clients so far.
pub fn moved(stud: &Running) -> (u64, u64) {
    let before = stud.log.count("*counters:*");
    stud.signal(Signal::SIGUSR1);
    let line = stud.log.wait_for_nth("*counters:*", before + 1);
    let number = |name: &str| {
        let value = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name));
        let value = value.unwrap_or_else(|| panic!("no {name} in {line}"));
        value.parse().expect("a number")
    };
    (number("received_bytes_total="), number("sent_bytes_total="))
}
