//! From a configuration to what keeper and workers are told.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use nix::sys::resource::{Resource, getrlimit};

use super::config::{Backend, Config, Level, Pem, Sessions};
use crate::net::address;
use crate::privsep::message::Target;
use crate::privsep::resolver::Addresses;
use crate::privsep::role::Confinement;
use crate::privsep::worker::orders::{self, Orders, Tells};

use super::failure::Failure;
use crate::tls::client::Demand;
use crate::tls::pems::{PemFile, PemFiles};
use crate::tls::settings::Version;

/// Descriptors of a worker that are no connection's.
const RESERVE: usize = 32;

/// The names that have to be looked up, frontends' first.
pub fn names(config: &Config) -> Vec<String> {
    let frontends = config.frontends.iter().filter_map(|one| one.host.clone());
    let frontends = frontends.filter(|host| !is_plain(host));
    frontends.chain(backend_names(config)).collect()
}

/// Nobody has to be asked about it: an address, or a slip of the pen.
fn is_plain(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || address::is_mistyped(host)
}

pub fn backend_names(config: &Config) -> Vec<String> {
    let name = |backend: &Backend| match backend {
        Backend::Tcp(host, _) if !is_plain(host) => Some(host.clone()),
        Backend::Tcp(..) | Backend::Unix(_) => None,
    };
    config.backends.iter().filter_map(name).collect()
}

/// The addresses of each frontend, empty for any, out of the answers to [`names`]; the rest is for the backends.
pub fn frontend_addresses(
    config: &Config,
    answers: &mut impl Iterator<Item = Addresses>,
) -> Result<Vec<Vec<IpAddr>>, Failure> {
    let addresses = config
        .frontends
        .iter()
        .map(|frontend| match &frontend.host {
            None => Ok(Vec::new()),
            Some(host) => found(host, "frontend", answers),
        });
    addresses.collect()
}

/// What is connected to for each backend, out of the answers to [`backend_names`].
pub fn targets(
    config: &Config,
    answers: &mut impl Iterator<Item = Addresses>,
) -> Result<Vec<Vec<Target>>, Failure> {
    let targets = config.backends.iter().map(|backend| match backend {
        Backend::Unix(path) => Ok(vec![Target::Unix(path.clone())]),
        Backend::Tcp(host, port) => {
            let addresses = found(host, "backend", answers)?;
            let target = |ip| Target::Tcp(SocketAddr::new(ip, *port));
            Ok(addresses.into_iter().map(target).collect())
        }
    });
    targets.collect()
}

fn found(
    host: &str,
    whose: &str,
    answers: &mut impl Iterator<Item = Addresses>,
) -> Result<Vec<IpAddr>, Failure> {
    let answer = match host.parse::<IpAddr>() {
        Ok(ip) => Ok(vec![ip.to_canonical()]),
        Err(_) if address::is_mistyped(host) => Err("no IP address".into()),
        Err(_) => answers.next().unwrap_or(Err("not looked up".into())),
    };
    answer.map_err(|reason| Failure(format!("{whose}: unable to find {host}: {reason}")))
}

/// What workers are told.
pub fn orders(config: &Config, confinement: &Confinement, targets: Vec<Vec<Target>>) -> Orders {
    let files = authorities(config);
    let last = config.backends.len().saturating_sub(1);
    let backends = config.backends.iter().zip(targets);
    Orders {
        confinement: confinement.clone(),
        client: config.client,
        workers: config.workers,
        frontends: config
            .frontends
            .iter()
            .enumerate()
            .map(|(number, frontend)| orders::Frontend {
                settings: frontend.settings.clone(),
                pems: frontend.pems.clone(),
                default: frontend.default,
                gate: orders::Gate {
                    demand: frontend.demand,
                    authorities: match config.client && frontend.authorities.is_none() {
                        // The system's come last.
                        true => u16::try_from(files.len()).ok(),
                        false => number_of(&files, frontend.authorities.as_ref()),
                    },
                },
                backend: number.min(last) as u16,
            })
            .collect(),
        backends: backends
            .map(|(backend, targets)| orders::Backend {
                host: match backend {
                    Backend::Tcp(host, _) => host.clone(),
                    Backend::Unix(_) => String::new(),
                },
                targets,
            })
            .collect(),
        pems: config
            .pems
            .iter()
            .map(|pem| {
                let (demand, file) = pem.demand.as_ref()?;
                Some(orders::Gate {
                    demand: *demand,
                    authorities: number_of(&files, file.as_ref()),
                })
            })
            .collect(),
        preamble: config.preamble,
        proxy_proxy: config.proxy_proxy,
        times: config.times,
        tells: Tells {
            errors: config.log.level != Level::Life,
            connections: config.log.level >= Level::Connections,
        },
        sessions: match &config.sessions {
            Sessions::Tickets => None,
            Sessions::Memory(_) => Some(orders::Sessions { alone: false }),
            Sessions::Store(_) => Some(orders::Sessions { alone: true }),
        },
        most_connections: most_connections(),
    }
}

/// A connection has two descriptors.
fn most_connections() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (limit.saturating_sub(RESERVE) / 2).max(1)
}

/// What the keeper reads.
pub fn pems(config: &Config) -> PemFiles {
    let frontends = config.frontends.iter();
    let defaults: Vec<usize> = frontends.clone().filter_map(|one| one.default).collect();
    let pem = |(place, pem): (usize, &Pem)| PemFile {
        certificate: pem.certificate.clone(),
        key: pem.key.clone(),
        staple: pem.staple.clone(),
        is_default: defaults.contains(&place),
    };
    let oldest = frontends.clone().map(|one| one.settings.min).min();
    PemFiles {
        pems: config.pems.iter().enumerate().map(pem).collect(),
        authorities: authorities(config),
        system: config.client
            && frontends
                .clone()
                .any(|one| one.demand != Demand::Nothing && one.authorities.is_none()),
        oldest: oldest.unwrap_or(Version::Tls12),
    }
}

/// Every file of authorities, each once.
fn authorities(config: &Config) -> Vec<PathBuf> {
    let frontends = config
        .frontends
        .iter()
        .filter_map(|one| one.authorities.clone());
    let pems = config.pems.iter().filter_map(|pem| pem.demand.clone()?.1);
    let mut files: Vec<PathBuf> = frontends.chain(pems).collect();
    files.sort();
    files.dedup();
    files
}

fn number_of(files: &[PathBuf], wanted: Option<&PathBuf>) -> Option<u16> {
    let place = files.iter().position(|file| Some(file) == wanted);
    place.and_then(|place| u16::try_from(place).ok())
}
