//! Connections about which the lookup process is asked: their names, their user, and for those that come through a
//! proxy who they are. Many are under way at once; the listener goes on meanwhile, and never waits longer for an answer
//! than the connection is willing to.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::signal::{Signal, kill};

use super::connection::{Kit, Names, local};
use super::counters::Denial;
use super::listener::{Listener, token};
use super::log::Level;
use crate::net::address::Network;
use crate::net::proxy_header::Announced;
use crate::privsep::message::{Answer, FromLookup, ToLookup, Wanted};
use crate::rules::Verdict;

/// The lookup process keeps the times; beyond this it is taken for dead.
const GRACE: Duration = Duration::from_secs(2);

/// A connection between accept and its rules.
pub struct Inquiry {
    pub kit: Kit,
    pub stream: TcpStream,
    pub remote: SocketAddr,
    /// Whom it counts for meanwhile.
    client: Network,
    /// What the early rules said.
    early: Verdict,
    /// It begins with a PROXY header, without which it is nobody.
    proxied: bool,
    due: Instant,
}

impl Listener {
    /// What is to be asked about a connection from there.
    pub(super) fn wanted(&self, remote: SocketAddr) -> Wanted {
        let options = &self.options;
        Wanted {
            remote_name: options.lookup,
            paranoid: options.lookup && options.paranoid,
            remote_info: options.ident,
            local_name: options.lookup && options.local_name.is_none(),
            proxy_header: self.is_proxy(remote.ip()),
        }
    }

    pub(super) fn is_proxy(&self, ip: IpAddr) -> bool {
        let client = Network::around(ip, u8::MAX);
        self.proxies.iter().any(|network| network.contains(&client))
    }

    /// Asks, or goes on without an answer if nobody can be asked.
    pub(super) fn inquire(
        &mut self,
        kit: Kit,
        stream: TcpStream,
        remote: SocketAddr,
        early: Verdict,
        accepted: Instant,
    ) -> Option<Kit> {
        let mut wanted = self.wanted(remote);
        // Questions that nobody answers shall not take all the places before a handshake.
        if self.inquiries.len() >= self.limits.unfinished / 2 {
            wanted = Wanted {
                proxy_header: wanted.proxy_header,
                ..Wanted::default()
            };
        }
        let number = self.next;
        self.next += 1;
        let question = ToLookup {
            number,
            wanted,
            local: local(&stream, remote),
            remote,
        };
        let ends = [stream.as_fd()];
        let ends = if wanted.proxy_header { &ends[..] } else { &[] };
        let lookup = self.roles.lookup.as_ref();
        let asked = wanted != Wanted::default()
            && lookup.is_some_and(|lookup| lookup.channel.try_send(&question, ends).is_ok());
        if !asked && wanted.proxy_header {
            let reason = "nobody can read its PROXY header now";
            self.refuse_proxied(remote.ip(), reason);
            return Some(kit);
        }
        if !asked {
            return self.go_on(kit, stream, remote, early, Names::default(), accepted);
        }
        let mut due = accepted + self.options.lookup_time + GRACE;
        if wanted.proxy_header {
            due += super::PROXY_PATIENCE;
        }
        let client = Network::of_client(remote.ip());
        self.census.enter(client);
        self.deadlines.insert((due, number));
        let inquiry = Inquiry {
            kit,
            stream,
            remote,
            client,
            early,
            proxied: wanted.proxy_header,
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
        let peer = inquiry.remote;
        let mut names = Names {
            local_name: answer.local_name.map(String::into_bytes),
            host: answer.remote_name,
            info: answer.remote_info,
            ..Names::default()
        };
        let mut remote = peer;
        // Only a proxy may announce anybody, whatever the lookup process says.
        let announced = match inquiry.proxied {
            true => answer.announced,
            false => Ok(Announced::Nothing),
        };
        match announced {
            Ok(Announced::Nothing) => {}
            Ok(Announced::Ends {
                remote: announced,
                local,
            }) => {
                remote = announced;
                names.local = Some(local);
                names.proxy = Some(peer.ip());
            }
            Err(reason) => {
                self.refuse_proxied(peer.ip(), &reason);
                self.kit = Some(inquiry.kit);
                return;
            }
        }
        let early = match inquiry.proxied {
            // Only now it is known whom the early rules are asked about.
            true => match self.judge_early(remote) {
                Ok(early) => early,
                Err(text) => {
                    self.rules_unreadable(remote.ip(), &text);
                    self.kit = Some(inquiry.kit);
                    return;
                }
            },
            false => inquiry.early,
        };
        let (kit, stream) = (inquiry.kit, inquiry.stream);
        if inquiry.proxied {
            // The lookup process waited on the same socket, and an application may get it (`-n`) that just reads.
            let _ = stream.set_nonblocking(false);
        }
        // The time for the answer was not the client's; that for the handshake begins now.
        if let Some(kit) = self.go_on(kit, stream, remote, early, names, Instant::now()) {
            self.kit = Some(kit);
        }
    }

    /// No answer in time: no name. A connection that is nobody without one is given up.
    fn unanswered(&mut self, number: u64) {
        let answer = match self.inquiries.get(&number) {
            Some(inquiry) if inquiry.proxied => Answer::refusal("no PROXY header in time".into()),
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
        self.census.leave(inquiry.client);
        Some(inquiry)
    }

    fn refuse_proxied(&mut self, ip: IpAddr, reason: &str) {
        self.counters.deny(Denial::ProxyHeader);
        if self.failures.admits(ip, Instant::now()) {
            self.log.line(
                Level::Warning,
                format_args!("error: (110) no PROXY header from: {ip} {reason}"),
            );
        }
    }
}
