//! From accept to the terminator, each step cheaper than the next: early rules, limits, questions, rules.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::connection::{
    Connection, Handover, Kit, Names, Plain, Purpose, Session, Stage, Waiting, local, plain,
};
use super::inquiry::HEADER;
use super::limits::RuleLimits;
use super::listener::Listener;
use super::refusal::Refusal;
use crate::net::address::Network;
use crate::net::rate::Rate;
use crate::privsep::message::{Facts, Wanted};
use crate::rules::{Client, RulesFile, Verdict};
use crate::sys::descriptor::is_readable;
use crate::sys::socket::clear_ip_options;

/// Clients accepted before other events have their turn.
pub(super) const BATCH: usize = 64;

/// A compromise of the session alone could delay its own end; the listener waits this much longer than it.
const GRACE: Duration = Duration::from_secs(5);

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A client that was accepted and is not in yet.
pub struct Arrival {
    pub kit: Kit,
    pub stream: TcpStream,
    /// Whom rules and limits are about: who connected, or whom a proxy announced.
    pub remote: SocketAddr,
    pub names: Names,
    /// What the early rules said.
    pub early: Verdict,
    /// The rate by which it was counted already.
    pub counted: Option<Rate>,
    /// Since when its time counts: what others were asked about it was not its own.
    pub since: Instant,
}

impl Arrival {
    /// Our address as the client called it.
    pub fn local(&self) -> SocketAddr {
        let announced = self.names.local;
        announced.unwrap_or_else(|| local(&self.stream, self.remote))
    }

    /// How the rules know it.
    fn client(&self) -> Client<'_> {
        Client {
            ip: self.remote.ip(),
            host: self.names.host.as_deref().map(str::as_bytes),
            info: self.names.info.as_deref(),
        }
    }
}

impl Listener {
    pub(super) fn accept_some(&mut self) {
        for turn in 0..BATCH {
            if !self.may_accept() {
                return;
            }
            let Some(socket) = &self.socket else {
                return;
            };
            // An accept(2) that finds nobody makes a socket first, and costs ten times as much as the question.
            if turn > 0 && !is_readable(socket) {
                return;
            }
            let kit = match self
                .kit
                .take()
                .map_or_else(|| Kit::make(self.options.delayed, self.roles.shared), Ok)
            {
                Ok(kit) => kit,
                Err(errno) => return self.pause(errno),
            };
            match socket.accept() {
                Ok((stream, remote)) => {
                    self.descriptors.pass();
                    self.counters.accepted += 1;
                    self.kit = self.admit(kit, stream, plain(remote));
                }
                Err(error) => {
                    self.kit = Some(kit);
                    match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                        Errno::EAGAIN => return,
                        reason @ (Errno::EMFILE
                        | Errno::ENFILE
                        | Errno::ENOBUFS
                        | Errno::ENOMEM) => return self.pause(reason),
                        // The client is gone already, or its network: the next one counts.
                        _ => {}
                    }
                }
            }
        }
    }

    /// Connections that have no application yet.
    pub(super) fn count_unfinished(&self) -> usize {
        self.connections.len() + self.inquiries.len() - self.running
    }

    /// They are so many that no more are accepted.
    pub(super) fn is_crowded(&self) -> bool {
        self.count_unfinished() >= self.limits.unfinished
    }

    /// Says when that begins and when it is over.
    pub(super) fn tell_crowd(&mut self) {
        let most = self.limits.unfinished;
        match self.is_crowded() {
            true => self.handshakes_short.begin(
                &self.log,
                format_args!("handshake limit of {most} reached, clients wait"),
            ),
            false => self.handshakes_short.pass(),
        }
    }

    /// Lets a client in or closes its connection. The kit comes back if it was not needed.
    fn admit(&mut self, kit: Kit, stream: TcpStream, remote: SocketAddr) -> Option<Kit> {
        let arrival = Arrival {
            kit,
            stream,
            remote,
            names: Names::default(),
            early: Verdict::default(),
            counted: None,
            since: Instant::now(),
        };
        match self.is_proxy(remote.ip()) {
            // Only its header tells whom this is about.
            true => self.inquire(arrival, HEADER),
            false => self.judge(arrival),
        }
    }

    /// Goes as far as the address of a client alone leads: early rules, limits, and on to what is asked about it.
    pub(super) fn judge(&mut self, mut arrival: Arrival) -> Option<Kit> {
        let client = arrival.client();
        match ask(&mut self.early_rules, &client, self.options.missing_rules) {
            Ok(early) => arrival.early = early,
            Err(refusal) => return self.refuse(arrival, &refusal),
        }
        let wanted = self.wanted();
        if arrival.early.deny || wanted == Wanted::default() {
            return self.go_on(arrival);
        }
        match self.foresee(&mut arrival) {
            Ok(()) => self.inquire(arrival, wanted),
            Err(refusal) => self.refuse(arrival, &refusal),
        }
    }

    /// Who is over a limit is not worth a question. Where the rules have not been asked, because they may want a name,
    /// those limits count that they have for the address alone: against a flood a name makes nobody privileged, whose
    /// reverse zone the client may have.
    fn foresee(&mut self, arrival: &mut Arrival) -> Result<(), Refusal> {
        if arrival.early.matched.is_some() {
            let (limits, _) = RuleLimits::read(&arrival.early.variables);
            return self.check(arrival, &limits);
        }
        let client = arrival.client();
        let nameless = ask(&mut self.rules, &client, self.options.missing_rules)?;
        let (limits, _) = match nameless.deny {
            true => (RuleLimits::default(), None),
            false => RuleLimits::read(&nameless.variables),
        };
        match self.rules {
            None => self.check(arrival, &limits),
            Some(_) => self.check_flood(arrival, &limits),
        }
    }

    /// Goes on with all that can be known: the other rules if the early ones were silent, the limits, and in.
    pub(super) fn go_on(&mut self, mut arrival: Arrival) -> Option<Kit> {
        let (verdict, denial) = match arrival.early.matched {
            Some(_) => (std::mem::take(&mut arrival.early), Refusal::EarlyRules),
            None => {
                let client = arrival.client();
                match ask(&mut self.rules, &client, self.options.missing_rules) {
                    Ok(verdict) => (verdict, Refusal::Rules),
                    Err(refusal) => return self.refuse(arrival, &refusal),
                }
            }
        };
        if verdict.deny {
            return self.refuse(arrival, &denial);
        }
        let ip = arrival.remote.ip();
        let (limits, bad) = RuleLimits::read(&verdict.variables);
        if let Some(bad) = bad
            && self.faults.admits(ip, arrival.since)
        {
            self.log
                .warning(format_args!("rule for {ip}: no limit: {bad}"));
        }
        if let Err(refusal) = self.check(&mut arrival, &limits) {
            return self.refuse(arrival, &refusal);
        }
        if !self.options.keep_ip_options {
            clear_ip_options(&arrival.stream, ip);
        }
        self.enter(arrival, verdict.variables)
    }

    fn enter(&mut self, arrival: Arrival, variables: Pairs) -> Option<Kit> {
        let set = match self.sets.number(&self.options, &variables) {
            Ok(set) => set,
            Err(reason) => return self.refuse(arrival, &Refusal::NoKeys(reason)),
        };
        let local = arrival.local();
        let Arrival {
            kit,
            stream,
            remote,
            names,
            since,
            ..
        } = arrival;
        let number = self.next;
        let (session, report) = match kit.reports {
            None => (Session::Shared(None), None),
            Some((reports, report)) => {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
                if let Err(errno) = self.epoll.add(&reports, event) {
                    self.pause(errno);
                    return None;
                }
                (Session::Own(reports), Some(report))
            }
        };
        self.next += 1;
        let client = Network::of_client(remote.ip());
        self.census.enter(client);
        self.unfinished.enter(client);
        let deadline = since + self.options.handshake;
        let (own_control, control) = kit.control.unzip();
        let handover = Handover {
            number,
            stream,
            input: kit.input,
            output: kit.output,
            report,
            control,
            client: remote.ip(),
            host: names.host.clone(),
            set,
            deadline,
        };
        let mut connection = Connection {
            local,
            remote,
            client,
            demand: self.sets.demand(set).unwrap_or(self.demand),
            variables,
            names,
            stage: Stage::Over,
            session,
            facts: Facts::default(),
            ending: None,
            moved: (0, 0),
            began: since,
            due: None,
        };
        match own_control {
            Some(control) => {
                connection.stage = Stage::Waiting(Waiting {
                    pipes: kit.pipes,
                    to: Purpose::Plain(Plain { control, handover }),
                    greeted: false,
                });
                self.connections.insert(number, connection);
                self.queue.push_back(number);
                self.start_waiting();
            }
            None => {
                connection.stage = Stage::Handshake(kit.pipes);
                connection.due = Some(deadline + GRACE);
                self.deadlines.insert((deadline + GRACE, number));
                self.connections.insert(number, connection);
                self.dispatch(handover);
            }
        }
        None
    }
}

fn ask(
    rules: &mut Option<RulesFile>,
    client: &Client<'_>,
    missing_is_fine: bool,
) -> Result<Verdict, Refusal> {
    let Some(rules) = rules else {
        return Ok(Verdict::default());
    };
    match rules.lookup(client) {
        Ok(verdict) => Ok(verdict),
        Err(error) if missing_is_fine && error.is_missing() => Ok(Verdict::default()),
        Err(error) => {
            let path = rules.path().display();
            let line = format!("fatal: (110) unable to read: {path}: {error}");
            Err(Refusal::Unreadable(line))
        }
    }
}
