//! What keepers, workers and the store say, and their deaths.
#![forbid(unsafe_code)]

use super::failure::Failure;
use super::generation::State;
use super::lines;
use super::parent::Parent;
use crate::privsep::message::{FromKeeper, FromWorker, StoreReport};
use crate::sys::process::Ended;

impl Parent {
    /// Takes in one thing that a keeper says; false if there is none.
    pub(super) fn hear_keeper(&mut self, place: usize) -> bool {
        let keeper = self.generations[place].keeper.as_ref();
        let Some(channel) = keeper.and_then(|keeper| keeper.channel.as_ref()) else {
            return false;
        };
        match channel.try_receive() {
            Ok(Some((FromKeeper::Loaded { .. }, _))) => self.start_workers(place),
            Ok(Some((FromKeeper::Warning(text), _))) => {
                self.log.error(format_args!("warning: {text}"));
            }
            Ok(Some((FromKeeper::Fatal(text), _))) => self.abort(place, Failure(text)),
            Ok(None) => return false,
            // Its end is noticed when it is reaped; a keeper that breaks its word has none any more.
            Ok(Some(_)) | Err(_) => self.generations[place].end_keeper(),
        }
        true
    }

    /// Takes in one thing that a worker says; false if there is none.
    pub(super) fn hear_worker(&mut self, place: usize, slot: usize) -> bool {
        let generation = &mut self.generations[place];
        let Some((pid, message)) = generation.receive(slot, self.now) else {
            return false;
        };
        match message {
            FromWorker::Ready if generation.state == State::Serving => generation.accept(slot),
            FromWorker::Ready => self.ready(place),
            FromWorker::Fatal(text) if generation.state == State::Starting => {
                self.abort(place, Failure(text));
            }
            FromWorker::Fatal(text) => {
                self.log.error(format_args!("worker {pid}: {text}"));
                generation.dismiss_worker(slot, self.now);
            }
            told => lines::tell(&self.log, pid, &generation.config, &told),
        }
        true
    }

    pub(super) fn hear_store(&mut self, place: usize) {
        let generation = &self.generations[place];
        let preparing = matches!(generation.state, State::Loading | State::Starting);
        let Some(store) = &generation.store else {
            return;
        };
        match store.receive() {
            Some(StoreReport::Ready) => self.ready(place),
            Some(StoreReport::Fatal(text)) if preparing => {
                self.abort(place, Failure(format!("session-store: {text}")));
            }
            Some(StoreReport::Fatal(text)) => {
                self.log.error(format_args!("session-store: {text}"));
            }
            Some(StoreReport::Down(reason)) => self.log.error(format_args!(
                "session-store: {reason}; every session is a new one until it is back"
            )),
            Some(StoreReport::Up) => self.log.error("session-store: it is back"),
            None => {}
        }
    }

    /// A child has ended. What it said before counts.
    pub(super) fn bury(&mut self, ended: Ended) {
        for place in 0..self.generations.len() {
            let generation = &self.generations[place];
            if generation
                .keeper
                .as_ref()
                .is_some_and(|one| one.pid == ended.pid)
            {
                while self.hear_keeper(place) {}
            } else if let Some(slot) = generation.slot_of(ended.pid) {
                while self.hear_worker(place, slot) {}
            }
        }
        let now = self.now;
        let mut died = None;
        for (place, generation) in self.generations.iter_mut().enumerate() {
            if let Some(what) = generation.bury(ended.pid, now) {
                died = Some((place, what, generation.state));
            }
        }
        let Some((place, what, state)) = died else {
            return self.bury_store(ended);
        };
        match state {
            State::Loading | State::Starting => {
                self.abort(place, Failure(format!("{what} {ended}")));
            }
            State::Serving => {
                self.log.error(format_args!("{what} {} {ended}", ended.pid));
                if self.generations[place].keeper.is_none() {
                    self.renewal.get_or_insert(self.renewals.next(now));
                }
            }
            State::Draining => self.generations[place].dismiss_keeper(),
        }
    }

    /// The store's sessions are lost. Workers that have lost theirs do without until they are replaced, which they are
    /// now.
    fn bury_store(&mut self, ended: Ended) {
        let mut all = self.generations.iter().enumerate();
        let is_its = |store: &super::store::Store| store.pid == ended.pid;
        let found = all.find(|(_, one)| one.store.as_deref().is_some_and(is_its));
        let Some((place, generation)) = found else {
            return;
        };
        if let Some(store) = &generation.store {
            store.lose();
        }
        match generation.state {
            State::Loading | State::Starting => {
                self.hear_store(place);
                if self.generations[place].state != State::Draining {
                    self.abort(place, Failure(format!("store {ended}")));
                }
            }
            State::Serving => {
                self.log.error(format_args!("store {} {ended}", ended.pid));
                self.renewal.get_or_insert(self.renewals.next(self.now));
            }
            State::Draining => {}
        }
    }
}
