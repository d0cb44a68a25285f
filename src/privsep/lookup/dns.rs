//! Names of addresses, and addresses of names: /etc/hosts, then what was found lately, then the name servers.
//!
//! The servers are asked through the library's pool, which knows them by their speed, tries again, goes over to TCP
//! for what UDP cuts off, and asks once for all who want the same. Above that the library would answer for
//! 127.0.0.0/8 itself, and keep whole answers, of up to 64 kB each.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::time::{Instant, timeout_at};

use super::cache::Cache;
use super::hosts::Hosts;
use super::{names, servers};

/// Of an address's names so many are looked at, and so many addresses of a name.
const MAX_NAMES: usize = 4;
const MAX_ADDRESSES: usize = 64;
/// How many addresses, and how many names, are remembered: a few megabytes at most.
const MAX_ENTRIES: usize = 4096;
const LONGEST: Duration = Duration::from_secs(3600);
/// A silent or broken server is spared for so long with the same question.
const FAILURE: Duration = Duration::from_secs(5);
/// A chain of aliases that is longer leads nowhere.
const MAX_ALIASES: usize = 8;

type Names = Cache<IpAddr, Rc<[Name]>>;
type Addresses = Cache<(Name, RecordType), Rc<[IpAddr]>>;

pub struct Dns {
    pool: RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>,
    asking: DnsRequestOptions,
    hosts: Hosts,
    names: RefCell<Names>,
    addresses: RefCell<Addresses>,
}

impl Dns {
    /// Reads the system's files; nothing is read later.
    pub fn new(servers: &[SocketAddr], most: usize) -> Result<Dns, String> {
        let (servers, mut options) = servers::configure(servers);
        options.max_active_requests = most;
        let mut asking = DnsRequestOptions::default();
        asking.use_edns = options.edns0;
        let attempts = options.attempts;
        let tls = TlsConfig::new().map_err(|error| error.to_string())?;
        let context = Arc::new(PoolContext::new(options, tls));
        let provider = TokioRuntimeProvider::new();
        let pool = NameServerPool::from_config(servers, context, provider);
        Ok(Dns {
            pool: RetryDnsHandle::new(pool, attempts),
            asking,
            hosts: Hosts::read(),
            names: RefCell::new(Cache::new(MAX_ENTRIES)),
            addresses: RefCell::new(Cache::new(MAX_ENTRIES)),
        })
    }

    /// The name of an address; `paranoid`: only one that has the address in turn.
    pub async fn name_of(&self, ip: IpAddr, paranoid: bool, deadline: Instant) -> Option<String> {
        if let Some(name) = self.hosts.name(ip) {
            return names::text(name);
        }
        for name in self.names_of(ip, deadline).await.iter() {
            if !paranoid || self.has(name, ip, deadline).await {
                return names::text(name);
            }
        }
        None
    }

    async fn names_of(&self, ip: IpAddr, deadline: Instant) -> Rc<[Name]> {
        let known = self.names.borrow().get(&ip, now());
        if let Some(names) = known {
            return names;
        }
        let found = self.ask(Name::from(ip), RecordType::PTR, deadline).await;
        let names = found.records.into_iter().filter_map(|data| match data {
            RData::PTR(name) => Some(name.0),
            _ => None,
        });
        let names: Rc<[Name]> = names.take(MAX_NAMES).collect();
        let mut cache = self.names.borrow_mut();
        cache.put(ip, names.clone(), found.time, now());
        names
    }

    /// Whether the address is one of the name's. Of the two families only the one can say so.
    async fn has(&self, name: &Name, ip: IpAddr, deadline: Instant) -> bool {
        if let Some(addresses) = self.hosts.addresses(name) {
            return addresses.contains(&ip);
        }
        let kind = match ip {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        let key = (name.clone(), kind);
        let known = self.addresses.borrow().get(&key, now());
        if let Some(addresses) = known {
            return addresses.contains(&ip);
        }
        let found = self.ask(name.clone(), kind, deadline).await;
        let addresses = found.records.iter().filter_map(RData::ip_addr);
        let addresses: Rc<[IpAddr]> = addresses.take(MAX_ADDRESSES).collect();
        let mut cache = self.addresses.borrow_mut();
        cache.put(key, addresses.clone(), found.time, now());
        addresses.contains(&ip)
    }

    async fn ask(&self, name: Name, kind: RecordType, deadline: Instant) -> Found {
        let query = Query::query(name, kind);
        let answer = self.pool.lookup(query.clone(), self.asking).first_answer();
        match timeout_at(deadline, answer).await {
            Ok(Ok(response)) => follow(&query, &response.answers),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => Found {
                records: Vec::new(),
                // Without an SOA nobody said for how long.
                time: none.negative_ttl.map_or(FAILURE, seconds),
            },
            Ok(Err(_)) | Err(_) => Found {
                records: Vec::new(),
                time: FAILURE,
            },
        }
    }
}

/// What a question brought, and how long it may be remembered.
pub struct Found {
    pub records: Vec<RData>,
    pub time: Duration,
}

/// Picks what was asked for out of an answer, by way of its aliases.
pub fn follow(query: &Query, answers: &[Record]) -> Found {
    let mut name = query.name();
    let mut time = LONGEST;
    for _ in 0..MAX_ALIASES {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *name => Some((&target.0, record.ttl)),
            _ => None,
        });
        let Some((target, ttl)) = alias else {
            break;
        };
        name = target;
        time = time.min(seconds(ttl));
    }
    let mut records = Vec::new();
    for record in answers {
        if record.name == *name && record.record_type() == query.query_type() {
            time = time.min(seconds(record.ttl));
            records.push(record.data.clone());
        }
    }
    let time = match records.is_empty() {
        true => FAILURE,
        false => time,
    };
    Found { records, time }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into()).min(LONGEST)
}

fn now() -> std::time::Instant {
    std::time::Instant::now()
}
