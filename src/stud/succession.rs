//! From a configuration to a generation that serves, and from the one that served to its end. Whatever fails on the
//! way, whoever serves goes on.
#![forbid(unsafe_code)]

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::{Config, Sessions};
use super::failure::Failure;
use super::generation::{Generation, Parts, State};
use super::identity;
use super::log::Log;
use super::parent::Parent;
use super::plan;
use super::sockets;
use super::store::Store;
use crate::privsep::message::ToWorker;
use crate::privsep::pem_keeper;
use crate::privsep::resolver::{Addresses, Resolver};
use crate::privsep::role::Confinement;
use crate::privsep::worker::Counts;

/// Time for name servers.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(30);
/// Workers of the generation before stop accepting at once, unless something holds them up.
const STOPPING_PATIENCE: Duration = Duration::from_secs(2);

/// A configuration whose names are being looked up.
pub struct Coming {
    config: Rc<Config>,
    pub resolver: Resolver,
    pub deadline: Instant,
}

impl Parent {
    /// Begins to prepare a generation. One that was being prepared is given up.
    pub(super) fn begin(&mut self, config: Rc<Config>) -> Result<(), Failure> {
        self.coming = None;
        for generation in &mut self.generations {
            if matches!(generation.state, State::Loading | State::Starting) {
                generation.give_up();
            }
        }
        let (confinement, _) = identity::confinement(&config)?;
        let names = plan::names(&config);
        if names.is_empty() {
            return self.launch(config, Vec::new());
        }
        let resolver = Resolver::start(names, confinement.identity);
        let resolver = resolver
            .map_err(|errno| Failure(format!("unable to start the resolver: {}", errno.desc())))?;
        self.coming = Some(Coming {
            config,
            resolver,
            deadline: self.now + RESOLVER_PATIENCE,
        });
        Ok(())
    }

    pub(super) fn hear_resolver(&mut self) {
        let done = self
            .coming
            .as_mut()
            .is_some_and(|coming| coming.resolver.try_receive());
        if done {
            self.resolved();
        }
    }

    /// The names are known, or the time for them is over.
    pub(super) fn resolved(&mut self) {
        if let Some(coming) = self.coming.take()
            && let Err(failure) = self.launch(coming.config, coming.resolver.finish())
        {
            self.fail(failure);
        }
    }

    /// Binds, and starts the keeper.
    fn launch(&mut self, config: Rc<Config>, answers: Vec<Addresses>) -> Result<(), Failure> {
        let mut answers = answers.into_iter();
        let addresses = plan::frontend_addresses(&config, &mut answers)?;
        let targets = plan::targets(&config, &mut answers)?;
        let sockets = match self.testing {
            true => sockets::probe(&config, &addresses).map(|()| Vec::new()),
            false => {
                let present = self.serving().map_or(&[][..], |one| &one.sockets);
                sockets::bind(&config, &addresses, present)
            }
        }?;
        let (confinement, note) = identity::confinement(&config)?;
        for note in note.iter().chain(&config.notes) {
            self.log.life(note);
        }
        let keeper = pem_keeper::Orders {
            pems: plan::pems(&config),
            ticket_keys: config.ticket_key_file.clone(),
            confinement,
        };
        while self.counts.len() < config.workers {
            let counts = Counts::new().map_err(|errno| Failure(errno.desc().into()))?;
            self.counts.push(Arc::new(counts));
        }
        let parts = Parts {
            counts: self.counts[..config.workers].to_vec(),
            store: self.store(&config.sessions, &keeper.confinement)?,
            orders: plan::orders(&config, &keeper.confinement, targets),
            config,
            sockets,
        };
        let generation = Generation::start(parts, &keeper, self.serving(), self.now);
        self.generations.push(
            generation.map_err(|errno| {
                Failure(format!("unable to start the keeper: {}", errno.desc()))
            })?,
        );
        Ok(())
    }

    /// The store that there is, or a new one.
    fn store(
        &self,
        sessions: &Sessions,
        confinement: &Confinement,
    ) -> Result<Option<Rc<Store>>, Failure> {
        let serving = self.serving();
        let present = serving.and_then(|generation| generation.store.as_ref());
        match present.filter(|store| store.is_for(sessions)) {
            Some(store) => Ok(Some(store.clone())),
            None => Ok(Store::start(sessions, confinement)?.map(Rc::new)),
        }
    }

    /// The keeper has read everything.
    pub(super) fn start_workers(&mut self, place: usize) {
        let now = self.now;
        self.generations[place].state = State::Starting;
        for slot in 0..self.generations[place].slots.len() {
            if let Err(errno) = self.generations[place].start_worker(slot, now) {
                let reason = format!("unable to start a worker: {}", errno.desc());
                return self.abort(place, Failure(reason));
            }
        }
    }

    /// Somebody of a generation is ready. When all are, it takes over from the one that serves.
    pub(super) fn ready(&mut self, place: usize) {
        let generation = &self.generations[place];
        if generation.state != State::Starting || !generation.is_ready() {
            return;
        }
        if self.testing {
            return self.leave(Duration::ZERO);
        }
        for generation in &mut self.generations {
            if generation.state == State::Serving {
                generation.drain(generation.config.times.drain);
            }
        }
        let generation = &mut self.generations[place];
        generation.state = State::Serving;
        if let Err(failure) = sockets::adjust(&generation.config, &generation.sockets) {
            self.log.error(failure);
        }
        generation.order(&ToWorker::Accept);
        let refresh = generation.config.backend_refresh;
        self.refresh = refresh.map(|pause| self.now + pause);
        self.announcement = Some(self.now + STOPPING_PATIENCE);
    }

    /// Says that a generation has taken over, once nobody before it accepts any more.
    pub(super) fn announce(&mut self) {
        let Some(deadline) = self.announcement else {
            return;
        };
        let mut others = self.generations.iter();
        let stopped = others.all(|one| one.state != State::Draining || one.has_stopped());
        if !stopped && self.now < deadline {
            return;
        }
        self.announcement = None;
        let is_first = self.surroundings.is_new();
        let Some(generation) = self.serving() else {
            return;
        };
        let config = generation.config.clone();
        let sockets = generation.sockets.clone();
        if !is_first && !self.log.is_for(&config.log) {
            match Log::open(self.name, &config.log) {
                Ok(log) => self.log = log,
                Err(error) => self
                    .log
                    .verdict(format_args!("{error}; the log stays where it was")),
            }
        }
        self.surroundings.follow(&config, &sockets, &self.log);
        if !is_first {
            self.log.life("reload: the new configuration is in force");
        }
    }

    /// A generation cannot serve.
    pub(super) fn abort(&mut self, place: usize, failure: Failure) {
        self.generations[place].give_up();
        self.fail(failure);
    }

    /// What was begun came to nothing. Whoever serves goes on.
    pub(super) fn fail(&mut self, failure: Failure) {
        match self.serving() {
            Some(_) => self.log.verdict(format_args!(
                "reload failed: {failure}; the configuration in force stays"
            )),
            None => drop(self.failure.get_or_insert(failure)),
        }
    }

    /// The present configuration once more, because the keeper or the store is gone.
    pub(super) fn renew(&mut self) {
        let Some(config) = self.serving().map(|generation| generation.config.clone()) else {
            return;
        };
        self.renewals.started = Some(self.now);
        if let Err(failure) = self.begin(config) {
            self.log.error(&failure);
            self.renewal = Some(self.renewals.next(self.now));
        }
    }
}
