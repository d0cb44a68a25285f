//! What the listener is told. A report is never lost and never waited with: what the channel has no room for is kept,
//! at most two reports for each connection.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::privsep::channel::ChannelError;
use crate::privsep::message::{FromTerminator, SessionReport, TerminatorToListener, ToTerminator};
use std::os::fd::OwnedFd;

/// Sending is tried again after so long where not the room in the channel was wanting.
const PAUSE: Duration = Duration::from_millis(50);

pub struct Reporter {
    listener: TerminatorToListener,
    unsent: VecDeque<FromTerminator>,
    again: Option<Instant>,
    /// What the channel is watched for.
    watched: EpollFlags,
    /// The number that its events have.
    source: u64,
    is_gone: bool,
}

impl Reporter {
    /// The kind of event is the channel's name among other sources.
    pub fn new(
        listener: TerminatorToListener,
        epoll: &Epoll,
        event: EpollEvent,
    ) -> Result<Reporter, Errno> {
        epoll.add(&listener, event)?;
        Ok(Reporter {
            listener,
            unsent: VecDeque::new(),
            again: None,
            watched: event.events(),
            source: event.data(),
            is_gone: false,
        })
    }

    pub fn report(&mut self, number: u64, report: SessionReport) {
        let report = Box::new(report);
        self.tell(FromTerminator::Report { number, report });
    }

    pub fn tell(&mut self, message: FromTerminator) {
        if !self.is_gone {
            self.unsent.push_back(message);
            self.send();
        }
    }

    /// Sends what there is room for.
    fn send(&mut self) {
        while let Some(message) = self.unsent.front() {
            match self.listener.try_send(message, &[]) {
                Ok(()) => drop(self.unsent.pop_front()),
                Err(ChannelError::System(Errno::EAGAIN)) => return,
                // The end is noticed where it is read.
                Err(ChannelError::Closed) => return,
                Err(_) => {
                    self.again.get_or_insert_with(|| Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }

    pub fn hear(&self) -> Result<Option<(ToTerminator, Vec<OwnedFd>)>, ChannelError> {
        self.listener.try_receive()
    }

    /// When there is something to be done without an event.
    pub fn due(&self) -> Option<Instant> {
        self.again
    }

    /// Goes on with what is kept, and has the channel watched for room as long as something is, for orders only where
    /// they are wanted.
    pub fn turn(&mut self, epoll: &Epoll, now: Instant, wants_orders: bool) {
        if self.is_gone {
            return;
        }
        self.again = self.again.filter(|again| *again > now);
        if self.again.is_none() {
            self.send();
        }
        let mut wanted = EpollFlags::empty();
        wanted.set(EpollFlags::EPOLLIN, wants_orders);
        let waits_for_room = !self.unsent.is_empty() && self.again.is_none();
        wanted.set(EpollFlags::EPOLLOUT, waits_for_room);
        if wanted != self.watched {
            let mut event = EpollEvent::new(wanted, self.source);
            // It is in there.
            let _ = epoll.modify(&self.listener, &mut event);
            self.watched = wanted;
        }
    }

    /// Nobody hears anything any more. A channel whose other end is gone would be ready for ever.
    pub fn leave(&mut self, epoll: &Epoll) {
        if !std::mem::replace(&mut self.is_gone, true) {
            let _ = epoll.delete(&self.listener);
            self.unsent.clear();
            self.again = None;
        }
    }

    pub fn has_listener(&self) -> bool {
        !self.is_gone
    }

    /// Everything is said.
    pub fn is_done(&self) -> bool {
        self.unsent.is_empty()
    }
}
