//! Everybody who talks to the keeper, and what they get.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};

use super::report;
use crate::privsep::channel::ChannelError;
use crate::privsep::message::{
    FromKeeper, KeeperToListener, KeeperToSession, KeeperToTerminator, Request, ToKeeper,
};
use crate::privsep::reader::{Order, Outcome, Reader, Wanted};
use crate::privsep::safe::{KeySet, Told, answer};
use crate::tls::material::Files;
use crate::tls::tickets::{self, TicketSecrets};

/// Who is at the other end of a descriptor.
enum Peer {
    Terminator(KeeperToTerminator, Untold),
    /// With what its terminator was told, whose keys it may ask for.
    Session(KeeperToSession, Shared, Served),
    /// A process that shares its sessions.
    Worker(KeeperToSession, Shared),
}

type Shared = Rc<RefCell<Told>>;

/// The sets that a terminator is still to be told of, and how much of the first it knows.
struct Untold {
    told: Shared,
    sets: VecDeque<Rc<KeySet>>,
    place: usize,
}

/// What a session has had already.
#[derive(Default)]
struct Served {
    opened: bool,
    signed: bool,
}

/// Sessions do not wait for longer than this many parts of a set take.
const PARTS_AT_ONCE: usize = 64;

const LISTENER: u64 = 0;
const READER: u64 = 1;

pub struct Company<'a> {
    epoll: &'a Epoll,
    listener: &'a KeeperToListener,
    reader: Reader,
    ticket_keys: Option<&'a PathBuf>,
    tickets: TicketSecrets,
    /// The latest of each, by number.
    sets: HashMap<u32, Rc<KeySet>>,
    peers: HashMap<u64, Peer>,
    next: u64,
    /// Terminators by the listener's numbers.
    terminators: HashMap<u32, u64>,
}

impl<'a> Company<'a> {
    pub fn new(
        ticket_keys: Option<&'a PathBuf>,
        epoll: &'a Epoll,
        listener: &'a KeeperToListener,
        reader: Reader,
        first: KeySet,
        tickets: TicketSecrets,
    ) -> Company<'a> {
        Company {
            epoll,
            listener,
            reader,
            ticket_keys,
            tickets,
            sets: HashMap::from([(0, Rc::new(first))]),
            peers: HashMap::new(),
            next: READER + 1,
            terminators: HashMap::new(),
        }
    }

    /// Serves them until the listener has ended, and with it the service. Errors are those of epoll(7).
    pub fn serve(&mut self) -> Result<(), Errno> {
        let event = |number| EpollEvent::new(EpollFlags::EPOLLIN, number);
        self.epoll.add(self.listener, event(LISTENER))?;
        self.epoll.add(&self.reader, event(READER))?;
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for event in &events[..count] {
                match event.data() {
                    LISTENER => match self.listener.try_receive() {
                        Ok(Some((order, ends))) => self.obey(order, ends),
                        Ok(None) => {}
                        Err(_) => return Ok(()),
                    },
                    READER => {
                        let outcomes: Vec<_> = self.reader.outcomes().collect();
                        outcomes
                            .into_iter()
                            .for_each(|outcome| self.take_in(outcome));
                    }
                    number => self.hear(number),
                }
            }
        }
    }

    /// Does what the listener says.
    fn obey(&mut self, order: ToKeeper, ends: Vec<OwnedFd>) {
        match order {
            // Of proxies alone, whose keeper is another.
            ToKeeper::Heir => {}
            ToKeeper::Terminator(ordinal) => {
                if let Some(end) = ends.into_iter().next() {
                    self.enrol(ordinal, end, Shared::default());
                }
            }
            ToKeeper::Worker(ordinal) => {
                if let Ok([publish, requests]) = <[OwnedFd; 2]>::try_from(ends) {
                    let told = Shared::default();
                    let worker = KeeperToSession::from_end(requests);
                    self.welcome(Peer::Worker(worker, told.clone()));
                    self.enrol(ordinal, publish, told);
                }
            }
            ToKeeper::Set {
                number,
                terminator: Some(terminator),
                ..
            } if self.sets.contains_key(&number) => self.set_loaded(number, terminator, Vec::new()),
            ToKeeper::Set {
                number,
                terminator,
                files,
                opened,
            } => {
                let opened = opened.into_iter().zip(ends.into_iter().map(File::from));
                let opened = Files {
                    opened: opened.collect(),
                };
                let wanted = Wanted { number, terminator };
                self.reader.order(Order::Set(wanted, files, opened));
            }
            ToKeeper::Tickets => {
                if let Some(path) = self.ticket_keys {
                    let files = ends.into_iter().map(|end| (path.clone(), File::from(end)));
                    let opened = Files {
                        opened: files.collect(),
                    };
                    self.reader.order(Order::Tickets(path.clone(), opened));
                }
            }
            ToKeeper::Look => self.reader.order(Order::Look),
            ToKeeper::Forget(number) => {
                self.sets.remove(&number);
                self.reader.order(Order::Forget(number));
            }
        }
    }

    /// Takes in what was read.
    fn take_in(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Changed => report(self.listener, Vec::new(), FromKeeper::Changed),
            Outcome::Tickets(Ok((secrets, warnings))) => {
                self.tickets = secrets;
                let said = warnings.into_iter().map(FromKeeper::Warning).collect();
                report(self.listener, said, FromKeeper::Renewed(Ok(())));
            }
            Outcome::Tickets(Err(reason)) => {
                report(self.listener, Vec::new(), FromKeeper::Renewed(Err(reason)));
            }
            Outcome::Set(Wanted { number, terminator }, material) => {
                let (set, said) = match *material {
                    Ok(material) => {
                        let before = self.sets.get(&number);
                        KeySet::of_material(number, material, before.map(|set| &**set))
                    }
                    Err(reason) => {
                        let failed = match terminator {
                            None => FromKeeper::Renewed(Err(reason)),
                            Some(terminator) => FromKeeper::SetFailed {
                                number,
                                terminator,
                                reason,
                            },
                        };
                        return report(self.listener, Vec::new(), failed);
                    }
                };
                self.sets.insert(number, Rc::new(set));
                match terminator {
                    None => report(self.listener, said, FromKeeper::Renewed(Ok(()))),
                    Some(terminator) => self.set_loaded(number, terminator, said),
                }
            }
        }
    }

    fn set_loaded(&mut self, number: u32, terminator: u32, said: Vec<FromKeeper>) {
        self.publish(terminator, number);
        let loaded = FromKeeper::SetLoaded { number, terminator };
        report(self.listener, said, loaded);
    }

    fn enrol(&mut self, ordinal: u32, end: OwnedFd, told: Shared) {
        let terminator = KeeperToTerminator::from_end(end);
        let untold = Untold {
            told,
            sets: VecDeque::new(),
            place: 0,
        };
        if let Some(number) = self.welcome(Peer::Terminator(terminator, untold)) {
            self.terminators.insert(ordinal, number);
            self.publish(ordinal, 0);
        }
    }

    /// Has a terminator told of a set.
    fn publish(&mut self, terminator: u32, set: u32) {
        let (Some(set), Some(&number)) = (self.sets.get(&set), self.terminators.get(&terminator))
        else {
            return;
        };
        if let Some(Peer::Terminator(_, untold)) = self.peers.get_mut(&number) {
            untold.told.borrow_mut().add(set.clone());
            untold.sets.push_back(set.clone());
            self.tell_more(number);
        }
    }

    /// Tells a terminator as much as it has room for; the rest follows when there is more. Waiting for it would be
    /// the end of both: it may be waiting for us.
    fn tell_more(&mut self, number: u64) {
        let Some(Peer::Terminator(terminator, untold)) = self.peers.get_mut(&number) else {
            return;
        };
        for _ in 0..PARTS_AT_ONCE {
            let Some(set) = untold.sets.front() else {
                break;
            };
            match set.parts().get(untold.place) {
                None => {
                    untold.sets.pop_front();
                    untold.place = 0;
                }
                Some(part) => match terminator.try_send(part, &[]) {
                    Ok(()) => untold.place += 1,
                    Err(ChannelError::System(Errno::EAGAIN)) => break,
                    // One that does not take it will be found dead.
                    Err(_) => untold.sets.clear(),
                },
            }
        }
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, !untold.sets.is_empty());
        let mut event = EpollEvent::new(flags, number);
        // It is in there.
        let _ = self.epoll.modify(&*terminator, &mut event);
    }

    /// Takes in what anybody but the listener says, and goes on with what a terminator is told.
    fn hear(&mut self, number: u64) {
        let more = match self.peers.get_mut(&number) {
            Some(Peer::Terminator(terminator, untold)) => {
                let is_told = untold.sets.is_empty();
                let told = untold.told.clone();
                match terminator.try_receive() {
                    Ok(Some((_, ends))) => {
                        if let Some(end) = ends.into_iter().next() {
                            let session = KeeperToSession::from_end(end);
                            self.welcome(Peer::Session(session, told, Served::default()));
                        }
                    }
                    Ok(None) => {}
                    Err(_) => {
                        self.terminators.retain(|_, other| *other != number);
                        self.peers.remove(&number);
                        return;
                    }
                }
                if !is_told {
                    self.tell_more(number);
                }
                Ok(true)
            }
            Some(Peer::Session(session, told, served)) => {
                serve_session(session, &told.borrow(), &mut self.tickets, served)
            }
            Some(Peer::Worker(worker, told)) => {
                serve_worker(worker, &told.borrow(), &mut self.tickets)
            }
            None => return,
        };
        if let Err(refusal) = &more {
            let text = format!("keeper refused to sign: {refusal}");
            // The log is a courtesy: a full or closed channel must not stop the signatures.
            let _ = self.listener.try_send(&FromKeeper::Warning(text), &[]);
        }
        if !matches!(more, Ok(true)) {
            self.peers.remove(&number);
        }
    }

    fn welcome(&mut self, peer: Peer) -> Option<u64> {
        let end = match &peer {
            Peer::Terminator(terminator, _) => terminator.as_fd(),
            Peer::Session(session, ..) | Peer::Worker(session, _) => session.as_fd(),
        };
        let number = self.next;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
        self.epoll.add(end, event).ok()?;
        self.peers.insert(number, peer);
        self.next += 1;
        Some(number)
    }
}

/// Answers a session. `false`: it had all it gets. An error: it asked for what it must not have.
fn serve_session(
    session: &KeeperToSession,
    told: &Told,
    tickets: &mut TicketSecrets,
    served: &mut Served,
) -> Result<bool, String> {
    let request = match session.try_receive() {
        Ok(Some((request, _))) => request,
        Err(ChannelError::Malformed) => return Err(ChannelError::Malformed.to_string()),
        // Gone: it has what it wanted, or the client hung up before it came to that.
        Ok(None) | Err(_) => return Ok(false),
    };
    let is_first = match &request {
        Request::Open(_) => !served.signed && !std::mem::replace(&mut served.opened, true),
        Request::Sign { .. } => !std::mem::replace(&mut served.signed, true),
        Request::Fresh => false,
    };
    if !is_first {
        return Err("a session asks for more than one handshake needs".into());
    }
    let sign = |key, scheme, message: &[u8]| told.sign(key, scheme, message);
    let mut reply = answer(request, sign, tickets)?;
    // The ticket that ends the handshake needs no message of its own.
    reply.fresh = tickets.fresh(tickets::now()).ok();
    Ok(session.try_send(&reply, &[]).is_ok())
}

/// Answers a process with many sessions.
fn serve_worker(
    worker: &KeeperToSession,
    told: &Told,
    tickets: &mut TicketSecrets,
) -> Result<bool, String> {
    match worker.try_receive() {
        Ok(Some((request, _))) => {
            let sign = |key, scheme, message: &[u8]| told.sign(key, scheme, message);
            let reply = answer(request, sign, tickets)?;
            Ok(worker.try_send(&reply, &[]).is_ok())
        }
        Err(ChannelError::Malformed) => Err(ChannelError::Malformed.to_string()),
        Ok(None) => Ok(true),
        Err(_) => Ok(false),
    }
}
