//! From accept to the terminator, each step cheaper than the next: limits, early rules, rules.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::connection::{
    Connection, Handover, Kit, Names, Plain, Purpose, Session, Stage, Waiting, local, plain,
};
use super::counters::Denial;
use super::limits::RuleLimits;
use super::listener::Listener;
use super::log::{Ends, Level};
use crate::net::address::Network;
use crate::privsep::message::{Facts, Wanted};
use crate::rules::{Client, RulesFile, Verdict};
use crate::sys::socket::clear_ip_options;
use crate::sys::words;

/// Clients accepted before other events have their turn.
pub(super) const BATCH: usize = 64;

/// A compromise of the session alone could delay its own end; the listener waits this much longer than it.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl Listener {
    pub(super) fn accept_some(&mut self) {
        for _ in 0..BATCH {
            if !self.may_accept() {
                return;
            }
            let Some(socket) = &self.socket else {
                return;
            };
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

    /// Lets a client in or closes its connection. The kit comes back if it was not needed.
    fn admit(&mut self, kit: Kit, stream: TcpStream, remote: SocketAddr) -> Option<Kit> {
        let accepted = Instant::now();
        if self.is_proxy(remote.ip()) {
            return self.inquire(kit, stream, remote, Verdict::default(), accepted);
        }
        let early = match self.judge_early(remote) {
            Ok(early) => early,
            Err(text) => {
                self.rules_unreadable(remote.ip(), &text);
                return Some(kit);
            }
        };
        if early.deny || self.wanted(remote) == Wanted::default() {
            return self.go_on(kit, stream, remote, early, Names::default(), accepted);
        }
        // Who is over the limit is not worth a question.
        if early.matched.is_some()
            && self.exceeds(&stream, remote, &early.variables, &Names::default())
        {
            return Some(kit);
        }
        self.inquire(kit, stream, remote, early, accepted)
    }

    /// Asks the early rules, which know addresses only.
    pub(super) fn judge_early(&mut self, remote: SocketAddr) -> Result<Verdict, String> {
        let client = Client {
            ip: remote.ip(),
            host: None,
            info: None,
        };
        ask(&mut self.early_rules, &client, self.options.missing_rules)
    }

    /// Goes on with all that can be known: the other rules if the early ones were silent, the limits, and in.
    pub(super) fn go_on(
        &mut self,
        kit: Kit,
        stream: TcpStream,
        remote: SocketAddr,
        early: Verdict,
        names: Names,
        accepted: Instant,
    ) -> Option<Kit> {
        let by = match early.matched {
            Some(_) => Denial::EarlyRules,
            None => Denial::Rules,
        };
        let verdict = match early.matched {
            Some(_) => early,
            None => {
                let client = Client {
                    ip: remote.ip(),
                    host: names.host.as_deref().map(str::as_bytes),
                    info: names.info.as_deref(),
                };
                match ask(&mut self.rules, &client, self.options.missing_rules) {
                    Ok(verdict) => verdict,
                    Err(text) => {
                        self.rules_unreadable(remote.ip(), &text);
                        return Some(kit);
                    }
                }
            }
        };
        if verdict.deny {
            self.counters.deny(by);
            self.log_denied(&stream, remote, &names, "");
            return Some(kit);
        }
        if self.exceeds(&stream, remote, &verdict.variables, &names) {
            return Some(kit);
        }
        if !self.options.keep_ip_options {
            clear_ip_options(&stream, remote.ip());
        }
        self.enter(kit, stream, remote, names, verdict.variables, accepted);
        None
    }

    pub(super) fn rules_unreadable(&mut self, ip: IpAddr, text: &str) {
        self.counters.deny(Denial::RulesUnreadable);
        if self.denials.admits(ip, Instant::now()) {
            self.log.line(Level::Warning, text);
        }
    }

    fn log_denied(&mut self, stream: &TcpStream, remote: SocketAddr, names: &Names, why: &str) {
        if self.log.level() < Level::Status || !self.denials.admits(remote.ip(), Instant::now()) {
            return;
        }
        let ends = Ends {
            local_name: self
                .options
                .local_name
                .as_deref()
                .or(names.local_name.as_deref()),
            local: names.local.unwrap_or_else(|| local(stream, remote)),
            remote_name: names.host.as_deref(),
            remote_info: names.info.as_deref(),
            remote,
        };
        let pid = std::process::id();
        self.log
            .line(Level::Status, format_args!("deny {pid} {ends}{why}"));
    }

    /// Whether a limit of the rule or of the environment is reached, which is said.
    fn exceeds(
        &mut self,
        stream: &TcpStream,
        remote: SocketAddr,
        variables: &Pairs,
        names: &Names,
    ) -> bool {
        match self.exceeded(variables, Network::of_client(remote.ip()), remote) {
            Ok(None) => false,
            Ok(Some(why)) => {
                self.log_denied(stream, remote, names, &why);
                true
            }
            Err(limit) => {
                let ip = remote.ip();
                if self.denials.admits(ip, Instant::now()) {
                    self.log.warning(format_args!(
                        "ip connection limit of {limit} exceeded for: {ip}"
                    ));
                }
                true
            }
        }
    }

    /// Whether a limit is reached: the words for a rule's, or the number that the environment set. A rule's MAXCONIP
    /// counts instead of the environment's, and 0 is none.
    fn exceeded(
        &mut self,
        variables: &Pairs,
        client: Network,
        remote: SocketAddr,
    ) -> Result<Option<String>, usize> {
        let pairs = variables
            .iter()
            .map(|(name, value)| (&name[..], &value[..]));
        let (limits, bad) = RuleLimits::read(pairs);
        if let Some(bad) = bad {
            let bad = words::field(bad);
            if self.faults.admits(remote.ip(), Instant::now()) {
                self.log
                    .warning(format_args!("rule for {}: no limit: {bad}", remote.ip()));
            }
        }
        match limits.per_client {
            Some(0) => {}
            Some(limit) => {
                let limit = limit.min(self.limits.running);
                if self.census.of_client(client) >= limit {
                    self.counters.deny(Denial::MaxConIp);
                    return Ok(Some(format!(" ip connection limit:{limit} exceeded")));
                }
            }
            None => {
                if let Some(limit) = self.limits.per_client
                    && self.census.of_client(client) >= limit
                {
                    self.counters.deny(Denial::MaxConIp);
                    return Err(limit);
                }
            }
        }
        Ok(limits.per_network.and_then(|(limit, length)| {
            let full = self.census.of_network(remote.ip(), length) >= limit;
            full.then(|| {
                self.counters.deny(Denial::MaxConNet);
                format!(" network connection limit:{limit}/{length} exceeded")
            })
        }))
    }

    fn enter(
        &mut self,
        kit: Kit,
        stream: TcpStream,
        remote: SocketAddr,
        names: Names,
        variables: Pairs,
        accepted: Instant,
    ) {
        let set = match self.sets.number(&self.options, &variables) {
            Ok(set) => set,
            Err(reason) => {
                self.counters.deny(Denial::Keys);
                let ip = remote.ip();
                if self.faults.admits(ip, accepted) {
                    self.log.line(
                        Level::Warning,
                        format_args!("error: (110) no keys for: {ip} {reason}"),
                    );
                }
                return;
            }
        };
        let number = self.next;
        let (session, report) = match kit.reports {
            None => (Session::Shared(None), None),
            Some((reports, report)) => {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
                if let Err(errno) = self.epoll.add(&reports, event) {
                    return self.pause(errno);
                }
                (Session::Own(reports), Some(report))
            }
        };
        self.next += 1;
        let client = Network::of_client(remote.ip());
        self.census.enter(client);
        let mut connection = Connection {
            local: names.local.unwrap_or_else(|| local(&stream, remote)),
            remote,
            client,
            demand: self.sets.demand(set).unwrap_or(self.demand),
            variables,
            names: Names::default(),
            stage: Stage::Over,
            session,
            facts: Facts::default(),
            ending: None,
            moved: (0, 0),
            began: accepted,
            due: None,
        };
        let deadline = accepted + self.options.handshake;
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
        connection.names = names;
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
    }
}

fn ask(
    rules: &mut Option<RulesFile>,
    client: &Client<'_>,
    missing_is_fine: bool,
) -> Result<Verdict, String> {
    let Some(rules) = rules else {
        return Ok(Verdict::default());
    };
    match rules.lookup(client) {
        Ok(verdict) => Ok(verdict),
        Err(error) if missing_is_fine && error.is_missing() => Ok(Verdict::default()),
        Err(error) => {
            let path = rules.path().display();
            Err(format!("fatal: (110) unable to read: {path}: {error}"))
        }
    }
}
