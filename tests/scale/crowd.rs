//! Thousands of TLS clients in one process with one thread. Orders come as lines, each is answered by one.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt};
use openssl::ssl::{
    Ssl, SslContext, SslMethod, SslMode, SslOptions, SslSession, SslSessionCacheMode, SslStream,
    SslVersion,
};
use slab::Slab;

use crate::frame::Request;
use crate::member::{Member, Progress, Step};
use crate::resumed;
use crate::work::Work;

pub const ROLE: &str = "crowd";
/// Clients of TLS 1.2 have session IDs in place of tickets.
pub const TICKETLESS: &str = "ticketless-crowd";

/// Nothing at all has happened for so many milliseconds.
const SILENCE: u16 = 30_000;
/// Handshakes under way at a time.
const SHAKING: usize = 64;
/// Addresses that the clients have, 127.0.0.2 and the following ones.
const SOURCES: u8 = 50;
/// Sessions kept for each version.
const SESSIONS: usize = 1000;

pub struct Crowd {
    target: SocketAddr,
    context: SslContext,
    epoll: Epoll,
    pub members: Slab<Member>,
    sessions: Arc<Mutex<Sessions>>,
    scratch: Vec<u8>,
    /// The kernel's, in bytes; `None`: as it likes.
    receive_buffer: Option<usize>,
    begun: u64,
}

#[derive(Default)]
struct Sessions {
    older: VecDeque<SslSession>,
    newest: VecDeque<SslSession>,
}

/// Does what its input says until that ends.
pub fn run(role: &str, target: &str) -> ExitCode {
    let mut crowd = Crowd::new(target.parse().expect("an address"), role == TICKETLESS);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match crowd.obey(&line) {
            Ok(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                println!("ok {}", numbers.join(" "));
            }
            Err(text) => {
                println!("{line}: {text}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

impl Crowd {
    fn new(target: SocketAddr, is_ticketless: bool) -> Crowd {
        let sessions: Arc<Mutex<Sessions>> = Arc::default();
        let mut context = SslContext::builder(SslMethod::tls_client()).expect("an SSL_CTX");
        context.set_mode(
            SslMode::RELEASE_BUFFERS
                | SslMode::ACCEPT_MOVING_WRITE_BUFFER
                | SslMode::ENABLE_PARTIAL_WRITE,
        );
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT);
        if is_ticketless {
            context.set_options(SslOptions::NO_TICKET);
        }
        let kept = sessions.clone();
        context.set_new_session_callback(move |_, session| {
            let mut kept = kept.lock().expect("one thread");
            let kept = match session.protocol_version() == SslVersion::TLS1_3 {
                true => &mut kept.newest,
                false => &mut kept.older,
            };
            kept.push_back(session);
            if kept.len() > SESSIONS {
                kept.pop_front();
            }
        });
        Crowd {
            target,
            context: context.build(),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an epoll"),
            members: Slab::new(),
            sessions,
            scratch: vec![0; 1 << 16],
            receive_buffer: None,
            begun: 0,
        }
    }

    fn obey(&mut self, order: &str) -> Result<Vec<u64>, String> {
        let words: Vec<&str> = order.split_whitespace().collect();
        let number = |place: usize| -> u64 { words[place].parse().expect("a number") };
        match words[0] {
            "open" => self.open(number(1) as usize),
            "echo" => self.echo(number(1)),
            "close" => self.each(|member| member.add(Step::Close)),
            "ask" => self.ask(number(1), number(2)),
            "read" => self.each(|member| member.asleep = false),
            "pour" => self.pour(number(1)),
            "narrow" => {
                self.receive_buffer = Some(number(1) as usize);
                Ok(Vec::new())
            }
            "flood" => self.flood(words[1]),
            "stream" => self.stream(words[1], words[2], number(3)),
            "work" => Work::new(number(1), number(2), number(3), number(4)).run(self),
            other => Err(format!("{other} is no order")),
        }
    }

    /// A new connection. `resume`: of the version asked for, if there is a session of it; the answer says if there was.
    pub fn join(&mut self, newest: bool, resume: bool) -> Result<(usize, bool), String> {
        let stream = self
            .connect()
            .map_err(|errno| format!("connect: {errno}"))?;
        let mut ssl = Ssl::new(&self.context).map_err(|stack| stack.to_string())?;
        let version = match newest {
            true => SslVersion::TLS1_3,
            false => SslVersion::TLS1_2,
        };
        ssl.set_max_proto_version(Some(version))
            .map_err(|stack| stack.to_string())?;
        let session = resume.then(|| self.session(newest)).flatten();
        if let Some(session) = &session {
            resumed::ask_for(&mut ssl, session).map_err(|stack| stack.to_string())?;
        }
        let tls = SslStream::new(ssl, stream).map_err(|stack| stack.to_string())?;
        self.begun += 1;
        let entry = self.members.vacant_entry();
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        let event = EpollEvent::new(flags, entry.key() as u64);
        self.epoll
            .add(tls.get_ref(), event)
            .map_err(|errno| format!("epoll: {errno}"))?;
        let place = entry.key();
        entry.insert(Member::new(tls, self.begun << 32));
        Ok((place, session.is_some()))
    }

    /// A ticket of TLS 1.3 is good once, a session of TLS 1.2 as often as one likes.
    fn session(&self, newest: bool) -> Option<SslSession> {
        let mut sessions = self.sessions.lock().expect("one thread");
        match newest {
            true => sessions.newest.pop_front(),
            false => sessions.older.back().cloned(),
        }
    }

    fn connect(&self) -> nix::Result<TcpStream> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        // The port is chosen with the target, so that those of the proxy's own connections stay free.
        socket::setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)?;
        let host = 2 + (self.begun % u64::from(SOURCES)) as u8;
        let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
        socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(source))?;
        socket::setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        if let Some(size) = &self.receive_buffer {
            socket::setsockopt(&fd, sockopt::RcvBuf, size)?;
        }
        match socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(self.target)) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(fd)),
            Err(errno) => Err(errno),
        }
    }

    /// Waits once. Answers with those that have come to rest, or to their end, in which case they are out.
    pub fn turn(&mut self) -> Result<Vec<(usize, Progress)>, String> {
        let mut events = [EpollEvent::empty(); 256];
        let count = match self.epoll.wait(&mut events, EpollTimeout::from(SILENCE)) {
            Ok(0) => return Err("nothing happened for 30 seconds".to_owned()),
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(format!("epoll: {errno}")),
        };
        let mut done = Vec::new();
        for event in &events[..count] {
            let place = event.data() as usize;
            let member = self.members.get(place);
            if member.is_none_or(Member::is_idle) {
                continue;
            }
            match self.advance(place)? {
                Progress::Waits => {}
                progress => done.push((place, progress)),
            }
        }
        Ok(done)
    }

    fn advance(&mut self, place: usize) -> Result<Progress, String> {
        self.members[place].advance(&mut self.scratch)
    }

    /// So many more connections, each of which has had one answer.
    fn open(&mut self, count: usize) -> Result<Vec<u64>, String> {
        let (mut begun, mut ready) = (0, 0);
        while ready < count {
            while begun < count && begun - ready < SHAKING {
                let (place, _) = self.join(true, false)?;
                self.members[place].add(Step::Ask(Request::Echo, 1));
                begun += 1;
            }
            // Those from before say nothing.
            ready += self.turn()?.len();
        }
        Ok(vec![self.members.len() as u64])
    }

    /// So many echoes on every connection, one after the other, on all of them at a time. Answers with the least that
    /// one of them had had when the first had had all.
    fn echo(&mut self, rounds: u64) -> Result<Vec<u64>, String> {
        let before: Vec<(usize, u64)> = self.members.iter().map(|(p, m)| (p, m.answered)).collect();
        for (_, member) in &mut self.members {
            member.add(Step::Ask(Request::Echo, rounds));
        }
        let mut least = None;
        let mut resting = 0;
        for (place, _) in &before {
            resting += usize::from(self.advance(*place)? == Progress::Rests);
        }
        while resting < before.len() {
            resting += self.turn()?.len();
            if resting > 0 && least.is_none() {
                let had = before
                    .iter()
                    .map(|(p, had)| self.members[*p].answered - had);
                least = had.min();
            }
        }
        Ok(vec![least.unwrap_or(0)])
    }

    /// Changes all, and has them go on until all rest or are over.
    fn each(&mut self, change: impl Fn(&mut Member)) -> Result<Vec<u64>, String> {
        let mut busy = self.members.len();
        let places: Vec<usize> = self.members.iter().map(|(place, _)| place).collect();
        let mut done = Vec::new();
        for place in places {
            change(&mut self.members[place]);
            match self.advance(place)? {
                Progress::Waits => {}
                progress => done.push((place, progress)),
            }
        }
        loop {
            busy -= done.len();
            for (place, progress) in done {
                if progress == Progress::Over {
                    self.members.remove(place);
                }
            }
            if busy == 0 {
                return Ok(vec![self.members.len() as u64]);
            }
            done = self.turn()?;
        }
    }

    /// So many more connections, each of which asks for so many bytes and does not read them.
    fn ask(&mut self, count: u64, size: u64) -> Result<Vec<u64>, String> {
        self.open(count as usize)?;
        for (place, member) in &mut self.members {
            member.asleep = true;
            let start = place as u64 * 977;
            member.add(Step::Ask(Request::Down { size, start }, 1));
        }
        let places: Vec<usize> = self.members.iter().map(|(place, _)| place).collect();
        for place in places {
            self.advance(place)?;
        }
        Ok(vec![self.members.len() as u64])
    }

    /// So many more connections that send for ever to a backend that does not read; as much as goes now. Answers with
    /// the number of bytes.
    fn pour(&mut self, count: u64) -> Result<Vec<u64>, String> {
        if count > 0 {
            self.open(count as usize)?;
            for (_, member) in &mut self.members {
                member.add(Step::Ask(Request::Stall, 1));
            }
        }
        let places: Vec<usize> = self.members.iter().map(|(place, _)| place).collect();
        for place in places {
            self.advance(place)?;
        }
        let poured = self.members.iter().map(|(_, member)| member.poured);
        Ok(vec![poured.sum()])
    }

    /// One connection more, with a stream that never ends, down or up.
    fn flood(&mut self, direction: &str) -> Result<Vec<u64>, String> {
        let (size, start) = (u64::MAX, 0);
        let (place, _) = self.join(true, false)?;
        self.members[place].add(Step::Ask(
            match direction {
                "down" => Request::Down { size, start },
                _ => Request::Up { size, start },
            },
            1,
        ));
        loop {
            self.turn()?;
        }
    }

    /// One connection of a version with one stream, down or up, to its end.
    fn stream(&mut self, version: &str, direction: &str, size: u64) -> Result<Vec<u64>, String> {
        let start = 4711;
        let (place, _) = self.join(version == "newest", false)?;
        let member = &mut self.members[place];
        let request = match direction {
            "down" => Request::Down { size, start },
            _ => Request::Up { size, start },
        };
        member.add(Step::Ask(request, 1));
        member.add(Step::Close);
        loop {
            if self.turn()? == [(place, Progress::Over)] {
                let member = self.members.remove(place);
                return Ok(vec![member.answered]);
            }
        }
    }
}
