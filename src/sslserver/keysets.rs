//! Sets of keys that rules choose: CERTFILE and the other TLS variables of a rule are for the connections that it
//! matches. A set is loaded when the first such connection comes, which waits for it.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::config::{KeyConfig, Variables, key_set};
use super::connection::Handover;
use super::listener::Listener;
use super::options::Options;
use crate::privsep::message::ToKeeper;
use crate::sys::message::MAX_DESCRIPTORS;
use crate::tls::client::Demand;
use crate::tls::material::SetFiles;
use crate::tls::settings::Settings;

/// Variables of TLS: in our environment they make the first set of keys, in a rule's another.
pub const NAMES: [&str; 18] = [
    "ALPN",
    "CADIR",
    "CAFILE",
    "CCADIR",
    "CCAFILE",
    "CERTCHAINFILE",
    "CERTDIR",
    "CERTFILE",
    "CIPHERS",
    "CIPHERSUITES",
    "CRLFILE",
    "DHFILE",
    "GROUPS",
    "KEYFILE",
    "SNI_STRICT",
    "TLSMAX",
    "TLSMIN",
    "VERIFYDEPTH",
];

/// Rules have few sets; one with a set for each address is a mistake.
const MOST: usize = 1000;
/// Settings go to the roles in one message.
const LONGEST: usize = 16 * 1024;
/// A set that could not be loaded is not tried at every connection.
const PAUSE: Duration = Duration::from_secs(1);

/// Names and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

pub struct KeySets {
    variables: Variables,
    config: KeyConfig,
    /// By what the rule says; the number of the first set, which is nobody's here, is 0.
    numbers: HashMap<Pairs, u32>,
    sets: Vec<KeySet>,
}

struct KeySet {
    files: SetFiles,
    settings: Settings,
    demand: Demand,
    state: State,
}

enum State {
    /// Nobody has asked for it, or the terminator that knew it is gone.
    Unknown,
    /// The keeper is at it, and these connections wait.
    Asked(Vec<Handover>),
    Ready,
    Failed(Instant, String),
}

/// What goes to the terminator, in this order.
pub enum Outgoing {
    Set(u32),
    Client(Handover),
}

impl KeySets {
    pub fn new(variables: Variables, config: KeyConfig) -> KeySets {
        KeySets {
            variables,
            config,
            numbers: HashMap::new(),
            sets: Vec::new(),
        }
    }

    /// The number of the set for a connection with these variables of rules.
    pub fn number(
        &mut self,
        options: &Options,
        rules: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<u32, String> {
        let ours =
            |(name, _): &&(Vec<u8>, Vec<u8>)| NAMES.iter().any(|known| known.as_bytes() == name);
        let mut changes: Pairs = rules.iter().filter(ours).cloned().collect();
        if changes.is_empty() {
            return Ok(0);
        }
        changes.sort();
        let has = |wanted: &[u8]| changes.iter().any(|(name, _)| name == wanted);
        let (file, chain) = (has(b"CERTFILE"), has(b"CERTCHAINFILE"));
        // A certificate for this connection is not chosen by name, nor is it another's chain.
        let folder = (file || chain) && !has(b"CERTDIR");
        let others_chain = file && !chain;
        for (name, undone) in [("CERTDIR", folder), ("CERTCHAINFILE", others_chain)] {
            if undone {
                changes.push((name.into(), Vec::new()));
            }
        }
        if let Some(&number) = self.numbers.get(&changes) {
            return Ok(number);
        }
        if self.sets.len() >= MOST {
            return Err(format!("rules make more than {MOST} sets of keys"));
        }
        if changes.iter().map(|(_, value)| value.len()).sum::<usize>() > LONGEST {
            return Err(format!("more than {LONGEST} bytes of settings"));
        }
        let variables = self.variables.with(&changes);
        let (settings, keys) =
            key_set(options, &variables, &self.config).map_err(|error| error.reason())?;
        self.sets.push(KeySet {
            files: keys.files,
            settings,
            demand: keys.demand,
            state: State::Unknown,
        });
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.numbers.insert(changes, number);
        Ok(number)
    }

    fn get(&mut self, number: u32) -> Option<&mut KeySet> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.sets.get_mut(place)
    }

    pub fn settings(&mut self, number: u32) -> Option<(Settings, Demand)> {
        let set = self.get(number)?;
        Some((set.settings.clone(), set.demand))
    }

    /// What clients of this set have to show; the first set's demand is the listener's own.
    pub fn demand(&mut self, number: u32) -> Option<Demand> {
        self.get(number).map(|set| set.demand)
    }

    /// The connection is over; it waits for nothing any more.
    pub fn forget(&mut self, connection: u64) {
        for set in &mut self.sets {
            if let State::Asked(waiting) = &mut set.state {
                waiting.retain(|handover| handover.number != connection);
            }
        }
    }
}

impl Listener {
    /// Sends a client on its way: to the terminator, or first its set to be loaded.
    pub(super) fn dispatch(&mut self, handover: Handover) {
        let number = handover.set;
        let Some(set) = self.sets.get(number) else {
            self.outgoing.push_back(Outgoing::Client(handover));
            return self.hand_over();
        };
        match &mut set.state {
            State::Ready => {
                self.outgoing.push_back(Outgoing::Client(handover));
                self.hand_over();
            }
            State::Asked(waiting) => waiting.push(handover),
            State::Failed(since, reason) if since.elapsed() < PAUSE => {
                let reason = reason.clone();
                self.set_refused(handover.number, &reason);
            }
            State::Unknown | State::Failed(..) => {
                set.state = State::Asked(vec![handover]);
                self.ask_for_set(number);
            }
        }
    }

    fn ask_for_set(&mut self, number: u32) {
        let (Some(set), Some(keeper)) = (self.sets.get(number), &self.roles.keeper) else {
            return;
        };
        let files = set.files.clone();
        let (opened, descriptors) = self.roles.open_files(&files);
        if descriptors.len() > MAX_DESCRIPTORS {
            let reason = format!("more than {MAX_DESCRIPTORS} files: they need an SSL_USER");
            return self.set_failed(number, reason);
        }
        let order = ToKeeper::Set {
            number,
            files: Box::new(files),
            opened,
        };
        let ends: Vec<_> = descriptors.iter().map(|file| file.as_fd()).collect();
        // The keeper is quick; if its channel is full it is stuck, and the waiting connections run out of time.
        if let Err(error) = keeper.channel.try_send(&order, &ends) {
            self.set_failed(number, format!("the keeper does not answer: {error}"));
        }
    }

    pub(super) fn set_loaded(&mut self, number: u32, terminators: u32) {
        // What the keeper told an earlier terminator is lost with it.
        if terminators != self.roles.terminators {
            return;
        }
        let Some(set) = self.sets.get(number) else {
            return;
        };
        self.outgoing.push_back(Outgoing::Set(number));
        if let State::Asked(waiting) = std::mem::replace(&mut set.state, State::Ready) {
            self.outgoing
                .extend(waiting.into_iter().map(Outgoing::Client));
        }
        self.hand_over();
    }

    pub(super) fn set_failed(&mut self, number: u32, reason: String) {
        let Some(set) = self.sets.get(number) else {
            return;
        };
        let failed = State::Failed(Instant::now(), reason.clone());
        if let State::Asked(waiting) = std::mem::replace(&mut set.state, failed) {
            for handover in waiting {
                self.set_refused(handover.number, &reason);
            }
        }
    }

    fn set_refused(&mut self, connection: u64, reason: &str) {
        if let Some(known) = self.connections.get(&connection) {
            let ip = known.remote.ip();
            let text = format!("error: (110) no keys for: {ip} {reason}");
            self.handshake_failed(connection, ip, &text);
        }
    }

    /// A new terminator knows the first set only: the others are told again when they are wanted. Before anything is
    /// asked for it: sets go to it in the order in which the keeper loads them.
    pub(super) fn renew_sets(&mut self) {
        self.outgoing
            .retain(|outgoing| matches!(outgoing, Outgoing::Client(_)));
        let mut wanted = Vec::new();
        for (place, set) in self.sets.sets.iter_mut().enumerate() {
            match &set.state {
                State::Asked(_) => wanted.extend(u32::try_from(place + 1).ok()),
                State::Ready => set.state = State::Unknown,
                State::Unknown | State::Failed(..) => {}
            }
        }
        for number in wanted {
            self.ask_for_set(number);
        }
        // Clients that were on their way to the earlier terminator may need a set again.
        for outgoing in std::mem::take(&mut self.outgoing) {
            if let Outgoing::Client(handover) = outgoing {
                self.dispatch(handover);
            }
        }
    }
}
