//! Connections about which the lookup process is asked: their names, their user, and for those that come through a
//! proxy who they are. Many are under way at once; the listener goes on meanwhile, and never waits longer for an answer
//! than the connection is willing to.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::signal::{Signal, kill};

use super::admission::Arrival;
use super::connection::Kit;
use super::listener::{Listener, token};
use super::log::Level;
use super::refusal::Refusal;
use crate::net::address::Network;
use crate::net::proxy_header::Announced;
use crate::privsep::message::{Answer, FromLookup, ToLookup, Wanted};

/// The lookup process keeps the times; beyond this it is taken for dead.
const GRACE: Duration = Duration::from_secs(2);

/// Whom a proxy announces. Nothing else is asked before that is known.
pub const HEADER: Wanted = Wanted {
    remote_name: false,
    paranoid: false,
    remote_info: false,
    local_name: false,
    proxy_header: true,
};

/// A connection about which somebody is asked.
pub struct Inquiry {
    arrival: Arrival,
    /// Whom it counts for meanwhile. `None`: it begins with a PROXY header, without which it is nobody.
    client: Option<Network>,
    due: Instant,
}

impl Listener {
    /// What is to be asked about a client.
    pub(super) fn wanted(&self) -> Wanted {
        let options = &self.options;
        Wanted {
            remote_name: options.common.lookup,
            paranoid: options.common.lookup && options.paranoid,
            remote_info: options.common.ident,
            local_name: options.common.lookup && options.common.local_name.is_none(),
            proxy_header: false,
        }
    }

    pub(super) fn is_proxy(&self, ip: IpAddr) -> bool {
        let client = Network::around(ip, u8::MAX);
        self.proxies.iter().any(|network| network.contains(&client))
    }

    /// Asks, or goes on without an answer if nobody can be asked.
    pub(super) fn inquire(&mut self, arrival: Arrival, wanted: Wanted) -> Option<Kit> {
        // Questions that nobody answers shall not take all the places before a handshake.
        let enough = !wanted.proxy_header && self.inquiries.len() >= self.limits.unfinished / 2;
        let number = self.next;
        self.next += 1;
        let question = ToLookup {
            number,
            wanted,
            local: arrival.local(),
            remote: arrival.remote,
        };
        let ends = [arrival.stream.as_fd()];
        let ends = if wanted.proxy_header { &ends[..] } else { &[] };
        let lookup = self.roles.lookup.as_ref();
        let asked = !enough
            && lookup.is_some_and(|lookup| lookup.channel.try_send(&question, ends).is_ok());
        if !asked && wanted.proxy_header {
            let reason = "nobody can read its PROXY header now".into();
            return self.refuse(arrival, &Refusal::NoHeader(reason));
        }
        if !asked {
            return self.go_on(arrival);
        }
        let (client, patience) = match wanted.proxy_header {
            true => (None, super::PROXY_PATIENCE),
            false => {
                let client = Network::of_client(arrival.remote.ip());
                self.census.enter(client);
                self.unfinished.enter(client);
                (Some(client), self.options.common.lookup_time)
            }
        };
        let due = arrival.since + patience + GRACE;
        self.deadlines.insert((due, number));
        let inquiry = Inquiry {
            arrival,
            client,
            due,
        };
        self.inquiries.insert(number, inquiry);
        None
    }

    pub(super) fn hear_lookup(&mut self) {
        while let Some(lookup) = &self.roles.lookup {
            match lookup.channel.try_receive() {
                Ok(Some((FromLookup::Answer { number, answer }, _))) => {
                    self.answered(number, answer);
                }
                Ok(Some((FromLookup::Ready, _))) => {}
                Ok(Some((FromLookup::Fatal(text), _))) => self.log.line(Level::Warning, text),
                Ok(None) => return,
                // Dead, or about to be: reaping says how.
                Err(_) => {
                    let _ = self.epoll.delete(&lookup.channel);
                    return;
                }
            }
        }
    }

    pub(super) fn watch_lookup(&self) {
        if let Some(lookup) = &self.roles.lookup {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, token::LOOKUP);
            let _ = self.epoll.add(&lookup.channel, event);
        }
    }

    fn answered(&mut self, number: u64, answer: Answer) {
        let Some(inquiry) = self.take_inquiry(number) else {
            return;
        };
        let mut arrival = inquiry.arrival;
        // The time for the answer was not the client's.
        arrival.since = Instant::now();
        // Only a proxy may announce anybody, whatever the lookup process says.
        let kit = match inquiry.client {
            None => self.announced(arrival, answer.announced),
            Some(_) => {
                arrival.names.local_name = answer.local_name.map(String::into_bytes);
                arrival.names.host = answer.remote_name;
                arrival.names.info = answer.remote_info;
                self.go_on(arrival)
            }
        };
        if kit.is_some() {
            self.kit = kit;
        }
    }

    /// Only now it is known whom the early rules are asked about, and everything after them.
    fn announced(
        &mut self,
        mut arrival: Arrival,
        announced: Result<Announced, String>,
    ) -> Option<Kit> {
        match announced {
            Ok(Announced::Nothing) => {}
            Ok(Announced::Ends { remote, local }) => {
                arrival.names.local = Some(local);
                arrival.names.proxy = Some(arrival.remote.ip());
                arrival.remote = remote;
            }
            Err(reason) => return self.refuse(arrival, &Refusal::NoHeader(reason)),
        }
        // The lookup process waited on the same socket, and an application may get it (`-n`) that just reads.
        let _ = arrival.stream.set_nonblocking(false);
        self.judge(arrival)
    }

    /// No answer in time: no name. A connection that is nobody without one is given up.
    fn unanswered(&mut self, number: u64) {
        let answer = match self.inquiries.get(&number) {
            Some(Inquiry { client: None, .. }) => Answer::refusal("no PROXY header in time".into()),
            Some(_) => Answer::nothing(),
            None => return,
        };
        self.answered(number, answer);
    }

    /// The lookup process keeps its times, so one that did not is stuck. Reaping starts another.
    pub(super) fn lookup_overdue(&mut self) {
        if let Some(lookup) = &self.roles.lookup {
            let pid = lookup.pid;
            self.log
                .warning(format_args!("process {pid} does not answer: ended"));
            let _ = kill(pid, Signal::SIGKILL);
        }
        self.answer_all();
    }

    /// The lookup process is gone, and with it what it was asked.
    pub(super) fn answer_all(&mut self) {
        let waiting: Vec<u64> = self.inquiries.keys().copied().collect();
        for number in waiting {
            self.unanswered(number);
        }
    }

    fn take_inquiry(&mut self, number: u64) -> Option<Inquiry> {
        let inquiry = self.inquiries.remove(&number)?;
        self.deadlines.remove(&(inquiry.due, number));
        if let Some(client) = inquiry.client {
            self.census.leave(client);
            self.unfinished.leave(client);
        }
        Some(inquiry)
    }
}
