//! Trying the walls of a role from inside, for auditors and tests: a process becomes the role by the functions that the
//! real ones go through, and then does what somebody would who had taken it over.
#![forbid(unsafe_code)]

mod deeds;
mod place;
mod table;

use std::ffi::CStr;
use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::PollFlags;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, pipe2, read, write};

use self::place::{Place, WORDS};
use self::table::TABLE;
use super::role::Confinement;
use super::sandbox;
use crate::sys::attempts::Outcome;
use crate::sys::{descriptor, process};

pub use self::place::Role;

/// No attempt waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does nothing.
const PROGRAM: &CStr = c"/bin/true";

/// What there is around the process to try it on.
struct Surroundings {
    /// Another process in the same role.
    sibling: Pid,
    /// The TCP port that the role connects to, if it is for any, and another one.
    served: u16,
    other: u16,
    /// The name of an abstract Unix socket.
    name: Vec<u8>,
    /// The machine's root directory and a program, as a careless parent might leave them open.
    outside: OwnedFd,
    program: OwnedFd,
}

/// The role of this name.
pub fn role(word: &str) -> Option<Role> {
    let found = WORDS.iter().find(|(name, _)| *name == word);
    found.map(|&(_, role)| role)
}

/// The names of all roles.
pub fn words() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|&(word, _)| word)
}

/// What came of the attempts.
pub struct Findings {
    /// One for each; before them what the kernel has not got.
    pub lines: Vec<String>,
    /// Something was possible that must not be.
    pub is_broken: bool,
}

/// Tries everything from inside a role.
pub fn try_all(role: Role, confinement: &Confinement) -> Result<Findings, String> {
    let outcomes = outcomes(role, confinement)?;
    let rooted = confinement.root.is_some();
    let lack = sandbox::lack();
    let mut findings = Findings {
        lines: lack
            .map(|lack| format!("kernel: {lack}"))
            .into_iter()
            .collect(),
        // One that did not come back from an attempt is not what it was.
        is_broken: outcomes.len() < TABLE.len(),
    };
    for (attempt, outcome) in TABLE.iter().zip(outcomes) {
        let name = attempt.name;
        let broken = outcome.is_ok() && !attempt.is_for(role, rooted, lack.is_some());
        findings.is_broken |= broken;
        findings.lines.push(match outcome {
            Ok(()) if broken => format!("{name}: done, which must not be"),
            Ok(()) => format!("{name}: done"),
            Err(errno) => format!("{name}: refused ({errno:?})"),
        });
    }
    Ok(findings)
}

fn outcomes(role: Role, confinement: &Confinement) -> Result<Vec<Outcome>, String> {
    let (served, _served) = listener().map_err(failed)?;
    let (other, _other) = listener().map_err(failed)?;
    let name = format!("sslserver-attempts-{}", std::process::id()).into_bytes();
    let named = SocketAddr::from_abstract_name(&name);
    let _named = named.and_then(|name| UnixListener::bind_addr(&name));
    let place = Place {
        role,
        confinement,
        served,
    };
    // Open as long as the sibling is to be there.
    let (waiting, _alive) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let sibling = Actor::start(&place, vec![waiting], |report, ends| {
        let _ = write(&report, std::process::id().to_string().as_bytes());
        drop(report);
        // Nobody writes: this is the end.
        let _ = ends.first().map(|waiting| read(waiting, &mut [0]));
    });
    let sibling = sibling.map_err(failed)?;
    let pid = sibling.hear()?;
    let pid = pid.parse().map(Pid::from_raw).map_err(|_| pid)?;
    let left_open = |path: &CStr| open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    let outside = left_open(c"/").map_err(failed)?;
    let program = left_open(PROGRAM).map_err(failed)?;
    let actor = Actor::start(&place, vec![outside, program], |report, ends| {
        let Ok([outside, program]) = <[OwnedFd; 2]>::try_from(ends) else {
            return;
        };
        let around = Surroundings {
            sibling: pid,
            served,
            other,
            name,
            outside,
            program,
        };
        for attempt in TABLE {
            let outcome = (attempt.run)(&around).err();
            let errno = outcome.map_or(0, |errno| errno as i32);
            let _ = write(&report, format!("{errno}\n").as_bytes());
        }
    });
    let heard = actor.map_err(failed)?.hear()?;
    let outcome = |line: &str| match line.parse() {
        Ok(0) => Ok(Ok(())),
        Ok(errno) => Ok(Err(Errno::from_raw(errno))),
        Err(_) => Err(line.to_owned()),
    };
    let mut outcomes = heard.lines().map(outcome).collect::<Result<Vec<_>, _>>()?;
    if outcomes.len() < TABLE.len() {
        // It did not come back from that one.
        outcomes.push(Ok(()));
    }
    Ok(outcomes)
}

fn failed(error: impl Display) -> String {
    format!("unable to make the attempts: {error}")
}

/// Somebody to connect to.
fn listener() -> io::Result<(u16, TcpListener)> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((socket.local_addr()?.port(), socket))
}

/// A process in the role's place.
struct Actor {
    child: Pid,
    report: OwnedFd,
}

impl Actor {
    /// Has it do something with these descriptors and one to report on. If it cannot take the place it reports why.
    fn start(
        place: &Place<'_>,
        ends: Vec<OwnedFd>,
        body: impl FnOnce(OwnedFd, Vec<OwnedFd>),
    ) -> Result<Actor, Errno> {
        let (report, end) = pipe2(OFlag::O_CLOEXEC)?;
        let mut keep = vec![end];
        keep.extend(ends);
        let act = |ends| {
            place.take(ends, |mut ends, taken| {
                let report = ends.remove(0);
                match taken {
                    Ok(()) => body(report, ends),
                    Err(text) => drop(write(&report, text.as_bytes())),
                }
                0
            })
        };
        let child = process::fork_role(keep, act).map_err(|(errno, _)| errno)?;
        Ok(Actor { child, report })
    }

    /// All that it reports.
    fn hear(&self) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        let (mut heard, mut piece) = (Vec::new(), [0; 1024]);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wanted = [Some((self.report.as_fd(), PollFlags::POLLIN))];
            let [ready] = descriptor::wait(wanted, left).map_err(failed)?;
            if ready.readable {
                match read(&self.report, &mut piece).map_err(failed)? {
                    0 => return Ok(String::from_utf8_lossy(&heard).into_owned()),
                    count => heard.extend(&piece[..count]),
                }
            } else if left.is_zero() {
                return Err(failed("one of them takes too long"));
            }
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        process::end(self.child);
    }
}
