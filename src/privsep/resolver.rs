//! The resolver: a process that looks up the names of frontends and backends and ends. What name servers answer is
//! parsed by it alone, as somebody who may do nothing. It has the whole of the system's ways to find a name, which need
//! files, so it keeps the root directory, where it may read, and its filter of system calls is wider than others.
#![forbid(unsafe_code)]

use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::channel::ChannelError;
use super::message::resolver::{MAX_ADDRESSES, Resolved};
use super::message::{ParentToResolver, ResolverToParent};
use super::role::{self, Confinement};
use super::sandbox;
use crate::net::address;
use crate::sys::identity::Identity;
use crate::sys::process;

/// The most names that are looked up by one process; further ones are answered with an error.
pub const MOST_NAMES: usize = 256;
/// Names looked up at the same time: one whose servers are silent does not hold up all others.
const AT_ONCE: usize = 16;

/// Addresses of a name in the order of the system's preference, IPv4 as IPv4, each once and one at the least; or why
/// there are none.
pub type Addresses = Result<Vec<IpAddr>, String>;

/// A process that looks names up. It is ended when its owner is done with it, and reaped, unless somebody else did.
pub struct Resolver {
    pid: Pid,
    channel: ParentToResolver,
    answers: Vec<Option<Addresses>>,
}

/// Looks names up and waits for it. What has not been answered when the time is over has that for its reason.
/// Addresses in plain text need no process.
pub fn resolve(names: &[&str], identity: Identity, patience: Duration) -> Vec<Addresses> {
    let deadline = Instant::now() + patience;
    let open = names.iter().filter(|name| literal(name).is_none());
    let open: Vec<String> = open.map(|name| (*name).to_owned()).collect();
    let mut found = look_up(open, identity, deadline).into_iter();
    let answer = |name: &&str| literal(name).or_else(|| found.next());
    let answers = names.iter().map(answer);
    answers.map(or_late).collect()
}

fn look_up(names: Vec<String>, identity: Identity, deadline: Instant) -> Vec<Addresses> {
    let count = names.len();
    if count == 0 {
        return Vec::new();
    }
    match Resolver::start(names, identity) {
        Ok(mut resolver) => {
            resolver.wait(deadline);
            resolver.finish()
        }
        Err(errno) => {
            let reason = format!("unable to start the resolver: {}", errno.desc());
            vec![Err(reason); count]
        }
    }
}

/// The answer to what is not a name. A number with dots that is no address is a slip of the pen.
fn literal(name: &str) -> Option<Addresses> {
    match name.parse::<IpAddr>() {
        Ok(ip) => Some(Ok(vec![ip.to_canonical()])),
        Err(_) => address::is_mistyped(name).then(|| Err("no IP address".into())),
    }
}

fn or_late(answer: Option<Addresses>) -> Addresses {
    answer.unwrap_or_else(|| Err("no answer in time".into()))
}

impl Resolver {
    /// Forks the process, which becomes `identity`.
    pub fn start(names: Vec<String>, identity: Identity) -> Result<Resolver, Errno> {
        let (channel, end) = ParentToResolver::pair()?;
        let body = |mut ends: Vec<OwnedFd>| match ends.pop() {
            Some(end) => {
                let asked = &names[..names.len().min(MOST_NAMES)];
                run(asked, identity, &ResolverToParent::from_end(end))
            }
            None => 111,
        };
        let pid = process::fork_role(vec![end.into_end()], body).map_err(|(errno, _)| errno)?;
        let answer = |place| match place < MOST_NAMES {
            true => None,
            false => Some(Err(format!("more than {MOST_NAMES} names"))),
        };
        Ok(Resolver {
            pid,
            channel,
            answers: (0..names.len()).map(answer).collect(),
        })
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Takes what has come. True: there is nothing more to wait for.
    pub fn try_receive(&mut self) -> bool {
        while !self.is_done() {
            match self.channel.try_receive() {
                Ok(Some((resolved, _))) => self.take(resolved),
                Ok(None) => return false,
                Err(error) => self.fail(&error),
            }
        }
        true
    }

    /// The answers in the order of the names. What is still open has not been answered in time.
    pub fn finish(mut self) -> Vec<Addresses> {
        let answers = std::mem::take(&mut self.answers);
        answers.into_iter().map(or_late).collect()
    }

    fn wait(&mut self, deadline: Instant) {
        while !self.is_done() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.channel.receive_within(left) {
                Ok((resolved, _)) => self.take(resolved),
                Err(ChannelError::TimedOut) => return,
                Err(error) => self.fail(&error),
            }
        }
    }

    fn is_done(&self) -> bool {
        self.answers.iter().all(Option::is_some)
    }

    /// Every question has one answer.
    fn take(&mut self, resolved: Resolved) {
        match self.answers.get_mut(usize::from(resolved.place)) {
            Some(answer @ None) => *answer = Some(resolved.addresses),
            _ => self.fail(&ChannelError::Malformed),
        }
    }

    /// Nothing more comes.
    fn fail(&mut self, error: &ChannelError) {
        let reason = match error {
            ChannelError::Closed => "the resolver ended without an answer".into(),
            other => format!("the resolver failed: {other}"),
        };
        for answer in self.answers.iter_mut().filter(|answer| answer.is_none()) {
            *answer = Some(Err(reason.clone()));
        }
    }
}

impl AsFd for Resolver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        process::end(self.pid);
    }
}

/// Runs the resolver to its end.
fn run(names: &[String], identity: Identity, parent: &ResolverToParent) -> u8 {
    role::take_up(c"ssl-resolver");
    let confined = role::confine(&Confinement {
        root: None,
        identity,
    });
    if let Err(error) = confined {
        return refuse(parent, names, &error.to_string());
    }
    let next = AtomicUsize::new(0);
    // Nobody begins before all are under the filter, which leaves no way to start another thread.
    let gate = Mutex::new(());
    let closed = gate.lock();
    let work = || {
        drop(gate.lock());
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            match names.get(place) {
                Some(name) if answer(parent, place, look_up_one(name)) => {}
                _ => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(names.len()) {
            // With fewer threads it takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        if let Err(error) = sandbox::confine_resolver() {
            // The others wait at the gate, and end with the process.
            process::leave(refuse(parent, names, &error));
        }
        drop(closed);
        work();
    });
    0
}

/// Nothing is looked up.
fn refuse(parent: &ResolverToParent, names: &[String], reason: &str) -> u8 {
    for place in 0..names.len() {
        answer(parent, place, Err(reason.to_owned()));
    }
    111
}

/// False if nobody is there to take it.
fn answer(parent: &ResolverToParent, place: usize, addresses: Addresses) -> bool {
    let Ok(place) = u16::try_from(place) else {
        return false;
    };
    parent.send(&Resolved { place, addresses }, &[]).is_ok()
}

fn look_up_one(name: &str) -> Addresses {
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        // Whom it failed is plain from where the words will stand.
        let words = error.to_string();
        let reason = words.strip_prefix("failed to lookup address information: ");
        reason.unwrap_or(&words).to_owned()
    })?;
    let mut addresses = Vec::new();
    for address in found.map(|address| address.ip().to_canonical()) {
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    match addresses.is_empty() {
        true => Err("no addresses".into()),
        false => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own_answer_and_a_mistyped_one_is_none() {
        let names = [
            "192.0.2.1",
            "::ffff:192.0.2.2",
            "2001:db8::1",
            "300.1.1.1",
            "",
        ];
        // Nobody has the time to look anything up.
        let answers = resolve(&names, Identity::current(), Duration::ZERO);
        let ip = |text: &str| Ok(vec![text.parse().unwrap()]);
        let wrong = || Err("no IP address".into());
        let expected = [
            ip("192.0.2.1"),
            ip("192.0.2.2"),
            ip("2001:db8::1"),
            wrong(),
            wrong(),
        ];
        assert_eq!(answers, expected);
    }
}
