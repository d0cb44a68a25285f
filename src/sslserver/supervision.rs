//! Keeping keeper and terminator alive: what they say, and what happens when they die.
#![forbid(unsafe_code)]

use std::io::Write;
use std::time::Instant;

use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::signal::{Signal, kill};

use super::error::Error;
use super::listener::{Listener, token};
use super::log::Level;
use crate::privsep::message::{FromKeeper, FromTerminator};
use crate::sys::descriptor;
use crate::sys::process::Ended;

impl Listener {
    /// Starts whichever role is missing; a role that is there and still not ready is stuck.
    pub(super) fn start_roles(&mut self, now: Instant) {
        self.roles.due = None;
        if let Some(pid) = self.roles.stuck() {
            self.log
                .warning(format_args!("process {pid} does not get ready: ended"));
            // It is reaped, and that is what starts another.
            let _ = kill(pid, Signal::SIGKILL);
            return;
        }
        let started = match self.roles.keeper {
            None => self.roles.start_keeper(now),
            Some(_) => self.roles.start_terminator(now),
        };
        if started.is_ok() && self.roles.terminator.is_some() {
            self.renew_sets();
        }
        let event = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        let watched = started.and_then(|()| match (&self.roles.keeper, &self.roles.terminator) {
            (_, Some(terminator)) => self
                .epoll
                .add(&terminator.channel, event(token::TERMINATOR)),
            (Some(keeper), None) => self.epoll.add(&keeper.channel, event(token::KEEPER)),
            (None, None) => Ok(()),
        });
        if let Err(errno) = watched {
            self.role_failed(&format!("fatal: (111) unable to fork: {}", errno.desc()));
            self.roles.schedule(now);
        }
    }

    pub(super) fn start_lookup(&mut self, now: Instant) {
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
                Ok(Some((FromKeeper::Warning(text), _))) => self.log.warning(text),
                Ok(Some((FromKeeper::Loaded { dh_bits }, _))) => {
                    keeper.loaded = true;
                    self.dh_bits = dh_bits;
                    self.start_roles(Instant::now());
                }
                Ok(Some((
                    FromKeeper::SetLoaded {
                        number,
                        terminators,
                    },
                    _,
                ))) => self.set_loaded(number, terminators),
                Ok(Some((FromKeeper::SetFailed { number, reason }, _))) => {
                    self.set_failed(number, reason);
                }
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

    pub(super) fn hear_terminator(&mut self) {
        while let Some(terminator) = &mut self.roles.terminator {
            match terminator.channel.try_receive() {
                Ok(Some((FromTerminator::Ready, _))) => {
                    terminator.ready = true;
                    self.roles.due = None;
                    self.ready();
                }
                Ok(Some((FromTerminator::Fatal(text), _))) => {
                    self.role_failed(&text);
                }
                Ok(Some((FromTerminator::Short(text), _))) => {
                    let text = format!("unable to make more sessions: {text}");
                    self.sessions_short.begin(&self.log, text);
                }
                Ok(Some((FromTerminator::Recovered, _))) => {
                    self.sessions_short.pass();
                }
                Ok(Some((FromTerminator::Report { .. }, _))) => {}
                Ok(None) => break,
                Err(_) => {
                    let _ = self.epoll.delete(&terminator.channel);
                    return;
                }
            }
        }
        self.hand_over();
    }

    /// Everything is there: the first time this is what a supervisor waits for.
    fn ready(&mut self) {
        if !self.started {
            self.started = true;
            // Not before: what is wrong with the configuration the keeper says, and once is enough.
            self.start_lookup(Instant::now());
            self.announce();
        }
    }

    /// The `-1` line and how we are configured. Nothing is read or written on 0 and 1 after that.
    fn announce(&mut self) {
        let (limit, per_client) = (self.limits.running, self.limits.shown_per_client());
        if self.options.announce
            && let Ok(local) = self.socket.local_addr()
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
            self.hear_lookup();
            let pid = ended.pid;
            self.log
                .warning(format_args!("lookup {pid} {ended}, starting another"));
            self.roles.lookup = None;
            self.roles.lookup_due = Some(self.roles.lookup_backoff.next(Instant::now()));
            return self.answer_all();
        }
        let of_keeper = is(self.roles.keeper.as_ref().map(|keeper| keeper.pid));
        let of_terminator = is(self
            .roles
            .terminator
            .as_ref()
            .map(|terminator| terminator.pid));
        if of_keeper {
            self.hear_keeper();
        } else if of_terminator {
            self.hear_terminator();
        } else {
            // A terminator that was replaced along with its keeper.
            return;
        }
        if self.end.is_some() {
            return;
        }
        let pid = ended.pid;
        let name = if of_keeper { "keeper" } else { "terminator" };
        if of_keeper && self.roles.only_once {
            let text = format!("{name} {pid} {ended}: the password is gone with it");
            self.end = Some(Err(Error::fatal(text)));
            return;
        }
        if !self.started {
            self.end = Some(Err(Error::fatal(format_args!("{name} {pid} {ended}"))));
            return;
        }
        self.log
            .warning(format_args!("{name} {pid} {ended}, starting another"));
        // A terminator without its keeper can make no handshake; its sessions go on without it.
        self.roles.terminator = None;
        if of_keeper {
            self.roles.keeper = None;
        }
        self.roles.schedule(Instant::now());
    }
}
