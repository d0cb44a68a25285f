//! Looking up the names of backends again while the workers serve (`backend-refresh`), and answering who wants the
//! counters.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::generation::State;
use super::identity;
use super::lines;
use super::parent::Parent;
use super::plan;
use crate::privsep::message::ToWorker;
use crate::privsep::resolver::Resolver;

/// Time for name servers.
const PATIENCE: Duration = Duration::from_secs(30);

impl Parent {
    /// It is time to look the backends' names up, or over for those who are at it.
    pub(super) fn look_backends_up(&mut self) {
        let now = self.now;
        self.refresh = None;
        if self.refresher.take().is_some() {
            self.log
                .error("backend-refresh: no answer in time; the addresses in use stay");
        }
        let Some(config) = self.serving().map(|generation| generation.config.clone()) else {
            return;
        };
        let Some(pause) = config.backend_refresh else {
            return;
        };
        self.refresh = Some(now + pause.max(PATIENCE));
        let names = plan::backend_names(&config);
        let identity = identity::confinement(&config).map(|(confinement, _)| confinement.identity);
        if let Ok(identity) = identity
            && !names.is_empty()
        {
            self.refresher = Resolver::start(names, identity).ok();
        }
    }

    pub(super) fn hear_refresher(&mut self) {
        let done = self.refresher.as_mut().is_some_and(Resolver::try_receive);
        let Some(refresher) = self.refresher.take_if(|_| done) else {
            return;
        };
        let now = self.now;
        let mut generations = self.generations.iter_mut();
        let serving = generations.find(|generation| generation.state == State::Serving);
        let Some(generation) = serving else {
            return;
        };
        self.refresh = generation.config.backend_refresh.map(|pause| now + pause);
        let mut answers = refresher.finish().into_iter();
        let targets = match plan::targets(&generation.config, &mut answers) {
            Ok(targets) => targets,
            Err(failure) => {
                let text = format!("backend-refresh: {failure}; the addresses in use stay");
                return self.log.error(text);
            }
        };
        for (number, targets) in targets.into_iter().enumerate() {
            let backend = &mut generation.orders.backends[number];
            if backend.targets != targets {
                self.log.life(format_args!(
                    "backend {} has other addresses now",
                    lines::name(&generation.config.backends[number])
                ));
                backend.targets.clone_from(&targets);
                generation.order(&ToWorker::Targets {
                    backend: number as u16,
                    targets,
                });
            }
        }
    }

    pub(super) fn tell_metrics(&mut self) {
        let (counts, log) = (&self.counts, &self.log);
        self.surroundings
            .turn(self.now, || lines::metrics(counts, log));
    }
}
