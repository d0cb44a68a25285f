//! What the listener counts, and how it is told: a line for each group in the log, and the same in the words of
//! Prometheus.
#![forbid(unsafe_code)]

use super::failure::Failure;
use crate::net::metrics::text::{self, Kind, Metric};
use crate::privsep::message::Facts;

/// Why a connection was closed before its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// `-y`
    EarlyRules,
    /// `-x`
    Rules,
    MaxConIp,
    MaxConNet,
    HandshakesIp,
    Rate,
    /// It comes from a proxy and does not say for whom.
    ProxyHeader,
    RulesUnreadable,
    /// Its rule names keys that cannot be used.
    Keys,
}

impl Denial {
    /// In the order in which they are told.
    pub const ALL: [Denial; 9] = [
        Denial::EarlyRules,
        Denial::Rules,
        Denial::MaxConIp,
        Denial::MaxConNet,
        Denial::HandshakesIp,
        Denial::Rate,
        Denial::ProxyHeader,
        Denial::RulesUnreadable,
        Denial::Keys,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Denial::EarlyRules => "early_rules",
            Denial::Rules => "rules",
            Denial::MaxConIp => "maxconip",
            Denial::MaxConNet => "maxconnet",
            Denial::HandshakesIp => "handshakesip",
            Denial::Rate => "rate",
            Denial::ProxyHeader => "proxy_header",
            Denial::RulesUnreadable => "rules_unreadable",
            Denial::Keys => "keys",
        }
    }
}

/// Versions of TLS that are counted apart; whatever else there is comes last.
const VERSIONS: [&str; 3] = ["TLSv1.3", "TLSv1.2", "older"];

/// Numbers that only grow, from the server's start on.
#[derive(Default)]
pub struct Counters {
    pub accepted: u64,
    denied: [u64; Denial::ALL.len()],
    established: [u64; VERSIONS.len()],
    resumed: u64,
    failed: [u64; Failure::ALL.len()],
    /// Applications started.
    pub applications: u64,
    received: u64,
    sent: u64,
    /// Sets of keys, and files of ticket keys, that were read again and taken up, and those whose old version stays.
    pub reloaded: u64,
    pub reloads_refused: u64,
}

/// What is neither more nor less than it is now.
pub struct Now {
    pub running: usize,
    pub unfinished: usize,
    /// Bytes of each role.
    pub memory: [(&'static str, u64); 4],
}

/// Numbers of one kind: a metric of Prometheus, and a group of the log or a part of it.
struct Family {
    group: &'static str,
    metric: &'static str,
    help: &'static str,
    kind: Kind,
    /// What tells its numbers apart.
    label: Option<&'static str>,
}

type Numbers = Vec<(&'static str, u64)>;

const FAMILIES: [Family; 11] = [
    Family {
        group: "connections",
        metric: "connections_accepted_total",
        help: "Connections accepted.",
        kind: Kind::Counter,
        label: None,
    },
    Family {
        group: "connections",
        metric: "connections",
        help: "Connections now: with an application, and before that.",
        kind: Kind::Gauge,
        label: Some("state"),
    },
    Family {
        group: "denied",
        metric: "connections_denied_total",
        help: "Connections closed before their handshake.",
        kind: Kind::Counter,
        label: Some("reason"),
    },
    Family {
        group: "handshakes",
        metric: "handshakes_total",
        help: "TLS handshakes that succeeded.",
        kind: Kind::Counter,
        label: Some("version"),
    },
    Family {
        group: "handshakes",
        metric: "handshakes_resumed_total",
        help: "Of these, those that resumed a session.",
        kind: Kind::Counter,
        label: None,
    },
    Family {
        group: "failed",
        metric: "handshakes_failed_total",
        help: "Connections that ended before TLS and an application were there.",
        kind: Kind::Counter,
        label: Some("reason"),
    },
    Family {
        group: "applications",
        metric: "applications_started_total",
        help: "Applications started.",
        kind: Kind::Counter,
        label: None,
    },
    Family {
        group: "bytes",
        metric: "received_bytes_total",
        help: "Decrypted bytes from clients whose connection has ended.",
        kind: Kind::Counter,
        label: None,
    },
    Family {
        group: "bytes",
        metric: "sent_bytes_total",
        help: "Bytes of applications to clients whose connection has ended.",
        kind: Kind::Counter,
        label: None,
    },
    Family {
        group: "reloads",
        metric: "reloads_total",
        help: "Sets of keys, and of ticket keys, read again.",
        kind: Kind::Counter,
        label: Some("result"),
    },
    Family {
        group: "memory",
        metric: "memory_bytes",
        help: "Resident memory of each role that no file backs.",
        kind: Kind::Gauge,
        label: Some("role"),
    },
];

impl Counters {
    pub fn deny(&mut self, denial: Denial) {
        self.denied[denial as usize] += 1;
    }

    pub fn fail(&mut self, failure: Failure) {
        self.failed[failure as usize] += 1;
    }

    pub fn establish(&mut self, facts: &Facts) {
        let known = VERSIONS.iter().position(|&known| facts.protocol == known);
        self.established[known.unwrap_or(VERSIONS.len() - 1)] += 1;
        self.resumed += u64::from(facts.resumed);
    }

    /// What a connection has moved. Only a session that was taken over tells numbers that overflow.
    pub fn moved(&mut self, received: u64, sent: u64) {
        self.received = self.received.wrapping_add(received);
        self.sent = self.sent.wrapping_add(sent);
    }

    /// In the order of [`FAMILIES`].
    fn numbers(&self, now: &Now) -> [Numbers; FAMILIES.len()] {
        let states = [("running", now.running), ("unfinished", now.unfinished)];
        let denied = Denial::ALL.map(Denial::name).into_iter().zip(self.denied);
        let failed = Failure::ALL.map(Failure::name).into_iter().zip(self.failed);
        [
            vec![("accepted", self.accepted)],
            states.map(|(state, count)| (state, count as u64)).to_vec(),
            denied.collect(),
            VERSIONS.into_iter().zip(self.established).collect(),
            vec![("resumed", self.resumed)],
            failed.collect(),
            vec![("started", self.applications)],
            vec![("received", self.received)],
            vec![("sent", self.sent)],
            vec![("taken", self.reloaded), ("refused", self.reloads_refused)],
            now.memory.to_vec(),
        ]
    }

    /// A line for each group: its name, and `key=value` for each of its numbers.
    pub fn lines(&self, now: &Now) -> Vec<String> {
        let mut groups: Vec<(&str, String)> = Vec::new();
        for (family, numbers) in FAMILIES.iter().zip(self.numbers(now)) {
            if groups
                .last()
                .is_none_or(|(group, _)| *group != family.group)
            {
                groups.push((family.group, family.group.to_owned()));
            }
            for (key, value) in numbers {
                if let Some((_, line)) = groups.last_mut() {
                    line.push_str(&format!(" {key}={value}"));
                }
            }
        }
        groups.into_iter().map(|(_, line)| line).collect()
    }

    /// All of it in the text format of Prometheus.
    pub fn metrics(&self, now: &Now) -> String {
        let mut told = Vec::new();
        for (family, numbers) in FAMILIES.iter().zip(self.numbers(now)) {
            for (key, value) in numbers {
                let labels = family.label.map(|label| format!("{label}=\"{key}\""));
                told.push((family, labels.unwrap_or_default(), value));
            }
        }
        let metrics = told.iter().map(|(family, labels, _)| Metric {
            name: family.metric,
            labels,
            help: family.help,
            kind: family.kind,
        });
        let table: Vec<Metric> = metrics.collect();
        text::write("sslserver", &table, |place| told[place].2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> (Counters, Now) {
        let mut counters = Counters {
            accepted: 5,
            ..Counters::default()
        };
        counters.deny(Denial::Rules);
        counters.fail(Failure::Other);
        counters.fail(Failure::Other);
        counters.establish(&Facts {
            protocol: "TLSv1.3".into(),
            resumed: true,
            ..Facts::default()
        });
        counters.moved(u64::MAX, 3);
        counters.moved(2, 4);
        let now = Now {
            running: 1,
            unfinished: 2,
            memory: ["listener", "keeper", "terminator", "lookup"].map(|role| (role, 4096)),
        };
        (counters, now)
    }

    #[test]
    fn a_group_is_a_line_of_keys_and_values() {
        let (counters, now) = some();
        let lines = counters.lines(&now);
        let groups = lines.iter().map(|line| line.split(' ').next().unwrap());
        let expected = [
            "connections",
            "denied",
            "handshakes",
            "failed",
            "applications",
            "bytes",
            "reloads",
            "memory",
        ];
        assert_eq!(groups.collect::<Vec<_>>(), expected);
        assert_eq!(lines[0], "connections accepted=5 running=1 unfinished=2");
        assert_eq!(lines[2], "handshakes TLSv1.3=1 TLSv1.2=0 older=0 resumed=1");
        assert_eq!(lines[5], "bytes received=1 sent=7");
        assert!(lines[3].ends_with(" other=2"), "{}", lines[3]);
    }

    #[test]
    fn prometheus_is_told_the_same() {
        let (counters, now) = some();
        let text = counters.metrics(&now);
        for line in [
            "sslserver_connections_accepted_total 5",
            "# TYPE sslserver_connections gauge",
            "sslserver_connections{state=\"unfinished\"} 2",
            "sslserver_connections_denied_total{reason=\"rules\"} 1",
            "sslserver_handshakes_total{version=\"TLSv1.3\"} 1",
            "sslserver_handshakes_failed_total{reason=\"other\"} 2",
            "sslserver_memory_bytes{role=\"listener\"} 4096",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }

    #[test]
    fn each_denial_has_the_place_that_it_is_counted_at() {
        for (place, denial) in Denial::ALL.into_iter().enumerate() {
            assert_eq!(denial as usize, place);
        }
    }
}
