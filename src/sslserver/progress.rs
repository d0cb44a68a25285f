//! From the handshake to the end: what sessions report, when applications start, and what becomes of both.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::application::{CONTROL, READ, WRITE};
use super::connection::{Connection, Purpose, Running, Session, Stage, Waiting};
use super::environment;
use super::failure::Failure;
use super::listener::Listener;
use super::log::{Ends, Finished, Level, words};
use crate::privsep::message::{Ending, SessionReport};
use crate::sys::process::Ended;
use crate::sys::words::field;
use crate::tls::client::Demand;

impl Listener {
    /// Takes what a session says. Its silence, when the channel closes, is an answer too.
    pub(super) fn hear_session(&mut self, number: u64) {
        let Some(connection) = self.connections.get(&number) else {
            return;
        };
        let Session::Own(session) = &connection.session else {
            return;
        };
        match session.try_receive() {
            Ok(Some((report, _))) => self.take_report(number, report),
            Ok(None) => {}
            Err(_) => self.session_over(number),
        }
    }

    pub(super) fn take_report(&mut self, number: u64, report: SessionReport) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        match report {
            SessionReport::Established { facts, environment } => {
                let encrypted = match std::mem::replace(&mut connection.stage, Stage::Over) {
                    Stage::Handshake(pipes) => {
                        connection.stage = Stage::Waiting(Waiting {
                            pipes,
                            to: Purpose::Encrypted { environment },
                            greeted: false,
                        });
                        None
                    }
                    Stage::Running(mut running) if !running.encrypted => {
                        running.encrypted = true;
                        let pid = running.pid;
                        connection.stage = Stage::Running(running);
                        Some(pid)
                    }
                    // Only a captured session says so twice.
                    stage => {
                        connection.stage = stage;
                        return self.session_over(number);
                    }
                };
                self.counters.establish(&facts);
                connection.facts = facts;
                if let Some(pid) = encrypted {
                    return self.log_encrypted(number, pid);
                }
                if let Some(due) = connection.due.take() {
                    self.deadlines.remove(&(due, number));
                }
                self.queue.push_back(number);
                self.start_waiting();
            }
            SessionReport::Failed { pid, reason } => {
                self.counters.fail(Failure::of(&reason));
                let ip = connection.remote.ip();
                let reason = words(&reason);
                let text =
                    format!("fatal: (111) unable to accept TLS from: {ip} for pid: {pid} {reason}");
                self.handshake_failed(number, ip, &text);
            }
            SessionReport::Refused { reason } => {
                self.counters.fail(Failure::ClientCertificate);
                let ip = connection.remote.ip();
                let text = format!("error: (110) {}", words(&reason));
                self.handshake_failed(number, ip, &text);
            }
            SessionReport::Finished {
                received,
                sent,
                ending,
            } => {
                self.counters.moved(received, sent);
                connection.ending = Some(ending);
                connection.moved = (received, sent);
                self.session_over(number);
            }
        }
    }

    pub(super) fn handshake_failed(&mut self, number: u64, ip: IpAddr, text: &str) {
        if self.failures.admits(ip, Instant::now()) {
            self.log.line(Level::Warning, text);
        }
        match self.connections.get_mut(&number) {
            // An application that asked for TLS in plain text and did not get it.
            Some(Connection {
                stage: Stage::Running(running),
                ..
            }) => {
                running.failed = true;
                self.session_over(number);
            }
            _ => self.forget(number),
        }
    }

    /// Starts applications as far as there are places.
    pub(super) fn start_waiting(&mut self) {
        while self.may_start() && self.start_after.is_none() && self.running < self.limits.running {
            let Some(number) = self.queue.pop_front() else {
                return;
            };
            self.start_application(number);
        }
    }

    fn start_application(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let Stage::Waiting(waiting) = &mut connection.stage else {
            return;
        };
        let plain = match &waiting.to {
            Purpose::Plain(plain) => Some(plain),
            Purpose::Encrypted { .. } => None,
        };
        if !waiting.greeted {
            waiting.greeted = true;
            self.launcher.greet(&waiting.pipes, plain);
        }
        let mut environment = self.launcher.inherited.clone();
        let names = &connection.names;
        let local_name = self.options.common.local_name.as_deref();
        let local_name = local_name
            .or(names.local_name.as_deref())
            .map(<[u8]>::to_vec);
        let local_name = local_name.as_deref();
        let remote = connection.remote;
        let ends = Ends {
            local_name,
            local: connection.local,
            remote_name: names.host.as_deref(),
            remote_info: names.info.as_deref(),
            remote,
        };
        environment.connection(&ends, self.options.common.tcp_environment);
        if let Some(proxy) = names.proxy {
            environment.set(b"SSLPROXYIP", proxy.to_string().as_bytes());
        }
        let pairs = connection.variables.iter();
        environment::rules(
            &mut environment,
            pairs.map(|(name, value)| (&name[..], &value[..])),
        );
        let proper = match &waiting.to {
            Purpose::Plain(_) => {
                environment.starttls([CONTROL, READ, WRITE]);
                true
            }
            Purpose::Encrypted { environment: block } => {
                (self.options.common.ssl_environment || block.is_empty()) && environment.tls(block)
            }
        };
        if !proper {
            let ip = remote.ip();
            self.log
                .warning(format_args!("session of {ip} broke the protocol: closed"));
            return self.forget(number);
        }
        let pid = match self.launcher.start(&environment, &waiting.pipes, plain) {
            Ok(pid) => pid,
            Err(error) if error.is_shortage() => {
                self.queue.push_front(number);
                return self.pause_starts(error);
            }
            Err(error) => {
                let program = self.launcher.name();
                self.log.line(
                    Level::Warning,
                    format_args!("fatal: (111) unable to run: {program}: {error}"),
                );
                return self.forget(number);
            }
        };
        self.applications_short.pass();
        self.counters.applications += 1;
        let running = Stage::Running(Running {
            pid,
            status: None,
            alone: false,
            failed: false,
            encrypted: plain.is_none(),
        });
        let ends = ends.to_string();
        let before = std::mem::replace(&mut connection.stage, running);
        self.applications.insert(pid, number);
        self.running += 1;
        self.unfinished.leave(connection.client);
        self.log_status();
        let ip = remote.ip();
        self.log
            .line(Level::Status, format_args!("pid {pid} from {ip}"));
        self.log
            .line(Level::Status, format_args!("ok {pid} {ends}"));
        let Stage::Waiting(waiting) = before else {
            return;
        };
        match waiting.to {
            Purpose::Encrypted { .. } => self.log_encrypted(number, pid),
            Purpose::Plain(plain) => {
                self.dispatch(plain.handover);
            }
        }
    }

    fn log_encrypted(&self, number: u64, pid: Pid) {
        let Some(Connection {
            facts,
            demand,
            remote,
            ..
        }) = self.connections.get(&number)
        else {
            return;
        };
        let ip = remote.ip();
        let summary = match self.log.level() >= Level::Detail {
            true => {
                let summary = format!("{}:{}", facts.protocol, facts.cipher);
                format!(" {}", field(summary.as_bytes()))
            }
            false => String::new(),
        };
        if *demand != Demand::Nothing {
            self.log.line(
                Level::Status,
                format_args!("info: valid client cert received from: {ip} for pid: {pid}"),
            );
        }
        self.log
            .line(Level::Status, format_args!("tls {pid} accept{summary}"));
    }

    pub(super) fn application_ended(&mut self, number: u64, ended: Ended) {
        if let Some(Connection {
            stage: Stage::Running(running),
            ..
        }) = self.connections.get_mut(&number)
        {
            running.status = Some(ended.status);
        }
        self.finish(number);
    }

    /// The session is gone, with or without a last word.
    pub(super) fn session_over(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let session = std::mem::replace(&mut connection.session, Session::Over);
        let ip = connection.remote.ip();
        self.part(session);
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let Stage::Running(running) = &mut connection.stage else {
            let (failure, why) = match connection.ending {
                None => (Failure::Other, "session ended without a word"),
                Some(_) => (
                    Failure::NoPlace,
                    "it ended before there was a place for an application",
                ),
            };
            self.counters.fail(failure);
            let text = format!("fatal: (111) unable to accept TLS from: {ip} {why}");
            return self.handshake_failed(number, ip, &text);
        };
        let pid = running.pid;
        running.alone = running.status.is_none();
        let alone = running.alone;
        // An application without TLS goes on in plain text, as long as it likes.
        let plain = connection.ending == Some(Ending::Plain) && !running.encrypted;
        let at_once = running.failed || connection.ending == Some(Ending::Idle);
        let error = match &connection.ending {
            // Said already, or nothing to say.
            _ if running.failed || plain => None,
            Some(Ending::Complete | Ending::Cut) => None,
            // Only a captured session says so after its handshake.
            Some(Ending::Plain) => Some("the session broke the protocol".into()),
            Some(Ending::ClientGone(reason) | Ending::Broken(reason)) => Some(words(reason)),
            Some(Ending::Idle) => Some("idle for too long".into()),
            None => Some("the session ended without a word".into()),
        };
        if let Some(reason) = error {
            self.log.line(
                Level::Warning,
                format_args!("error: (111) unable to speak TLS with: {ip} for pid: {pid} {reason}"),
            );
        }
        if alone && !plain {
            // Its input has ended and its output breaks; most leave by themselves.
            let now = Instant::now();
            let due = match at_once {
                true => now,
                false => now + self.options.common.idle,
            };
            connection.due = Some(due);
            self.deadlines.insert((due, number));
        }
        self.finish(number);
    }

    /// What to do when a connection has overrun its time.
    pub(super) fn overdue(&mut self, number: u64) {
        if self.inquiries.contains_key(&number) {
            return self.lookup_overdue();
        }
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.due = None;
        match &connection.stage {
            Stage::Running(running) if running.alone => {
                // Gone already is as good.
                let _ = kill(running.pid, Signal::SIGTERM);
            }
            Stage::Running(_) => {}
            _ => {
                if let Session::Shared(Some(token)) = connection.session
                    && let Some(terminator) = self.roles.crew.by_token(token)
                {
                    terminator.silent = true;
                }
                self.counters.fail(Failure::Other);
                let ip = connection.remote.ip();
                let text =
                    format!("fatal: (111) unable to accept TLS from: {ip} session does not answer");
                self.handshake_failed(number, ip, &text);
            }
        }
    }

    /// Gives the place back once both the application and the session are done.
    fn finish(&mut self, number: u64) {
        let Some(connection) = self.connections.get(&number) else {
            return;
        };
        if !connection.is_over() {
            return;
        }
        if let Stage::Running(running) = &connection.stage {
            let (pid, status) = (running.pid, running.status.unwrap_or(0));
            self.log.line(
                Level::Status,
                format_args!("ended by {pid} status {status}"),
            );
            let finished = Finished {
                pid,
                remote: connection.remote,
                facts: &connection.facts,
                moved: connection.moved,
                time: connection.began.elapsed(),
                status,
                end: end(running, connection.ending.as_ref()),
            };
            self.log.line(Level::Detail, finished);
        }
        self.remove(number);
        self.log_status();
        self.start_waiting();
    }

    /// Drops everything that belongs to a connection; its place is free for another.
    pub(super) fn forget(&mut self, number: u64) {
        self.remove(number);
        self.start_waiting();
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        let is_running = connection.is_running();
        self.part(connection.session);
        self.census.leave(connection.client);
        if let Some(due) = connection.due {
            self.deadlines.remove(&(due, number));
        }
        self.queue.retain(|&waiting| waiting != number);
        self.withdraw(number);
        match is_running {
            true => self.running -= 1,
            false => self.unfinished.leave(connection.client),
        }
    }

    /// Nothing more comes from this session.
    fn part(&mut self, session: Session) {
        match session {
            // Closing alone would not do: an application that is just being executed still has a copy of the
            // descriptor, and the copy would wake us without end.
            Session::Own(session) => {
                let _ = self.epoll.delete(session);
            }
            Session::Shared(Some(token)) => {
                if let Some(terminator) = self.roles.crew.by_token(token) {
                    terminator.load = terminator.load.saturating_sub(1);
                }
            }
            Session::Shared(None) | Session::Over => {}
        }
    }

    pub(super) fn log_status(&self) {
        let (running, limit) = (self.running, self.limits.running);
        let per_client = self.limits.shown_per_client();
        self.log.line(
            Level::Status,
            format_args!("status: {running}/{limit}/{per_client}"),
        );
    }
}

/// How a connection with an application ended, in a word, and the reason if that has one.
fn end<'a>(running: &Running, ending: Option<&'a Ending>) -> (&'static str, &'a str) {
    match ending {
        // Why is in a line of its own.
        _ if running.failed => ("handshake_failed", ""),
        Some(Ending::Complete | Ending::Cut) => ("complete", ""),
        Some(Ending::ClientGone(reason)) => ("client_gone", reason),
        Some(Ending::Broken(reason)) => ("broken", reason),
        Some(Ending::Idle) => ("idle", ""),
        Some(Ending::Plain) => ("no_tls", ""),
        None => ("no_word", ""),
    }
}
