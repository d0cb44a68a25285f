//! Many connections of clients at a time, in one thread, so that they take little from the proxy.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::member::Member;
use super::protocol::Request;
use crate::client::Client;

/// Nothing at all has happened for so long.
const SILENCE_MS: u16 = 20_000;
/// For one piece of work of all connections together.
const WORK_LIMIT: Duration = Duration::from_secs(300);

pub struct Crowd<'a> {
    client: &'a Client,
    epoll: Epoll,
    members: Vec<Member>,
}

impl<'a> Crowd<'a> {
    pub fn new(client: &'a Client) -> Result<Crowd<'a>, String> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(|e| format!("unable to make an epoll: {e}"))?;
        Ok(Crowd {
            client,
            epoll,
            members: Vec::new(),
        })
    }

    /// So many whole connections with one answer each, some of them at a time.
    pub fn answers(client: &Client, count: u64, at_once: u64) -> Result<(), String> {
        let mut crowd = Crowd::new(client)?;
        let end = Instant::now() + WORK_LIMIT;
        let mut begun = count.min(at_once);
        for _ in 0..begun {
            crowd.join(Request::Answer)?;
        }
        let mut done = 0;
        while done < count {
            for place in crowd.turn(end)? {
                done += 1;
                if begun < count {
                    begun += 1;
                    crowd.members[place] = crowd.member(Request::Answer, place)?;
                }
            }
        }
        Ok(())
    }

    /// Opens connections until there are so many; each has had one message echoed.
    pub fn grow(&mut self, to: usize) -> Result<(), String> {
        const AT_ONCE: usize = 32;
        let end = Instant::now() + WORK_LIMIT;
        let mut at_rest = self.members.len();
        while at_rest < to {
            while self.members.len() < to && self.members.len() - at_rest < AT_ONCE {
                self.join(Request::Echo)?;
            }
            at_rest += self.turn(end)?.len();
        }
        Ok(())
    }

    /// So many messages to and fro on every connection, on all of them at a time.
    pub fn echo(&mut self, messages: u64) -> Result<(), String> {
        let end = Instant::now() + WORK_LIMIT;
        let mut busy = self.members.len();
        for member in &mut self.members {
            member.again(messages);
            if member.advance()? {
                busy -= 1;
            }
        }
        while busy > 0 {
            busy -= self.turn(end)?.len();
        }
        Ok(())
    }

    fn join(&mut self, request: Request) -> Result<(), String> {
        let member = self.member(request, self.members.len())?;
        self.members.push(member);
        Ok(())
    }

    fn member(&self, request: Request, place: usize) -> Result<Member, String> {
        let member = Member::new(self.client, request)?;
        // The first turn comes at once, because the socket can be written to.
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        self.epoll
            .add(member.socket(), EpollEvent::new(flags, place as u64))
            .map_err(|e| format!("unable to watch a connection: {e}"))?;
        Ok(member)
    }

    /// Waits once and gives the places of those that have come to rest.
    fn turn(&mut self, end: Instant) -> Result<Vec<usize>, String> {
        let mut events = [EpollEvent::empty(); 64];
        let ready = match self.epoll.wait(&mut events, EpollTimeout::from(SILENCE_MS)) {
            Ok(0) => return Err("nothing happened for 20 seconds".to_owned()),
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(e) => return Err(format!("unable to wait: {e}")),
        };
        if Instant::now() > end {
            return Err("too slow".to_owned());
        }
        let mut rested = Vec::new();
        for event in &events[..ready] {
            let place = event.data() as usize;
            let member = &mut self.members[place];
            if !member.rests() && member.advance()? {
                rested.push(place);
            }
        }
        Ok(rested)
    }
}
