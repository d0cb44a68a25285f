//! Why a connection is refused that was accepted: the limits it may be over, and the one place where it is closed and told.
#![forbid(unsafe_code)]

use std::time::Instant;

use super::admission::Arrival;
use super::connection::Kit;
use super::counters::Denial;
use super::limits::{RuleLimits, SetBy};
use super::listener::Listener;
use super::log::{Ends, Level};
use crate::net::address::Network;
use crate::net::rate::{Counted, Rate};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `-y` denies it.
    EarlyRules,
    /// `-x` denies it.
    Rules,
    /// MAXCONIP: its client has as many.
    PerClient(usize, SetBy),
    /// MAXCONNET: the network of its client has as many. With the length of the network.
    PerNetwork(usize, u8),
    /// HANDSHAKESIP: its client has as many that are not done with their handshake.
    Handshakes(usize, SetBy),
    /// RATE: its client had as many in that time.
    Rate(Rate, SetBy),
    /// The rules cannot be read. The line that says so.
    Unreadable(String),
    /// It comes from a proxy and nobody knows for whom, and why.
    NoHeader(String),
    /// The keys that its rule names cannot be used, and why.
    NoKeys(String),
}

impl Refusal {
    /// How it is counted.
    fn denial(&self) -> Denial {
        match self {
            Refusal::EarlyRules => Denial::EarlyRules,
            Refusal::Rules => Denial::Rules,
            Refusal::PerClient(..) => Denial::MaxConIp,
            Refusal::PerNetwork(..) => Denial::MaxConNet,
            Refusal::Handshakes(..) => Denial::HandshakesIp,
            Refusal::Rate(..) => Denial::Rate,
            Refusal::Unreadable(_) => Denial::RulesUnreadable,
            Refusal::NoHeader(_) => Denial::ProxyHeader,
            Refusal::NoKeys(_) => Denial::Keys,
        }
    }

    /// Rules are obeyed in silence unless somebody wants to know; everything else may need a hand.
    fn level(&self) -> Level {
        match self {
            Refusal::EarlyRules
            | Refusal::Rules
            | Refusal::PerNetwork(..)
            | Refusal::PerClient(_, SetBy::Rule)
            | Refusal::Handshakes(_, SetBy::Rule)
            | Refusal::Rate(_, SetBy::Rule) => Level::Status,
            _ => Level::Warning,
        }
    }

    /// Which limit was reached and what it is.
    fn limit(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Refusal::PerClient(limit, _) => ("ip connection limit", limit.to_string()),
            Refusal::PerNetwork(limit, length) => {
                ("network connection limit", format!("{limit}/{length}"))
            }
            Refusal::Handshakes(limit, _) => ("ip handshake limit", limit.to_string()),
            Refusal::Rate(rate, _) => ("ip connection rate", rate.to_string()),
            Refusal::EarlyRules
            | Refusal::Rules
            | Refusal::Unreadable(_)
            | Refusal::NoHeader(_)
            | Refusal::NoKeys(_) => {
                return None;
            }
        })
    }
}

impl Listener {
    /// Closes a connection, counts it and says so, unless too many are closed for that. What was made for it is there for the next.
    pub(super) fn refuse(&mut self, arrival: Arrival, refusal: &Refusal) -> Option<Kit> {
        self.counters.deny(refusal.denial());
        let ip = arrival.remote.ip();
        let level = refusal.level();
        let spell = match refusal {
            Refusal::NoHeader(_) => &mut self.failures,
            // The rules are to blame, whoever else fails meanwhile.
            Refusal::NoKeys(_) => &mut self.faults,
            _ => &mut self.denials,
        };
        if self.log.level() >= level && spell.admits(ip, Instant::now()) {
            let line = match (refusal, refusal.limit()) {
                (Refusal::Unreadable(line), _) => line.clone(),
                (Refusal::NoHeader(why), _) => {
                    format!("error: (110) no PROXY header from: {ip} {why}")
                }
                (Refusal::NoKeys(why), _) => format!("error: (110) no keys for: {ip} {why}"),
                (_, Some((what, limit))) if level == Level::Warning => {
                    format!("warning: {what} of {limit} exceeded for: {ip}")
                }
                (_, Some((what, limit))) => {
                    format!("{} {what}:{limit} exceeded", self.denial(&arrival))
                }
                (_, None) => self.denial(&arrival),
            };
            self.log.line(level, line);
        }
        Some(arrival.kit)
    }

    fn denial(&self, arrival: &Arrival) -> String {
        let names = &arrival.names;
        let own_name = self.options.common.local_name.as_deref();
        let ends = Ends {
            local_name: own_name.or(names.local_name.as_deref()),
            local: arrival.local(),
            remote_name: names.host.as_deref(),
            remote_info: names.info.as_deref(),
            remote: arrival.remote,
        };
        format!("deny {} {ends}", std::process::id())
    }

    /// Whether one more connection of this client is too much. The limits are those of its rule, and where that says
    /// nothing, those of the environment.
    pub(super) fn check(
        &mut self,
        arrival: &mut Arrival,
        rule: &RuleLimits,
    ) -> Result<(), Refusal> {
        let ip = arrival.remote.ip();
        if let Some((limit, by)) = rule.per_client.or(self.limits.per_client) {
            let limit = limit.min(self.limits.running);
            if self.census.of_client(Network::of_client(ip)) >= limit {
                return Err(Refusal::PerClient(limit, by));
            }
        }
        if let Some((limit, length)) = rule.per_network
            && self.census.of_network(ip, length) >= limit
        {
            return Err(Refusal::PerNetwork(limit, length));
        }
        self.check_flood(arrival, rule)
    }

    /// The same for the limits alone that are about clients who keep connecting. A connection that is within its rate has
    /// been counted then, once, however often this is asked.
    pub(super) fn check_flood(
        &mut self,
        arrival: &mut Arrival,
        rule: &RuleLimits,
    ) -> Result<(), Refusal> {
        let client = Network::of_client(arrival.remote.ip());
        if let Some((limit, by)) = rule
            .unfinished_per_client
            .or(self.limits.unfinished_per_client)
            && self.unfinished.of_client(client) >= limit
        {
            return Err(Refusal::Handshakes(limit, by));
        }
        let Some((rate, by)) = rule.rate.or(self.limits.rate) else {
            return Ok(());
        };
        if arrival.counted == Some(rate) {
            return Ok(());
        }
        match self.rates.count(client, rate, Instant::now()) {
            Counted::Beyond => return Err(Refusal::Rate(rate, by)),
            Counted::Unknown => self.uncounted.begin(
                &self.log,
                "too many clients to count the rate of each: new ones are let in",
            ),
            Counted::Within if !self.rates.is_full() => self.uncounted.pass(),
            Counted::Within => {}
        }
        arrival.counted = Some(rate);
        Ok(())
    }
}
