//! Sending clients on their way: to the terminator with the fewest, or first having the set of their rule loaded for it.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::connection::{Handover, Session};
use super::counters::Denial;
use super::crew::{Outgoing, SetState};
use super::listener::{Listener, SHORTAGE_PAUSE};
use crate::privsep::channel::ChannelError;
use crate::privsep::message::{ToKeeper, ToTerminator};
use crate::sys::message::MAX_DESCRIPTORS;

/// A set that could not be loaded is not tried at every connection.
const PAUSE: Duration = Duration::from_secs(1);

impl Listener {
    pub(super) fn dispatch(&mut self, handover: Handover) {
        let Some(terminator) = self.roles.crew.choose() else {
            return self.homeless.push_back(handover);
        };
        let (token, number) = (terminator.token, handover.set);
        if number == 0 {
            terminator.outgoing.push_back(Outgoing::Client(handover));
            return self.hand_over(token);
        }
        match terminator.sets.get_mut(&number) {
            Some(SetState::Ready) => {
                terminator.outgoing.push_back(Outgoing::Client(handover));
                self.hand_over(token);
            }
            Some(SetState::Asked(waiting)) => waiting.push(handover),
            Some(SetState::Failed(since, reason)) if since.elapsed() < PAUSE => {
                let reason = reason.clone();
                self.set_refused(handover.number, &reason);
            }
            Some(SetState::Failed(..)) | None => {
                let asked = SetState::Asked(vec![handover]);
                terminator.sets.insert(number, asked);
                let ordinal = terminator.ordinal;
                if let Err(reason) = self.ask_for_set(number, Some(ordinal)) {
                    self.set_failed(number, ordinal, reason);
                }
            }
        }
    }

    /// Clients that found no terminator try again.
    pub(super) fn dispatch_homeless(&mut self) {
        for handover in std::mem::take(&mut self.homeless) {
            self.dispatch(handover);
        }
    }

    /// Has the keeper load a set for a terminator, or read it again.
    pub(super) fn ask_for_set(
        &mut self,
        number: u32,
        terminator: Option<u32>,
    ) -> Result<(), String> {
        let files = match number {
            0 => &self.roles.keeper_orders.files,
            _ => match self.sets.get(number) {
                Some(set) => &set.files,
                None => return Err("no such set of keys".into()),
            },
        };
        let (opened, descriptors) = self.roles.open_files(files.paths());
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(format!(
                "more than {MAX_DESCRIPTORS} files: they need an SSL_USER"
            ));
        }
        let order = ToKeeper::Set {
            number,
            terminator,
            files: Box::new(files.clone()),
            opened,
        };
        self.ask_keeper(&order, &descriptors)
    }

    pub(super) fn ask_keeper(&self, order: &ToKeeper, files: &[OwnedFd]) -> Result<(), String> {
        let ends: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        // The keeper is quick; if its channel is full it is stuck, and the waiting connections run out of time.
        let keeper = self.roles.keeper.as_ref();
        match keeper.map(|keeper| keeper.channel.try_send(order, &ends)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(format!("the keeper does not answer: {error}")),
            None => Err("there is no keeper now".into()),
        }
    }

    pub(super) fn set_loaded(&mut self, number: u32, ordinal: u32) {
        // What the keeper told an earlier terminator is lost with it.
        let Some(terminator) = self.roles.crew.by_ordinal(ordinal) else {
            return;
        };
        terminator.outgoing.push_back(Outgoing::Set(number));
        let before = terminator.sets.insert(number, SetState::Ready);
        if let Some(SetState::Asked(waiting)) = before {
            let waiting = waiting.into_iter().map(Outgoing::Client);
            terminator.outgoing.extend(waiting);
        }
        let token = terminator.token;
        self.hand_over(token);
    }

    pub(super) fn set_failed(&mut self, number: u32, ordinal: u32, reason: String) {
        let Some(terminator) = self.roles.crew.by_ordinal(ordinal) else {
            return;
        };
        let failed = SetState::Failed(Instant::now(), reason.clone());
        if let Some(SetState::Asked(waiting)) = terminator.sets.insert(number, failed) {
            for handover in waiting {
                self.set_refused(handover.number, &reason);
            }
        }
    }

    fn set_refused(&mut self, connection: u64, reason: &str) {
        if let Some(known) = self.connections.get(&connection) {
            self.counters.deny(Denial::Keys);
            let ip = known.remote.ip();
            let text = format!("error: (110) no keys for: {ip} {reason}");
            self.handshake_failed(connection, ip, &text);
        }
    }

    /// Gives a terminator what is for it, or keeps it until there is room.
    pub(super) fn hand_over(&mut self, token: u64) {
        let shared = self.roles.shared;
        let Some(terminator) = self.roles.crew.by_token(token) else {
            return;
        };
        let mut full = false;
        terminator.again = None;
        while let Some(outgoing) = terminator.outgoing.pop_front() {
            let sent = match &outgoing {
                Outgoing::Client(client) => terminator
                    .channel
                    .try_send(&ToTerminator::Connection(client.order()), &client.ends()),
                Outgoing::Drain => terminator.channel.try_send(&ToTerminator::Drain, &[]),
                Outgoing::Set(number) => match self.sets.get(*number) {
                    Some(set) => {
                        let order = ToTerminator::Set {
                            number: *number,
                            settings: set.settings.clone(),
                            demand: set.demand,
                            scope: set.scope.clone(),
                        };
                        terminator.channel.try_send(&order, &[])
                    }
                    None => Ok(()),
                },
            };
            match (sent, outgoing) {
                (Ok(()), Outgoing::Client(client)) if shared => {
                    terminator.load += 1;
                    if let Some(connection) = self.connections.get_mut(&client.number) {
                        connection.session = Session::Shared(Some(token));
                    }
                }
                (Ok(()), _) => {}
                (Err(error), outgoing) => {
                    terminator.outgoing.push_front(outgoing);
                    match error {
                        ChannelError::System(Errno::EAGAIN) => full = true,
                        // Room is not what is lacking, and being told of room would be told without end.
                        ChannelError::System(_) => {
                            terminator.again = Some(Instant::now() + SHORTAGE_PAUSE);
                        }
                        // It is dead, and reaping will say so.
                        _ => {}
                    }
                    break;
                }
            }
        }
        if terminator.full != full {
            terminator.full = full;
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, full);
            let mut event = EpollEvent::new(flags, token);
            // A channel that is registered stays so until it is closed.
            let _ = self.epoll.modify(&terminator.channel, &mut event);
        }
    }

    /// The connection is over: nothing is to be done for it any more.
    pub(super) fn withdraw(&mut self, connection: u64) {
        self.homeless
            .retain(|handover| handover.number != connection);
        for terminator in &mut self.roles.crew.members {
            terminator.withdraw(connection);
        }
    }
}
