//! How many connections there may be: all that run, those whose handshake is not done yet, those of each client, and how
//! often a client may come. The environment says it for the server, a rule for the connections that it matches.
#![forbid(unsafe_code)]

use super::config::Variables;
use super::error::Error;
use crate::net::rate::Rate;
use crate::sys::words::field;

/// Limits of the whole server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `-c`: connections with an application.
    pub running: usize,
    /// HANDSHAKES: connections before that, so that silent clients do not take the places of others.
    pub unfinished: usize,
    /// MAXCONIP: connections of one client, from accept on. `None`: as many as `-c` has.
    pub per_client: Option<usize>,
    /// HANDSHAKESIP: those of one client that have no application yet.
    pub unfinished_per_client: Option<usize>,
    /// RATE: new connections of one client.
    pub rate: Option<Rate>,
}

/// The most that the environment may ask for.
const MOST: u64 = 1_000_000;

impl Limits {
    /// Takes them from the environment of a server with so many places.
    pub fn read(running: usize, variables: &Variables) -> Result<Limits, Error> {
        let number = |name, least| -> Result<Option<usize>, Error> {
            Ok(variables.number(name, least, MOST)?.map(|n| n as usize))
        };
        let unfinished = number("HANDSHAKES", 1)?.unwrap_or_else(|| unfinished_for(running));
        // Half: whoever takes all it can leaves as much to the others.
        let half = (unfinished / 2).max(1);
        let some = |limit: &usize| *limit > 0;
        let per_client = number("MAXCONIP", 0)?.filter(some);
        let rate = variables.text("RATE").unwrap_or("0".into());
        let rate = Said::rate(&rate).ok_or_else(|| {
            let wanted = "RATE wants connections/seconds, such as 20/60, or 0";
            Error::BadSetting(format!("{wanted}, not \"{rate}\""))
        })?;
        Ok(Limits {
            running,
            unfinished,
            per_client: per_client.map(|limit| limit.min(running)),
            unfinished_per_client: number("HANDSHAKESIP", 0)?.or(Some(half)).filter(some),
            rate: rate.or(None).map(|(rate, _)| rate),
        })
    }

    /// The limit per client as the log shows it.
    pub fn shown_per_client(&self) -> usize {
        self.per_client.unwrap_or(self.running)
    }
}

/// Room for a burst of handshakes in proportion to the connections that are wanted.
fn unfinished_for(running: usize) -> usize {
    running.saturating_mul(4).max(512)
}

/// What a rule says of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Said<T> {
    /// Nothing: the environment's counts.
    #[default]
    Nothing,
    /// `0`: there is none.
    Unlimited,
    At(T),
}

/// Who set a limit. The log tells the one thing of the environment's and the other of a rule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetBy {
    Environment,
    Rule,
}

impl Said<usize> {
    fn number(text: &str) -> Option<Said<usize>> {
        decimal(text).map(|limit| match limit {
            0 => Said::Unlimited,
            limit => Said::At(limit),
        })
    }
}

impl Said<Rate> {
    fn rate(text: &str) -> Option<Said<Rate>> {
        match text {
            "0" => Some(Said::Unlimited),
            text => Rate::parse(text).map(Said::At),
        }
    }
}

impl<T> Said<T> {
    /// The limit that counts beside the environment's.
    pub fn or(self, environment: Option<T>) -> Option<(T, SetBy)> {
        match self {
            Said::Nothing => environment.map(|limit| (limit, SetBy::Environment)),
            Said::Unlimited => None,
            Said::At(limit) => Some((limit, SetBy::Rule)),
        }
    }
}

/// The limits that a rule sets for the connection it matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// `MAXCONIP=n`
    pub per_client: Said<usize>,
    /// `MAXCONNET=n/length`
    pub per_network: Option<(usize, u8)>,
    /// `HANDSHAKESIP=n`
    pub unfinished_per_client: Said<usize>,
    /// `RATE=n/seconds`
    pub rate: Said<Rate>,
}

impl RuleLimits {
    /// Finds the limits among a rule's variables; the second answer is one that means nothing and is passed over, as
    /// `NAME=value`.
    pub fn read(variables: &[(Vec<u8>, Vec<u8>)]) -> (RuleLimits, Option<String>) {
        let mut limits = RuleLimits::default();
        let mut bad = None;
        for (name, value) in variables {
            let text = std::str::from_utf8(value).unwrap_or_default();
            let understood = match &name[..] {
                b"MAXCONIP" => set(&mut limits.per_client, Said::number(text)),
                b"MAXCONNET" => set(&mut limits.per_network, network(text).map(Some)),
                b"HANDSHAKESIP" => set(&mut limits.unfinished_per_client, Said::number(text)),
                b"RATE" => set(&mut limits.rate, Said::rate(text)),
                _ => true,
            };
            if !understood {
                bad = Some(format!("{}={}", field(name), field(value)));
            }
        }
        (limits, bad)
    }
}

fn set<T: Default>(place: &mut T, value: Option<T>) -> bool {
    let understood = value.is_some();
    *place = value.unwrap_or_default();
    understood
}

fn decimal(text: &str) -> Option<usize> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn network(text: &str) -> Option<(usize, u8)> {
    let (most, length) = text.split_once('/')?;
    Some((decimal(most)?, decimal(length)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> (RuleLimits, bool) {
        let variables = [(name.into(), value.into())];
        let (limits, bad) = RuleLimits::read(&variables);
        (limits, bad.is_none())
    }

    #[test]
    fn a_rule_sets_limits() {
        let rate = Rate::parse("5/60").unwrap();
        for (name, value, limits) in [
            (
                "MAXCONIP",
                "2",
                RuleLimits {
                    per_client: Said::At(2),
                    ..RuleLimits::default()
                },
            ),
            (
                "MAXCONNET",
                "10/24",
                RuleLimits {
                    per_network: Some((10, 24)),
                    ..RuleLimits::default()
                },
            ),
            (
                "HANDSHAKESIP",
                "00",
                RuleLimits {
                    unfinished_per_client: Said::Unlimited,
                    ..RuleLimits::default()
                },
            ),
            (
                "RATE",
                "5/60",
                RuleLimits {
                    rate: Said::At(rate),
                    ..RuleLimits::default()
                },
            ),
            ("X", "y", RuleLimits::default()),
        ] {
            assert_eq!(read(name, value), (limits, true), "{name}");
        }
    }

    #[test]
    fn a_bad_value_is_told_and_sets_nothing() {
        for (name, value) in [
            ("MAXCONIP", "many"),
            ("MAXCONIP", "+1"),
            ("MAXCONIP", ""),
            ("MAXCONNET", "10"),
            ("MAXCONNET", "10/256"),
            ("HANDSHAKESIP", "-1"),
            ("RATE", "10"),
            ("RATE", "0/60"),
        ] {
            assert_eq!(
                read(name, value),
                (RuleLimits::default(), false),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn what_a_rule_says_counts_instead_of_the_environment() {
        for (rule, environment, counts) in [
            (Said::Nothing, None, None),
            (Said::Nothing, Some(3), Some((3, SetBy::Environment))),
            (Said::At(5), Some(3), Some((5, SetBy::Rule))),
            (Said::At(5), None, Some((5, SetBy::Rule))),
            (Said::Unlimited, Some(3), None),
        ] {
            assert_eq!(rule.or(environment), counts);
        }
    }

    fn limits(running: usize, environment: &[(&str, &str)]) -> Result<Limits, Error> {
        let pairs = environment.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        Limits::read(running, &Variables::current().with(&pairs))
    }

    #[test]
    fn handshakes_have_room_beside_the_connections_and_one_client_half_of_it() {
        for (running, environment, expected) in [
            (40, &[][..], (512, Some(256))),
            (1000, &[], (4000, Some(2000))),
            (40, &[("HANDSHAKES", "100")], (100, Some(50))),
            (40, &[("HANDSHAKES", "1")], (1, Some(1))),
            (40, &[("HANDSHAKESIP", "7")], (512, Some(7))),
            (40, &[("HANDSHAKESIP", "0")], (512, None)),
        ] {
            let limits = limits(running, environment).unwrap();
            let found = (limits.unfinished, limits.unfinished_per_client);
            assert_eq!(found, expected, "{environment:?}");
        }
    }
}
