//! What a server costs: CPU time of all its processes, dead ones included, from a control group
//! of its own; private memory of those that are still there from /proc.
//!
//! Nothing but a control group is good enough for CPU time: processes that nobody waits for,
//! because SIGCHLD is ignored, are in no other process's usage.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use super::patience::{Patience, until};

/// Where control groups can be made, if anywhere.
pub struct Home {
    directory: PathBuf,
    usage: Usage,
}

#[derive(Clone, Copy)]
enum Usage {
    /// cgroup v2: cpu.stat, microseconds.
    Stat,
    /// cgroup v1: cpuacct.usage, nanoseconds.
    Nanoseconds,
}

impl Home {
    pub fn find() -> Option<Home> {
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mut candidates = Vec::new();
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(1);
            let (Some(place), Some(kind), Some(options)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let (usage, is_own): (_, fn(&str) -> bool) = match kind {
                "cgroup2" => (Usage::Stat, |controllers| controllers.is_empty()),
                "cgroup" if options.split(',').any(|option| option == "cpuacct") => {
                    (Usage::Nanoseconds, |controllers| {
                        controllers.split(',').any(|name| name == "cpuacct")
                    })
                }
                _ => continue,
            };
            let below = own.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                is_own(controllers).then(|| path.trim_start_matches('/'))
            });
            let place = Path::new(place);
            candidates.extend(below.map(|path| Home {
                directory: place.join(path),
                usage,
            }));
            candidates.push(Home {
                directory: place.to_owned(),
                usage,
            });
        }
        // Version 2 first, where both are there.
        candidates.sort_by_key(|home: &Home| !matches!(home.usage, Usage::Stat));
        candidates.into_iter().find(Home::works)
    }

    fn works(&self) -> bool {
        let Ok(group) = self.group("probe") else {
            return false;
        };
        let entered = Command::new("/bin/sh")
            .args(["-c", ENTER])
            .arg(group.entrance())
            .arg("/bin/true")
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        entered && group.cpu_us().is_some()
    }

    pub fn group(&self, name: &str) -> io::Result<Group> {
        let directory = self
            .directory
            .join(format!("sslserver-bench-{}-{name}", process::id()));
        fs::create_dir(&directory)?;
        Ok(Group {
            directory,
            usage: self.usage,
        })
    }

    pub fn describe(&self) -> String {
        let version = match self.usage {
            Usage::Stat => "2",
            Usage::Nanoseconds => "1",
        };
        format!(
            "control groups v{version} below {}",
            self.directory.display()
        )
    }
}

/// For `sh -c`: go into the group whose entrance is argument 0, then become the program that
/// follows.
pub const ENTER: &str = "echo $$ > \"$0\" && exec \"$@\"";

pub struct Group {
    directory: PathBuf,
    usage: Usage,
}

impl Group {
    pub fn entrance(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    pub fn cpu_us(&self) -> Option<f64> {
        match self.usage {
            Usage::Stat => {
                let stat = fs::read_to_string(self.directory.join("cpu.stat")).ok()?;
                stat.lines()
                    .find_map(|line| line.strip_prefix("usage_usec "))?
                    .trim()
                    .parse()
                    .ok()
            }
            Usage::Nanoseconds => {
                let usage = fs::read_to_string(self.directory.join("cpuacct.usage")).ok()?;
                usage.trim().parse::<f64>().ok().map(|ns| ns / 1000.0)
            }
        }
    }

    pub fn pids(&self) -> Vec<i32> {
        let list = fs::read_to_string(self.entrance()).unwrap_or_default();
        list.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may keep it for a moment.
        if !until(Patience::SHORT, || fs::remove_dir(&self.directory).is_ok()) {
            eprintln!("unable to remove {}", self.directory.display());
        }
    }
}

/// A process and all below it, where there is no control group to ask.
pub fn family(root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // After the name, which may hold anything but ends with the last parenthesis: state, parent.
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| {
            let (state, rest) = rest.split_once(' ')?;
            (state != "Z").then_some(rest.split(' ').next()?.parse().ok()?)
        });
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        // Removed, so that reused pids cannot make a circle.
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// Of the server's own processes: those that run its program, not the applications.
pub struct Memory {
    pub private_kb: f64,
    pub processes: f64,
}

pub fn own_memory(pids: &[i32], program: &Path) -> Result<Memory, String> {
    let mut sum = Memory {
        private_kb: 0.0,
        processes: 0.0,
    };
    for pid in pids {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let found = fs::read_link(process.join("exe")).and_then(|exe| {
            if exe == program {
                fs::read_to_string(process.join("smaps_rollup")).map(Some)
            } else {
                Ok(None)
            }
        });
        match found {
            Ok(Some(rollup)) => {
                sum.private_kb += private_kb(&rollup);
                sum.processes += 1.0;
            }
            Ok(None) => {}
            Err(e)
                if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => {
            }
            Err(e) => return Err(format!("unable to read the memory of process {pid}: {e}")),
        }
    }
    Ok(sum)
}

fn private_kb(rollup: &str) -> f64 {
    let values = rollup.lines().filter_map(|line| {
        let rest = line
            .strip_prefix("Private_Clean:")
            .or_else(|| line.strip_prefix("Private_Dirty:"))?;
        rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
    });
    values.sum()
}
