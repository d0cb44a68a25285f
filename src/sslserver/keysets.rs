//! Sets of keys that rules choose: CERTFILE and the other TLS variables of a rule are for the connections that it
//! matches. A set is loaded when the first such connection comes, which waits for it.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};

use super::config::{KeyConfig, Variables, key_set};
use super::options::Options;
use crate::tls::client::Demand;
use crate::tls::material::SetFiles;
use crate::tls::settings::Settings;

/// Variables of TLS: in our environment they make the first set of keys, in a rule's another.
pub const NAMES: [&str; 19] = [
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
    "TICKETS",
    "TLSMAX",
    "TLSMIN",
    "VERIFYDEPTH",
];

/// Rules have few sets; one with a set for each address is a mistake.
const MOST: usize = 1000;
/// Settings go to the roles in one message.
const LONGEST: usize = 16 * 1024;

/// Names and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

pub struct KeySets {
    variables: Variables,
    config: KeyConfig,
    /// By what the rule says; the number of the first set, which is nobody's here, is 0.
    numbers: HashMap<Pairs, u32>,
    sets: BTreeMap<u32, KeySet>,
    count: u32,
}

pub struct KeySet {
    pub files: SetFiles,
    pub settings: Settings,
    pub demand: Demand,
    /// What the rule says of TLS. Sessions are resumed only under the same.
    pub scope: String,
    /// A connection had it since keys were read again.
    used: bool,
}

impl KeySets {
    pub fn new(variables: Variables, config: KeyConfig) -> KeySets {
        KeySets {
            variables,
            config,
            numbers: HashMap::new(),
            sets: BTreeMap::new(),
            count: 0,
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
            if let Some(set) = self.sets.get_mut(&number) {
                set.used = true;
            }
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
        let text = |(name, value): &(Vec<u8>, Vec<u8>)| {
            let (name, value) = (
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value),
            );
            format!(" {name}={value}")
        };
        self.count += 1;
        let set = KeySet {
            files: keys.files,
            settings,
            demand: keys.demand,
            scope: changes.iter().map(text).collect(),
            used: true,
        };
        self.sets.insert(self.count, set);
        self.numbers.insert(changes, self.count);
        Ok(self.count)
    }

    pub fn get(&self, number: u32) -> Option<&KeySet> {
        self.sets.get(&number)
    }

    /// What they are loaded from.
    pub fn files(&self) -> impl Iterator<Item = &SetFiles> {
        self.sets.values().map(|set| &set.files)
    }

    /// What clients of this set have to show; the first set's demand is the listener's own.
    pub fn demand(&self, number: u32) -> Option<Demand> {
        self.get(number).map(|set| set.demand)
    }

    /// Forgets the sets that nobody had since this was last asked, and answers with their numbers and those of the
    /// others.
    pub fn sift(&mut self) -> (Vec<u32>, Vec<u32>) {
        let used = self.sets.iter_mut();
        let used: Vec<(u32, bool)> = used
            .map(|(number, set)| (*number, std::mem::take(&mut set.used)))
            .collect();
        let (kept, gone): (Vec<_>, Vec<_>) = used.into_iter().partition(|(_, used)| *used);
        let numbers = |sets: Vec<(u32, bool)>| sets.into_iter().map(|(number, _)| number).collect();
        let gone: Vec<u32> = numbers(gone);
        self.sets.retain(|number, _| !gone.contains(number));
        self.numbers.retain(|_, number| !gone.contains(number));
        (gone, numbers(kept))
    }
}
