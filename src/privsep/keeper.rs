//! The keeper: the only process that has the private keys. It reads them confined to SSL_CHROOT as SSL_USER, has no
//! network, and answers each session's channel once, with a signature over a handshake or not at all.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::channel::ChannelError;
use super::message::{
    FromKeeper, KeeperToListener, KeeperToSession, KeeperToTerminator, Reply, Request, ToKeeper,
};
use super::role::{self, Confinement};
use super::safe::Safe;
use super::sandbox;
use crate::sys::{descriptor, words};
use crate::tls::material::{Files, SetFiles};
use crate::tls::tickets::{self, TicketSecrets};

/// How long the password may take to arrive on its descriptor; somebody may have to type it.
const PASSWORD_PATIENCE: Duration = Duration::from_secs(120);
/// OpenSSL's own buffer for a password.
const MAX_PASSWORD: usize = 1024;

/// What the keeper is to read.
#[derive(Clone)]
pub struct Orders {
    pub confinement: Confinement,
    /// The set that connections have unless a rule says otherwise.
    pub files: SetFiles,
}

/// What the keeper is given by descriptor.
pub struct Given {
    pub listener: KeeperToListener,
    /// With `-3`: where the password comes from.
    pub password: Option<OwnedFd>,
    /// Files that the listener opened as root because nobody else is set to read them.
    pub opened: Files,
}

/// Runs the keeper to its end, which is the listener's.
pub fn run(orders: &Orders, given: Given) -> u8 {
    role::take_up(c"ssl-keeper");
    let listener = given.listener;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
    let prepared = epoll
        .map_err(|errno| format!("fatal: (111) keeper: {}", errno.desc()))
        .and_then(|epoll| {
            let loaded = prepare(orders, given.password.as_ref(), &given.opened)?;
            Ok((loaded, epoll))
        });
    match prepared {
        Ok((loaded, epoll)) => match serve(loaded, &epoll, &listener) {
            Ok(()) => 0,
            Err(errno) => fail(&listener, format!("fatal: (111) keeper: {}", errno.desc())),
        },
        Err(text) => fail(&listener, text),
    }
}

fn fail(listener: &KeeperToListener, text: String) -> u8 {
    // A listener that is gone needs no reason.
    let _ = listener.send(&FromKeeper::Fatal(text), &[]);
    111
}

fn prepare(
    orders: &Orders,
    password: Option<&OwnedFd>,
    opened: &Files,
) -> Result<(Safe, Vec<String>), String> {
    // The library reads its configuration file, so before the root changes.
    openssl::init();
    let confined = role::confine(&orders.confinement);
    confined.map_err(|error| match &orders.confinement.root {
        Some(root) => format!("fatal: (111) {error} (SSL_CHROOT is {})", root.display()),
        None => format!("fatal: (111) {error}"),
    })?;
    let mut safe = Safe {
        password: password.map(read_password).transpose()?,
        keys: Vec::new(),
        sets: HashMap::new(),
        tickets: TicketSecrets::random(tickets::now())
            .map_err(|stack| format!("fatal: (111) keeper: no random numbers: {stack}"))?,
    };
    let loaded = safe.load(0, &orders.files, opened);
    let warnings = loaded.map_err(|error| format!("error: (111) {error}"))?;
    sandbox::confine_keeper()?;
    Ok((safe, warnings))
}

/// Reads up to NUL or the end.
fn read_password(source: &OwnedFd) -> Result<Vec<u8>, String> {
    let failed = |reason: &str| format!("error: (111) unable to read password from FD3: {reason}");
    let deadline = Instant::now() + PASSWORD_PATIENCE;
    let mut password = Vec::new();
    let mut reader =
        std::fs::File::from(source.try_clone().map_err(|e| failed(&words::reason(&e)))?);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let [ready] = descriptor::wait([Some((source.as_fd(), PollFlags::POLLIN))], left)
            .map_err(|errno| failed(errno.desc()))?;
        if !ready.readable {
            match left.is_zero() {
                true => return Err(failed("nothing came in two minutes")),
                false => continue,
            }
        }
        let mut byte = [0];
        match reader.read(&mut byte) {
            Ok(1) if byte[0] != 0 => password.push(byte[0]),
            Ok(_) => return Ok(password),
            Err(error) => return Err(failed(&words::reason(&error))),
        }
        if password.len() > MAX_PASSWORD {
            return Err("error: (111) password too long: more than 1024 bytes on FD3".into());
        }
    }
}

/// Who is at the other end of a descriptor.
enum Peer {
    Terminator(KeeperToTerminator, Untold),
    Session(KeeperToSession, Served),
}

/// The sets that a terminator is still to be told of, and how much of the first it knows.
#[derive(Default)]
struct Untold {
    sets: VecDeque<u32>,
    place: usize,
}

/// Sessions do not wait for longer than this many parts of a set take.
const PARTS_AT_ONCE: usize = 64;

const LISTENER: u64 = 0;

/// Everybody who talks to the keeper.
struct Company<'a> {
    epoll: &'a Epoll,
    listener: &'a KeeperToListener,
    peers: HashMap<u64, Peer>,
    next: u64,
    /// The terminator that new sets are told, and how many there were.
    terminator: u64,
    terminators: u32,
}

fn serve(
    (mut safe, warnings): (Safe, Vec<String>),
    epoll: &Epoll,
    listener: &KeeperToListener,
) -> Result<(), Errno> {
    epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let dh_bits = safe.sets.get(&0).map_or(0, |set| set.dh_bits);
    report(listener, warnings, FromKeeper::Loaded { dh_bits });
    let mut company = Company {
        epoll,
        listener,
        peers: HashMap::new(),
        next: LISTENER + 1,
        terminator: LISTENER,
        terminators: 0,
    };
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            match event.data() {
                LISTENER => match listener.try_receive() {
                    Ok(Some((order, ends))) => company.obey(&mut safe, order, ends),
                    Ok(None) => {}
                    // The listener has ended, and so has the service.
                    Err(_) => return Ok(()),
                },
                number => company.hear(&mut safe, number),
            }
        }
    }
}

impl Company<'_> {
    /// Does what the listener says.
    fn obey(&mut self, safe: &mut Safe, order: ToKeeper, mut ends: Vec<OwnedFd>) {
        match order {
            ToKeeper::Worker | ToKeeper::Heir => {}
            ToKeeper::Terminator => {
                let Some(end) = ends.pop() else {
                    return;
                };
                let terminator = KeeperToTerminator::from_end(end);
                self.terminators += 1;
                if let Some(number) = self.welcome(Peer::Terminator(terminator, Untold::default()))
                {
                    self.terminator = number;
                    self.publish(safe, 0);
                }
            }
            ToKeeper::Set {
                number,
                files,
                opened,
            } => {
                let opened = opened.into_iter().zip(ends.into_iter().map(File::from));
                let opened = Files {
                    opened: opened.collect(),
                };
                let warnings = match safe.sets.contains_key(&number) {
                    true => Vec::new(),
                    false => match safe.load(number, &files, &opened) {
                        Ok(warnings) => warnings,
                        Err(error) => {
                            let reason = error.to_string();
                            let failed = FromKeeper::SetFailed { number, reason };
                            return report(self.listener, Vec::new(), failed);
                        }
                    },
                };
                self.publish(safe, number);
                let terminators = self.terminators;
                let loaded = FromKeeper::SetLoaded {
                    number,
                    terminators,
                };
                report(self.listener, warnings, loaded);
            }
        }
    }

    /// Has the latest terminator told of a set.
    fn publish(&mut self, safe: &Safe, set: u32) {
        if let Some(Peer::Terminator(_, untold)) = self.peers.get_mut(&self.terminator) {
            untold.sets.push_back(set);
            self.tell_more(safe, self.terminator);
        }
    }

    /// Tells a terminator as much as it has room for; the rest follows when there is more. Waiting for it would be
    /// the end of both: it may be waiting for us.
    fn tell_more(&mut self, safe: &Safe, number: u64) {
        let Some(Peer::Terminator(terminator, untold)) = self.peers.get_mut(&number) else {
            return;
        };
        for _ in 0..PARTS_AT_ONCE {
            let Some(&set) = untold.sets.front() else {
                break;
            };
            match safe.part(set, untold.place) {
                None => {
                    untold.sets.pop_front();
                    untold.place = 0;
                }
                Some(part) => match terminator.try_send(part, &[]) {
                    Ok(()) => untold.place += 1,
                    Err(ChannelError::System(Errno::EAGAIN)) => break,
                    // One that does not take it will be found dead.
                    Err(_) => *untold = Untold::default(),
                },
            }
        }
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, !untold.sets.is_empty());
        let mut event = EpollEvent::new(flags, number);
        // It is in there.
        let _ = self.epoll.modify(&*terminator, &mut event);
    }

    /// Takes in what a terminator or session says, and goes on with what a terminator is told.
    fn hear(&mut self, safe: &mut Safe, number: u64) {
        match self.peers.get_mut(&number) {
            Some(Peer::Terminator(terminator, untold)) => {
                let is_told = untold.sets.is_empty();
                match terminator.try_receive() {
                    Ok(Some((_, mut ends))) => {
                        if let Some(end) = ends.pop() {
                            let session = KeeperToSession::from_end(end);
                            self.welcome(Peer::Session(session, Served::default()));
                        }
                    }
                    Ok(None) => {}
                    Err(_) => return drop(self.peers.remove(&number)),
                }
                if !is_told {
                    self.tell_more(safe, number);
                }
            }
            Some(Peer::Session(session, served)) => {
                let more = answer(safe, session, served, self.listener);
                if !more {
                    self.peers.remove(&number);
                }
            }
            None => {}
        }
    }

    fn welcome(&mut self, peer: Peer) -> Option<u64> {
        let end = match &peer {
            Peer::Terminator(terminator, _) => terminator.as_fd(),
            Peer::Session(session, _) => session.as_fd(),
        };
        let number = self.next;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
        self.epoll.add(end, event).ok()?;
        self.peers.insert(number, peer);
        self.next += 1;
        Some(number)
    }
}

/// Says what became of a set, which the listener waits for, after what there is to say about it.
fn report(listener: &KeeperToListener, warnings: Vec<String>, verdict: FromKeeper) {
    let warnings = warnings.into_iter().map(FromKeeper::Warning);
    for message in warnings.chain([verdict]) {
        // A listener that is gone needs none.
        let _ = listener.send(&message, &[]);
    }
}

/// The log is a courtesy: a full or closed channel must not stop the signatures.
fn tell(listener: &KeeperToListener, message: FromKeeper) {
    let _ = listener.try_send(&message, &[]);
}

/// What a session has had already.
#[derive(Default)]
struct Served {
    opened: bool,
    signed: bool,
}

/// Answers a session. `false`: it had all it gets, or asked for what it must not have.
fn answer(
    safe: &mut Safe,
    session: &KeeperToSession,
    served: &mut Served,
    listener: &KeeperToListener,
) -> bool {
    let refusal = match session.try_receive() {
        Ok(Some((Request::Open(name), _))) if !served.opened && !served.signed => {
            served.opened = true;
            let reply = Reply {
                signature: Vec::new(),
                opened: safe.tickets.open(name, tickets::now()),
                fresh: safe.tickets.fresh(tickets::now()).ok(),
            };
            return session.try_send(&reply, &[]).is_ok();
        }
        Ok(Some((
            Request::Sign {
                key,
                scheme,
                message,
            },
            _,
        ))) if !served.signed => {
            served.signed = true;
            match safe.sign(key, scheme, &message) {
                Ok(signature) => {
                    let reply = Reply {
                        signature,
                        opened: None,
                        fresh: safe.tickets.fresh(tickets::now()).ok(),
                    };
                    return session.try_send(&reply, &[]).is_ok();
                }
                Err(refusal) => refusal,
            }
        }
        Ok(Some(_)) => "a session asks for more than one handshake needs".into(),
        Err(ChannelError::Malformed) => ChannelError::Malformed.to_string(),
        // Gone: it has what it wanted, or the client hung up before it came to that.
        Ok(None) | Err(_) => return false,
    };
    tell(
        listener,
        FromKeeper::Warning(format!("keeper refused to sign: {refusal}")),
    );
    false
}
