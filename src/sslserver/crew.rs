//! The processes that speak TLS: one terminator that forks a session for each connection, or with `-j` several that
//! share all connections. Those that serve now, those that are to follow them, and those that only finish.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::connection::Handover;
use crate::privsep::backoff::Backoff;
use crate::privsep::message::ListenerToTerminator;

/// Time for a terminator to end whose channel has, or that was killed.
pub const PARTING: Duration = Duration::from_secs(5);

/// What a terminator is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It takes new connections.
    Serves,
    /// It will when all that are to follow are ready.
    Follows,
    /// It finishes the connections that it has.
    Finishes,
}

pub struct Terminator {
    /// What events of its channel are about.
    pub token: u64,
    /// The number by which the keeper knows it.
    pub ordinal: u32,
    pub pid: Pid,
    pub channel: ListenerToTerminator,
    pub duty: Duty,
    /// When it must be ready; `None`: it is.
    pub until: Option<Instant>,
    /// Its channel has ended, or makes no sense; when it must have ended too.
    pub parts: Option<Instant>,
    /// Its channel had no room; it is watched for room.
    pub full: bool,
    /// Something else was lacking, such as descriptors that may be on their way; it is tried again then.
    pub again: Option<Instant>,
    /// Connections that it serves itself.
    pub load: usize,
    /// A client has waited for it in vain, and it has said nothing since.
    pub silent: bool,
    /// What it had no room for yet.
    pub outgoing: VecDeque<Outgoing>,
    /// What it knows of the sets of rules.
    pub sets: HashMap<u32, SetState>,
}

/// What goes to a terminator, in this order.
pub enum Outgoing {
    Set(u32),
    Client(Handover),
    /// There is nothing more for it.
    Drain,
}

/// A set that a terminator was asked to serve.
pub enum SetState {
    /// The keeper is at it, and these connections wait.
    Asked(Vec<Handover>),
    Ready,
    Failed(Instant, String),
}

impl Terminator {
    pub fn is_ready(&self) -> bool {
        self.until.is_none()
    }

    /// It can be given clients.
    fn serves(&self) -> bool {
        self.duty == Duty::Serves && self.is_ready() && self.parts.is_none()
    }

    /// Takes all clients from it that it has not got yet.
    pub fn take_clients(&mut self) -> Vec<Handover> {
        let mut clients = Vec::new();
        for outgoing in self.outgoing.drain(..) {
            if let Outgoing::Client(handover) = outgoing {
                clients.push(handover);
            }
        }
        for (_, state) in self.sets.drain() {
            if let SetState::Asked(waiting) = state {
                clients.extend(waiting);
            }
        }
        clients
    }

    /// The connection is over; it waits for nothing any more.
    pub fn withdraw(&mut self, connection: u64) {
        self.outgoing
            .retain(|outgoing| !matches!(outgoing, Outgoing::Client(c) if c.number == connection));
        for state in self.sets.values_mut() {
            if let SetState::Asked(waiting) = state {
                waiting.retain(|handover| handover.number != connection);
            }
        }
    }
}

pub struct Crew {
    /// How many serve at a time.
    pub size: usize,
    pub members: Vec<Terminator>,
    pub backoff: Backoff,
    /// When those that are missing are started.
    pub due: Option<Instant>,
    /// How many there were.
    pub count: u32,
}

impl Crew {
    pub fn new(size: usize) -> Crew {
        Crew {
            size,
            members: Vec::new(),
            backoff: Backoff::default(),
            due: None,
            count: 0,
        }
    }

    pub fn with(&self, duty: Duty) -> impl Iterator<Item = &Terminator> {
        self.members.iter().filter(move |one| one.duty == duty)
    }

    /// All that are to serve do.
    pub fn is_complete(&self) -> bool {
        self.with(Duty::Serves).filter(|one| one.is_ready()).count() >= self.size
    }

    /// All that are to follow could.
    pub fn may_take_over(&self) -> bool {
        let ready = self.with(Duty::Follows).filter(|one| one.is_ready());
        ready.count() >= self.size
    }

    /// Somebody takes new connections and has room for them.
    pub fn takes(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|one| one.serves() && one.outgoing.is_empty())
    }

    /// Who is to have the next connection: the one with the fewest. One that stands still would always be it: those who
    /// wait for it in vain are not there for long.
    pub fn choose(&mut self) -> Option<&mut Terminator> {
        let able = self.members.iter_mut().filter(|one| one.serves());
        able.min_by_key(|one| (one.silent, one.load + one.outgoing.len()))
    }

    pub fn by_token(&mut self, token: u64) -> Option<&mut Terminator> {
        self.members.iter_mut().find(|one| one.token == token)
    }

    pub fn by_ordinal(&mut self, ordinal: u32) -> Option<&mut Terminator> {
        self.members.iter_mut().find(|one| one.ordinal == ordinal)
    }

    /// One that should have been ready by now, or gone, and in which of these ways it is late. It has a little more time
    /// to be reaped after that.
    pub fn stuck(&mut self, now: Instant) -> Option<(Pid, &'static str)> {
        self.members.iter_mut().find_map(|one| {
            let ways = [
                (&mut one.until, "does not get ready"),
                (&mut one.parts, "says nothing more"),
            ];
            ways.into_iter().find_map(|(moment, what)| {
                moment.filter(|moment| *moment <= now)?;
                *moment = Some(now + PARTING);
                Some((one.pid, what))
            })
        })
    }

    /// One for whom it is time to try again.
    pub fn waiting(&self, now: Instant) -> Option<u64> {
        let is_due = |one: &&Terminator| one.again.is_some_and(|again| again <= now);
        self.members.iter().find(is_due).map(|one| one.token)
    }

    /// The next moment at which there is something to do.
    pub fn moment(&self) -> Option<Instant> {
        let members = self.members.iter();
        let moments = members.flat_map(|one| [one.until, one.parts, one.again]);
        moments.chain([self.due]).flatten().min()
    }
}
