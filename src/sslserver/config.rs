//! What the environment configures (sslserver-environ(7)), and who the processes are to become. Everything that needs
//! the system's user table or PATH is looked up here, before any root changes.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Gid, Uid};

use super::error::Error;
use super::identities::{application_ids, roles};
use super::limits::Limits;
use super::options::{Options, number};
use crate::net::address::Network;
use crate::privsep::lookup;
use crate::privsep::role::Confinement;
use crate::tls::client::{Demand, TrustFiles};
use crate::tls::material::{PairFiles, SetFiles};
use crate::tls::settings::{Settings, Version};

/// A day, in seconds.
const MAX_DRAIN: u64 = 24 * 3600;

/// Our own environment by name.
#[derive(Clone)]
pub struct Variables {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Variables {
    pub fn current() -> Variables {
        let own = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
        Variables {
            values: own.collect(),
        }
    }

    /// The same with some of them changed.
    pub fn with(&self, changes: &[(Vec<u8>, Vec<u8>)]) -> Variables {
        let mut values = self.values.clone();
        values.extend(changes.iter().cloned());
        Variables { values }
    }

    /// An empty value means none.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let value = self.values.get(name.as_bytes())?;
        (!value.is_empty()).then_some(value)
    }

    pub fn all(self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.values.into_iter()
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    pub fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Error> {
        self.get(name)
            .map(|value| number(name, value, least, most))
            .transpose()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name)
            .map(|path| std::ffi::OsStr::from_bytes(path).into())
    }

    /// Several, separated by colons.
    fn paths(&self, name: &str) -> Vec<PathBuf> {
        let parts = self
            .get(name)
            .unwrap_or_default()
            .split(|&byte| byte == b':');
        let named = parts.filter(|part| !part.is_empty());
        named
            .map(|part| std::ffi::OsStr::from_bytes(part).into())
            .collect()
    }
}

/// The keys, as the keeper will see them.
pub struct Keys {
    pub files: SetFiles,
    /// TICKETKEYFILE, as the keeper sees it.
    pub ticket_keys: Option<PathBuf>,
    /// What clients have to show after all: CCAFILE=- asks nobody.
    pub demand: Demand,
    /// The listener opens the files, as root, because no SSL_USER is set who could.
    pub opened_by_listener: bool,
}

pub struct Config {
    pub tls: Settings,
    pub keys: Keys,
    pub confinement: Confinement,
    pub limits: Limits,
    /// DRAIN: how long running connections may keep a server that was told to end.
    pub drain: Duration,
    /// Ids of the application; `None` stays as it is.
    pub uid: Option<Uid>,
    pub gid: Option<Gid>,
    /// PROXYFROM: who may announce others.
    pub proxies: Vec<Network>,
    /// DNSCACHEIP: name servers instead of the system's.
    pub servers: Vec<SocketAddr>,
    /// RELOAD=auto: changed files are found without SIGHUP.
    pub watches: bool,
    /// METRICS: where the counters are told.
    pub metrics: Option<PathBuf>,
    /// Things to say at `-v`.
    pub notes: Vec<String>,
}

impl Config {
    pub fn read(options: &Options, variables: &Variables) -> Result<Config, Error> {
        let mut notes = Vec::new();
        let tls = Settings::from_environment(|name| variables.get(name).map(<[u8]>::to_vec))
            .map_err(|bad| Error::BadSetting(bad.to_string()))?;
        let (uid, gid) = application_ids(options, variables, &mut notes)?;
        let who = roles(options, variables, (uid, gid), &mut notes)?;
        let Confinement { root, .. } = &who.confinement;
        let opened = who.opened_by_listener;
        let keys = keys(options, variables, root.as_deref(), opened, tls.min)?;
        let drain = variables.number("DRAIN", 0, MAX_DRAIN)?;
        Ok(Config {
            tls,
            keys,
            confinement: who.confinement,
            limits: Limits::read(options.limit, variables)?,
            drain: Duration::from_secs(drain.unwrap_or(0)),
            uid,
            gid,
            proxies: proxies(variables)?,
            servers: servers(variables)?,
            watches: watches(variables)?,
            metrics: variables.path("METRICS"),
            notes,
        })
    }
}

fn watches(variables: &Variables) -> Result<bool, Error> {
    match variables.text("RELOAD").as_deref() {
        None => Ok(false),
        Some("auto") => Ok(true),
        Some(other) => Err(Error::BadSetting(format!(
            "RELOAD: \"{other}\" is not auto"
        ))),
    }
}

fn proxies(variables: &Variables) -> Result<Vec<Network>, Error> {
    let list = variables.text("PROXYFROM").unwrap_or_default();
    let entries = list
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let parse = |entry: &str| {
        let bad = || format!("PROXYFROM: \"{entry}\" is no address or network");
        Network::parse(entry).ok_or_else(|| Error::BadSetting(bad()))
    };
    entries.map(parse).collect()
}

fn servers(variables: &Variables) -> Result<Vec<SocketAddr>, Error> {
    let list = variables.text("DNSCACHEIP").unwrap_or_default();
    lookup::servers::parse(&list).map_err(|bad| Error::BadSetting(bad.to_string()))
}

/// What a connection has for which rules changed some of the variables.
pub fn key_set(
    options: &Options,
    variables: &Variables,
    config: &KeyConfig,
) -> Result<(Settings, Keys), Error> {
    let settings = Settings::from_environment(|name| variables.get(name).map(<[u8]>::to_vec))
        .map_err(|bad| Error::BadSetting(bad.to_string()))?;
    let root = config.root.as_deref();
    let keys = keys(
        options,
        variables,
        root,
        config.opened_by_listener,
        settings.min,
    )?;
    Ok((settings, keys))
}

/// What key sets of rules have in common with the first.
pub struct KeyConfig {
    pub root: Option<PathBuf>,
    pub opened_by_listener: bool,
}

/// Pairs up certificates and keys. Paths are those inside `root`.
fn keys(
    options: &Options,
    variables: &Variables,
    root: Option<&Path>,
    opened_by_listener: bool,
    oldest: Version,
) -> Result<Keys, Error> {
    let inside = |path: PathBuf| match root.and_then(|root| path.strip_prefix(root).ok()) {
        Some(rest) => Path::new("/").join(rest),
        None => path,
    };
    let chains = variables.paths("CERTCHAINFILE");
    let is_chain = !chains.is_empty();
    let certificates = match is_chain {
        true => chains,
        false => variables.paths("CERTFILE"),
    };
    if certificates.is_empty() {
        return Err(Error::fatal(
            "no certificate configured: set CERTFILE or CERTCHAINFILE, and KEYFILE",
        ));
    }
    let mut keys = variables.paths("KEYFILE");
    if keys.is_empty() {
        keys.clone_from(&certificates);
    }
    if keys.len() != certificates.len() {
        let name = if is_chain {
            "CERTCHAINFILE"
        } else {
            "CERTFILE"
        };
        return Err(Error::fatal(format_args!(
            "{name} lists {} files and KEYFILE {}: each certificate needs its key",
            certificates.len(),
            keys.len()
        )));
    }
    let pairs = certificates.into_iter().zip(keys);
    let pairs = pairs.map(|(certificate, key)| PairFiles {
        certificate: inside(certificate),
        is_chain,
        key: inside(key),
    });
    let pairs = pairs.collect();
    let all =
        |name: &str| -> Vec<PathBuf> { variables.paths(name).into_iter().map(inside).collect() };
    let nobody = variables.get("CCAFILE") == Some(b"-");
    let demand = if nobody {
        Demand::Nothing
    } else {
        options.demand
    };
    let trust = match demand {
        Demand::Nothing => TrustFiles::default(),
        Demand::Optional | Demand::Valid | Demand::Named => TrustFiles {
            anchors: all("CAFILE"),
            anchor_folders: all("CADIR"),
            names: all("CCAFILE"),
            name_folders: all("CCADIR"),
            revoked: all("CRLFILE"),
        },
    };
    if demand != Demand::Nothing && trust.anchors.is_empty() && trust.anchor_folders.is_empty() {
        return Err(Error::fatal(
            "no client certificate could be valid: -z and -m want CAFILE or CADIR",
        ));
    }
    Ok(Keys {
        files: SetFiles {
            pairs,
            folder: variables.path("CERTDIR").map(inside),
            dh: variables.path("DHFILE").map(inside),
            trust,
            oldest,
        },
        ticket_keys: variables.path("TICKETKEYFILE").map(inside),
        demand,
        opened_by_listener,
    })
}

/// The settings that the log shows at `-v`, in upstream's order.
pub struct Shown {
    values: [(&'static str, String); 8],
}

impl Shown {
    pub fn read(variables: &Variables) -> Shown {
        let labels = [
            ("ciphers", "CIPHERS"),
            ("cafile", "CAFILE"),
            ("ccafile", "CCAFILE"),
            ("cadir", "CADIR"),
            ("certchainfile", "CERTCHAINFILE"),
            ("cert", "CERTFILE"),
            ("key", "KEYFILE"),
            ("dhparam", "DHFILE"),
        ];
        Shown {
            values: labels.map(|(label, name)| (label, variables.text(name).unwrap_or_default())),
        }
    }

    /// One line each; the last with the length of the DH prime if there is one.
    pub fn lines(&self, dh_bits: u32) -> impl Iterator<Item = String> {
        let pid = std::process::id();
        self.values.iter().map(
            move |(label, value)| match dh_bits > 0 && *label == "dhparam" {
                true => format!("{label} {pid} {value} {dh_bits}"),
                false => format!("{label} {pid} {value}"),
            },
        )
    }
}
