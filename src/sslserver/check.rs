//! `-C`: loads everything as a server would, says what is wrong with any of it, and serves nobody.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::application::Launcher;
use super::crew::Duty;
use super::error::Error;
use super::keysets::KeySets;
use super::limits::RuleLimits;
use super::log::{Level, Log};
use super::options::Options;
use super::roles::Roles;
use super::{not_listening, place};
use crate::net::listen;
use crate::net::metrics::Metrics;
use crate::privsep::message::{FromKeeper, FromTerminator, ToKeeper};
use crate::rules::RulesFile;
use crate::sys::words;
use crate::tls::client::{Demand, TrustFiles};
use crate::tls::material::SetFiles;
use crate::tls::settings::Settings;

/// Nobody should wait for so long for a word of a role.
const PATIENCE: Duration = Duration::from_secs(600);

/// What has to fit together.
struct Set {
    files: SetFiles,
    settings: Settings,
    demand: Demand,
}

pub struct Check<'a> {
    pub options: &'a Options,
    pub log: &'a Log,
    pub launcher: &'a Launcher,
    /// METRICS
    pub metrics: Option<&'a Path>,
    pub sets: KeySets,
    pub roles: Roles,
    /// How many things are wrong.
    pub faults: usize,
}

impl Check<'_> {
    /// Looks at everything, and answers with the number of things that are wrong, each of which has had its line.
    pub fn run(mut self) -> Result<(), Error> {
        let numbers = self.rules();
        self.places();
        let first = Set {
            files: self.roles.keeper_orders.files.clone(),
            settings: self.roles.terminator_orders.tls.clone(),
            demand: self.roles.terminator_orders.demand,
        };
        let others = numbers.iter().filter_map(|number| self.sets.get(*number));
        let others = others.map(|set| Set {
            files: set.files.clone(),
            settings: set.settings.clone(),
            demand: set.demand,
        });
        let all: Vec<Set> = [first].into_iter().chain(others).collect();
        self.start_keeper()?;
        for set in all {
            if self.reads(&set)? {
                self.serves(set)?;
            }
        }
        match self.faults {
            0 => Ok(()),
            1 => Err(Error::fatal("check: 1 thing is wrong")),
            faults => Err(Error::fatal(format_args!(
                "check: {faults} things are wrong"
            ))),
        }
    }

    fn fault(&mut self, text: String) {
        self.faults += 1;
        self.log.line(Level::Warning, text);
    }

    /// Looks at the address to listen at, the counters' socket and the program.
    fn places(&mut self) {
        let probed = place(self.options).and_then(|(place, how)| {
            // Whether it is this machine's: its port may be in use, and be another's to open.
            let probed = listen::probe(place.0, 0, &how);
            probed.map_err(|error| not_listening(error, place))
        });
        if let Err(error) = probed {
            self.fault(error.to_string());
        }
        if let Some(Err(reason)) = self.metrics.map(Metrics::probe) {
            self.fault(format!("fatal: (111) {reason}"));
        }
        if let Err(errno) = self.launcher.find() {
            let (program, reason) = (self.launcher.name(), errno.desc());
            self.fault(format!("fatal: (111) unable to run: {program}: {reason}"));
        }
    }

    /// Reads all rules, and answers with the sets of keys that they name.
    fn rules(&mut self) -> Vec<u32> {
        let mut numbers = Vec::new();
        for path in [&self.options.early_rules, &self.options.rules] {
            let Some(path) = path else {
                continue;
            };
            let verdicts = match RulesFile::new(path.clone()).rules() {
                Ok(verdicts) => verdicts,
                Err(error) if error.is_missing() && self.options.missing_rules => continue,
                Err(error) => {
                    let path = path.display();
                    self.fault(format!("fatal: (110) unable to read: {path}: {error}"));
                    continue;
                }
            };
            for verdict in verdicts.iter().filter(|verdict| !verdict.deny) {
                let rule = words::field(verdict.matched.as_deref().unwrap_or_default());
                if let (_, Some(bad)) = RuleLimits::read(&verdict.variables) {
                    let path = path.display();
                    self.fault(format!("error: (111) {path}: rule {rule}: no limit: {bad}"));
                }
                match self.sets.number(self.options, &verdict.variables) {
                    Ok(0) => {}
                    Ok(number) => numbers.push(number),
                    Err(reason) => {
                        let path = path.display();
                        self.fault(format!("error: (111) {path}: rule {rule}: {reason}"));
                    }
                }
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Starts a keeper that has nothing to read yet but the keys of tickets.
    fn start_keeper(&mut self) -> Result<(), Error> {
        let orders = &mut self.roles.keeper_orders;
        orders.files = only(&orders.files);
        let ticket_keys = orders.ticket_keys.is_some();
        let failed = |errno: nix::errno::Errno| Error::fatal(errno.desc());
        self.roles.start_keeper(Instant::now()).map_err(failed)?;
        match self.hear(true)? {
            Ok(()) => Ok(()),
            // Everything but these can be checked without them.
            Err(reason) if ticket_keys => {
                self.fault(reason);
                self.roles.keeper_orders.ticket_keys = None;
                self.roles.start_keeper(Instant::now()).map_err(failed)?;
                self.hear(true)?.map_err(Error::Fatal)
            }
            Err(reason) => Err(Error::Fatal(reason)),
        }
    }

    /// The keeper's next verdict; what it says beside that goes to the log, unless it has been said.
    fn hear(&mut self, aloud: bool) -> Result<Result<(), String>, Error> {
        loop {
            let Some(keeper) = &self.roles.keeper else {
                return Err(Error::fatal("there is no keeper"));
            };
            let heard = keeper.channel.receive_within(PATIENCE);
            let (word, _) = heard.map_err(|error| Error::fatal(format_args!("keeper: {error}")))?;
            match word {
                FromKeeper::Warning(_) | FromKeeper::Unusable(_) if !aloud => {}
                FromKeeper::Warning(text) => self.log.warning(text),
                FromKeeper::Unusable(text) => self.fault(format!("error: (111) {text}")),
                FromKeeper::Renewed(outcome) => return Ok(outcome),
                FromKeeper::Fatal(text) => return Ok(Err(text)),
                _ => return Ok(Ok(())),
            }
        }
    }

    /// Has the keeper read each part of a set by itself, so that every reason is told, and then all of it.
    fn reads(&mut self, set: &Set) -> Result<bool, Error> {
        let before = self.faults;
        for part in parts(&set.files) {
            if let Err(reason) = self.read(&part, true)? {
                self.fault(format!("error: (111) {reason}"));
            }
        }
        if self.faults > before {
            return Ok(false);
        }
        if let Err(reason) = self.read(&set.files, false)? {
            self.fault(format!("error: (111) {reason}"));
        }
        Ok(self.faults == before)
    }

    fn read(&mut self, files: &SetFiles, aloud: bool) -> Result<Result<(), String>, Error> {
        let (opened, descriptors) = self.roles.open_files(files.paths());
        let ends: Vec<_> = descriptors.iter().map(|file| file.as_fd()).collect();
        let order = ToKeeper::Set {
            number: 0,
            terminator: None,
            files: Box::new(files.clone()),
            opened,
        };
        if let Some(keeper) = &self.roles.keeper {
            let sent = keeper.channel.send(&order, &ends);
            sent.map_err(|error| Error::fatal(format_args!("keeper: {error}")))?;
        }
        self.hear(aloud)
    }

    /// Has a terminator make of it what connections need, with the settings for them.
    fn serves(&mut self, set: Set) -> Result<(), Error> {
        let orders = &mut self.roles.terminator_orders;
        (orders.tls, orders.demand) = (set.settings, set.demand);
        let failed = |errno: nix::errno::Errno| Error::fatal(errno.desc());
        let started = self.roles.start_terminator(0, Duty::Serves, Instant::now());
        let heard = started.map_err(failed)?.channel.receive_within(PATIENCE);
        let verdict = match heard {
            Ok((FromTerminator::Fatal(text), _)) => Some(text),
            Ok(_) => None,
            Err(error) => Some(format!("fatal: (111) terminator: {error}")),
        };
        if let Some(text) = verdict {
            self.fault(text);
        }
        self.roles.crew.members.clear();
        Ok(())
    }
}

/// A set without any file.
fn only(files: &SetFiles) -> SetFiles {
    SetFiles {
        pairs: Vec::new(),
        folder: None,
        dh: None,
        trust: TrustFiles::default(),
        oldest: files.oldest,
    }
}

/// The parts that can be wrong each by itself.
fn parts(files: &SetFiles) -> Vec<SetFiles> {
    let mut parts = Vec::new();
    for pair in &files.pairs {
        parts.push(SetFiles {
            pairs: vec![pair.clone()],
            ..only(files)
        });
    }
    parts.push(SetFiles {
        folder: files.folder.clone(),
        ..only(files)
    });
    parts.push(SetFiles {
        dh: files.dh.clone(),
        ..only(files)
    });
    parts.push(SetFiles {
        trust: files.trust.clone(),
        ..only(files)
    });
    parts
}
