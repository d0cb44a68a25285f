//! Keeping keeper, terminators and lookup process alive: what they say, and what happens when they die.
#![forbid(unsafe_code)]

use std::io::Write;
use std::mem;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::signal::{Signal, kill};

use super::connection::Session;
use super::crew::{Duty, Outgoing, PARTING};
use super::error::Error;
use super::listener::{Listener, token};
use super::log::{Level, words};
use super::renewal;
use crate::privsep::channel::ChannelError;
use crate::privsep::message::{FromKeeper, FromTerminator};
use crate::sys::descriptor;
use crate::sys::process::Ended;

/// One terminator that has much to say does not keep others waiting.
const WORDS_AT_ONCE: usize = 256;

impl Listener {
    /// Starts whatever is due; a role that is there and still not ready is stuck.
    pub(super) fn look_after_roles(&mut self, now: Instant) {
        let keeper = self.roles.keeper.as_mut();
        let late = keeper.filter(|keeper| keeper.until.is_some_and(|until| until <= now));
        let late = late.map(|keeper| (keeper.until.take(), keeper.pid).1);
        let late = late.map(|pid| (pid, "does not get ready"));
        if let Some((pid, what)) = late.or_else(|| self.roles.crew.stuck(now)) {
            self.log
                .warning(format_args!("process {pid} {what}: ended"));
            // It is reaped, and that is what starts another.
            let _ = kill(pid, Signal::SIGKILL);
        }
        if self.roles.keeper_due.is_some_and(|due| due <= now) {
            self.roles.keeper_due = None;
            self.start_keeper(now);
        }
        if self.roles.crew.due.is_some_and(|due| due <= now) {
            self.roles.crew.due = None;
            self.start_terminators(Duty::Serves, now);
        }
        if self.roles.lookup_due.is_some_and(|due| due <= now) {
            self.start_lookup(now);
        }
        while let Some(token) = self.roles.crew.waiting(now) {
            self.hand_over(token);
        }
    }

    fn start_keeper(&mut self, now: Instant) {
        self.see();
        let started = self.roles.start_keeper(now);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token::KEEPER);
        let watched = started.and_then(|()| match &self.roles.keeper {
            Some(keeper) => self.epoll.add(&keeper.channel, event),
            None => Ok(()),
        });
        if let Err(errno) = watched {
            self.fork_failed(errno);
            self.roles.keeper_due = Some(self.roles.keeper_backoff.next(now));
        }
    }

    /// Starts as many terminators of this duty as are missing.
    pub(super) fn start_terminators(&mut self, duty: Duty, now: Instant) {
        while self.roles.crew.with(duty).count() < self.roles.crew.size {
            let token = self.next;
            self.next += 1;
            let started = self.roles.start_terminator(token, duty, now);
            let event = EpollEvent::new(EpollFlags::EPOLLIN, token);
            let watched = started.and_then(|one| self.epoll.add(&one.channel, event));
            if let Err(errno) = watched {
                self.fork_failed(errno);
                match duty {
                    Duty::Serves => {
                        self.roles.crew.due = Some(self.roles.crew.backoff.next(now));
                    }
                    Duty::Follows | Duty::Finishes => self.abandon_successors(),
                }
                return;
            }
        }
    }

    fn fork_failed(&mut self, errno: Errno) {
        self.role_failed(&format!("fatal: (111) unable to fork: {}", errno.desc()));
    }

    fn start_lookup(&mut self, now: Instant) {
        self.roles.lookup_due = None;
        self.roles.lookup_backoff.started = Some(now);
        match self.roles.start_lookup() {
            Ok(()) => self.watch_lookup(),
            Err(errno) => {
                self.log
                    .warning(format_args!("unable to fork: {}", errno.desc()));
                self.roles.lookup_due = Some(self.roles.lookup_backoff.next(now));
            }
        }
    }

    pub(super) fn hear_keeper(&mut self) {
        while let Some(keeper) = &mut self.roles.keeper {
            match keeper.channel.try_receive() {
                Ok(Some((FromKeeper::Warning(text) | FromKeeper::Unusable(text), _))) => {
                    self.log.warning(text);
                }
                Ok(Some((FromKeeper::Loaded { dh_bits }, _))) => {
                    keeper.until = None;
                    self.dh_bits = dh_bits;
                    self.start_terminators(Duty::Serves, Instant::now());
                }
                Ok(Some((FromKeeper::SetLoaded { number, terminator }, _))) => {
                    self.set_loaded(number, terminator);
                }
                Ok(Some((
                    FromKeeper::SetFailed {
                        number,
                        terminator,
                        reason,
                    },
                    _,
                ))) => {
                    self.set_failed(number, terminator, reason);
                }
                Ok(Some((FromKeeper::Renewed(outcome), _))) => self.part_renewed(outcome),
                Ok(Some((FromKeeper::Changed, _))) => self.renew(renewal::CHANGED),
                Ok(Some((FromKeeper::Fatal(text), _))) => {
                    self.role_failed(&text);
                }
                Ok(None) => return,
                // Dead, or about to be: reaping says how.
                Err(_) => {
                    let _ = self.epoll.delete(&keeper.channel);
                    return;
                }
            }
        }
    }

    pub(super) fn hear_terminator(&mut self, token: u64) {
        for _ in 0..WORDS_AT_ONCE {
            if !self.hear_word(token) {
                break;
            }
        }
        self.hand_over(token);
    }

    /// Hears the next word of a terminator. False: there is none.
    fn hear_word(&mut self, token: u64) -> bool {
        let Some(terminator) = self.roles.crew.by_token(token) else {
            return false;
        };
        let word = match terminator.channel.try_receive() {
            Ok(Some((word, _))) => word,
            Ok(None) => return false,
            Err(error) => {
                let _ = self.epoll.delete(&terminator.channel);
                // Dead, or about to be: reaping says how, and starts another. One that breaks its word is ended.
                let patience = match error {
                    ChannelError::Closed => PARTING,
                    _ => Duration::ZERO,
                };
                terminator.parts.get_or_insert(Instant::now() + patience);
                return false;
            }
        };
        terminator.silent = false;
        match word {
            FromTerminator::Ready => {
                terminator.until = None;
                self.terminator_ready();
            }
            // One that has been ready has met strangers, and is not to write the log.
            FromTerminator::Fatal(_) if terminator.is_ready() => {}
            FromTerminator::Fatal(text) => self.role_failed(&text),
            FromTerminator::Short(text) => {
                let text = format!("unable to make more sessions: {}", words(&text));
                self.sessions_short.begin(&self.log, text);
            }
            FromTerminator::Recovered => self.sessions_short.pass(),
            FromTerminator::Report { number, report } => {
                // A captured one cannot speak for another's connections.
                let connection = self.connections.get(&number);
                let its = |session: &Session| matches!(session, Session::Shared(Some(of)) if *of == token);
                if connection.is_some_and(|connection| its(&connection.session)) {
                    self.take_report(number, *report);
                }
            }
        }
        true
    }

    fn terminator_ready(&mut self) {
        if self.roles.crew.may_take_over() {
            self.take_over();
        }
        if self.roles.crew.is_complete() && !self.started {
            self.started = true;
            // Not before: what is wrong with the configuration the keeper says, and once is enough.
            self.start_lookup(Instant::now());
            self.announce();
            self.notify.ready(&self.log);
        }
        self.dispatch_homeless();
        if self.roles.crew.is_complete() && mem::take(&mut self.renewal_due) {
            self.renew("once more");
        }
    }

    /// The `-1` line and how we are configured. Nothing is read or written on 0 and 1 after that.
    fn announce(&mut self) {
        let (limit, per_client) = (self.limits.running, self.limits.shown_per_client());
        if self.options.announce
            && let Some(Ok(local)) = self.socket.as_ref().map(TcpListener::local_addr)
        {
            let (ip, port) = (local.ip(), local.port());
            let line = format!("{ip} : {port} [{limit}/{per_client}]\n");
            // Whoever wanted the line has gone; the service is there all the same.
            let _ = std::io::stdout().write_all(line.as_bytes());
        }
        if let Err(error) = descriptor::null_on(&[0, 1]) {
            self.end = Some(Err(Error::fatal(format_args!(
                "unable to open /dev/null: {error}"
            ))));
            return;
        }
        for line in self.settings.lines(self.dh_bits) {
            self.log.line(Level::Status, line);
        }
        self.log_status();
    }

    /// A role said why it cannot work. At the start that is the end; later the service goes on with what it has.
    fn role_failed(&mut self, text: &str) {
        match self.started {
            true => self.log.line(Level::Warning, text),
            false => self.end = Some(Err(Error::Fatal(text.to_owned()))),
        }
    }

    pub(super) fn role_ended(&mut self, ended: Ended) {
        let is = |pid: Option<nix::unistd::Pid>| pid == Some(ended.pid);
        if is(self.roles.lookup.as_ref().map(|lookup| lookup.pid)) {
            return self.lookup_ended(ended);
        }
        if is(self.roles.keeper.as_ref().map(|keeper| keeper.pid)) {
            return self.keeper_ended(ended);
        }
        let mut members = self.roles.crew.members.iter();
        // Otherwise it was one that was let go.
        if let Some(terminator) = members.find(|one| one.pid == ended.pid) {
            let token = terminator.token;
            self.terminator_ended(token, ended);
        }
    }

    fn lookup_ended(&mut self, ended: Ended) {
        self.hear_lookup();
        let pid = ended.pid;
        self.log
            .warning(format_args!("lookup {pid} {ended}, starting another"));
        self.roles.lookup = None;
        self.roles.lookup_due = Some(self.roles.lookup_backoff.next(Instant::now()));
        self.answer_all();
    }

    /// True if the death of a role is the end.
    fn is_fatal(&mut self, role: &str, ended: Ended) -> bool {
        let pid = ended.pid;
        if self.end.is_none() && !self.started {
            self.end = Some(Err(Error::fatal(format_args!("{role} {pid} {ended}"))));
        }
        self.end.is_some()
    }

    fn keeper_ended(&mut self, ended: Ended) {
        self.hear_keeper();
        let pid = ended.pid;
        if self.end.is_none() && self.roles.only_once {
            let text = format!("keeper {pid} {ended}: the password is gone with it");
            self.end = Some(Err(Error::fatal(text)));
        }
        if self.is_fatal("keeper", ended) {
            return;
        }
        self.log
            .warning(format_args!("keeper {pid} {ended}, starting another"));
        self.roles.keeper = None;
        if self.renewal.take().is_some() {
            // Whoever asked for it waits for its end.
            self.notify.ready(&self.log);
        }
        // A terminator without its keeper can make no handshake; its sessions go on without it.
        let members = self.roles.crew.members.iter();
        let tokens: Vec<u64> = members.map(|one| one.token).collect();
        for token in tokens {
            self.retire(token);
        }
        self.roles.crew.due = None;
        self.roles.keeper_due = Some(self.roles.keeper_backoff.next(Instant::now()));
    }

    fn terminator_ended(&mut self, token: u64, ended: Ended) {
        while self.hear_word(token) {}
        let mut members = self.roles.crew.members.iter();
        let Some(place) = members.position(|one| one.token == token) else {
            return;
        };
        let mut terminator = self.roles.crew.members.remove(place);
        let _ = self.epoll.delete(&terminator.channel);
        let homeless = terminator.take_clients();
        let of_it =
            |session: &Session| matches!(session, Session::Shared(Some(of)) if *of == token);
        let connections = self.connections.iter();
        let its: Vec<u64> = connections
            .filter(|(_, connection)| of_it(&connection.session))
            .map(|(number, _)| *number)
            .collect();
        for number in its {
            self.session_over(number);
        }
        self.homeless.extend(homeless);
        let pid = ended.pid;
        match terminator.duty {
            Duty::Finishes if ended.status == 0 => {}
            Duty::Finishes => self.log.warning(format_args!("terminator {pid} {ended}")),
            Duty::Follows => {
                self.log.warning(format_args!("terminator {pid} {ended}"));
                self.abandon_successors();
            }
            Duty::Serves => {
                if self.is_fatal("terminator", ended) {
                    return;
                }
                self.log
                    .warning(format_args!("terminator {pid} {ended}, starting another"));
                self.roles.crew.due = Some(self.roles.crew.backoff.next(Instant::now()));
                self.dispatch_homeless();
            }
        }
    }

    /// Has a terminator finish what it has, and nothing more. One that forks its sessions has nothing of its own.
    pub(super) fn retire(&mut self, token: u64) {
        let shared = self.roles.shared;
        let members = &mut self.roles.crew.members;
        let Some(place) = members.iter().position(|one| one.token == token) else {
            return;
        };
        let terminator = &mut members[place];
        if terminator.duty == Duty::Finishes {
            // It has been told, or will be when it has room: that must not be taken from it again.
            return;
        }
        self.homeless.extend(terminator.take_clients());
        if shared && terminator.is_ready() {
            terminator.duty = Duty::Finishes;
            terminator.outgoing.push_back(Outgoing::Drain);
            self.hand_over(token);
        } else {
            let terminator = members.remove(place);
            let _ = self.epoll.delete(terminator.channel);
        }
    }
}
