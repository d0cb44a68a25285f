//! A server that runs: started in its own control group, known to listen, and ended by pid.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::account::{self, ENTER, Group, Home, Memory};
use super::patience::{Patience, until};
use super::peer::{self, Peer};
use super::rows::Counted;
use super::scratch::Scratch;

pub struct Server {
    pub address: SocketAddr,
    pub child: Child,
    group: Option<Group>,
    /// What /proc says its program is, links followed.
    program: PathBuf,
    log: PathBuf,
}

impl Server {
    /// The command makes it listen on this port of 127.0.0.1.
    pub fn start<H>(
        peer: &Peer<H>,
        port: u16,
        command: peer::Command,
        scratch: &Scratch,
        home: Option<&Home>,
    ) -> Result<Server, String> {
        let trouble = |e: std::io::Error| format!("unable to start {}: {e}", peer.program);
        let group = home
            .map(|home| home.group(&format!("{}-{port}", peer.name)))
            .transpose()
            .map_err(trouble)?;
        let log = scratch.directory.join(format!("{}.log", peer.name));
        let output = File::create(&log).map_err(trouble)?;
        let mut shell = Command::new("/bin/sh");
        match &group {
            Some(group) => shell.args(["-c", ENTER]).arg(group.entrance()),
            None => shell.args(["-c", "exec \"$@\"", "sh"]),
        };
        if let Some(directory) = &command.directory {
            shell.current_dir(directory);
        }
        // A server must not outlive a driver that is killed and has no time to end it.
        let child = shell
            .args(["/usr/bin/setpriv", "--pdeathsig", "TERM", peer.program])
            .args(command.arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(command.environment)
            .stdin(command.input.map_or_else(Stdio::null, Stdio::from))
            .stdout(output.try_clone().map_err(trouble)?)
            .stderr(output)
            .spawn()
            .map_err(trouble)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Server {
            address,
            child,
            group,
            program: fs::canonicalize(peer.program).map_err(trouble)?,
            log,
        };

        let mut ended = None;
        let ready = until(Patience::LONG, || {
            ended = server.child.try_wait().ok().flatten();
            ended.is_some() || listens(port) && server.runs()
        });
        if let Some(status) = ended {
            return Err(server.with_log(&format!("could not be started: {status}")));
        }
        if !ready {
            return Err(server.with_log("could not be started: it does not listen"));
        }
        Ok(server)
    }

    /// The shell has become the program. A socket that it was given listens before that.
    fn runs(&self) -> bool {
        let exe = fs::read_link(format!("/proc/{}/exe", self.child.id()));
        exe.is_ok_and(|exe| exe == self.program)
    }

    /// CPU time and time, both in microseconds, of the work and all that it leaves to be done.
    pub fn counted(
        &self,
        warm_up: impl FnOnce() -> Result<(), String>,
        work: impl FnOnce() -> Result<(), String>,
    ) -> Result<Counted, String> {
        warm_up()?;
        let at_rest = self.settled()?;
        let before = self.cpu_us();
        let start = Instant::now();
        work()?;
        let wall = start.elapsed().as_secs_f64() * 1e6;
        self.wait_for_rest(at_rest)?;
        // Where no process ends with a connection, its last steps may still be to come.
        self.settled()?;
        let cpu = self
            .cpu_us()
            .zip(before)
            .map(|(after, before)| after - before);
        Ok((cpu, wall))
    }

    /// Waits until the number of processes stays the same for a while, and gives it.
    pub fn settled(&self) -> Result<usize, String> {
        const SAME: u32 = 20;
        let mut last = usize::MAX;
        let mut same = 0;
        let settled = until(Patience::LONG, || {
            let now = self.pids().len();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same >= SAME
        });
        if settled {
            Ok(last)
        } else {
            Err(self.with_log("the number of its processes does not settle"))
        }
    }

    /// Waits until no more processes are left than at rest, so that all of the work is on the account.
    fn wait_for_rest(&self, at_rest: usize) -> Result<(), String> {
        let rests = until(Patience::LONG, || self.pids().len() <= at_rest);
        if rests {
            return Ok(());
        }
        Err(self.with_log(&format!(
            "{} processes are left after the work, {at_rest} before it",
            self.pids().len()
        )))
    }

    fn cpu_us(&self) -> Option<f64> {
        self.group.as_ref()?.cpu_us()
    }

    /// Taken again until two in a row agree: pages may still be touched after the last reply.
    pub fn memory(&self) -> Result<Memory, String> {
        let mut last = self.memory_now()?;
        let mut trouble = None;
        until(Patience::SHORT, || match self.memory_now() {
            Ok(now) => {
                let same = now.private_kb == last.private_kb && now.processes == last.processes;
                last = now;
                same
            }
            Err(e) => {
                trouble = Some(e);
                true
            }
        });
        trouble.map_or(Ok(last), Err)
    }

    fn memory_now(&self) -> Result<Memory, String> {
        account::own_memory(&self.pids(), &self.program)
    }

    fn pids(&self) -> Vec<i32> {
        match &self.group {
            Some(group) => group.pids(),
            None => account::family(self.child.id().cast_signed()),
        }
    }

    /// A complaint with the end of the server's log.
    pub fn with_log(&self, complaint: &str) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let end = String::from_utf8_lossy(&log[log.len().saturating_sub(300)..])
            .trim()
            .replace('\n', "\n      ");
        if end.is_empty() {
            complaint.to_owned()
        } else {
            format!("{complaint}; its log ends with\n      {end}")
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Before the parent is gone, while a family without a group can still be seen.
        let known = self.pids();
        let main = self.child.id().cast_signed();
        if matches!(self.child.try_wait(), Ok(None)) {
            send(main, Signal::SIGTERM);
        }
        let pids = || {
            if self.group.is_some() {
                self.pids()
            } else {
                known.iter().copied().filter(|pid| lives(*pid)).collect()
            }
        };
        until(Patience::SHORT, || pids().iter().all(|pid| *pid == main));
        let gone = until(Patience::SHORT, || {
            for pid in pids() {
                send(pid, Signal::SIGKILL);
            }
            pids().iter().all(|pid| *pid == main)
        });
        if !gone {
            eprintln!("processes are left: {:?}", pids());
        }
        if let Err(e) = self.child.wait() {
            eprintln!("unable to wait for process {main}: {e}");
        }
    }
}

fn send(pid: i32, signal: Signal) {
    // Already gone is as good.
    let _ = kill(Pid::from_raw(pid), signal);
}

fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Nobody else listens there now; that somebody takes it before the server does shows as a failed start.
pub fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| format!("unable to find a free port: {e}"))
}

/// Seen in the kernel's table: a connection made to find out would already be work.
fn listens(port: u16) -> bool {
    const LISTEN: &str = "0A";
    let end = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        fs::read_to_string(table)
            .unwrap_or_default()
            .lines()
            .any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                fields.next().is_some_and(|local| local.ends_with(&end))
                    && fields.nth(1) == Some(LISTEN)
            })
    })
}
