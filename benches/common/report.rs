//! What was measured, for people and as JSON.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::chart::{Bar, Group};
use super::driver::Bench;
use super::json::{array, number, object, string};
use super::machine::package_version;
use super::peer::Peer;
use super::rows::{Aim, Load, Row, Sample, Target};
use super::statistics::{Spread, short, spread};

pub struct Report {
    ours: &'static str,
    pub cpu_of: &'static str,
    targets: &'static [Target],
    pub machine: Vec<(&'static str, String)>,
    pub rounds: u32,
    pub scale: f64,
    /// Name and version.
    pub present: Vec<(&'static str, String)>,
    /// Name, and the file that is not there.
    absent: Vec<(&'static str, &'static str)>,
    samples: BTreeMap<Key, Vec<Sample>>,
    failures: BTreeMap<Key, String>,
}

/// An aim and what was measured for it.
pub struct Verdict {
    pub aim: String,
    /// None: not measured.
    pub value: Option<f64>,
    limit: f64,
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self.value {
            Some(value) if value <= self.limit => "PASS",
            Some(_) => "MISS",
            None => "NOT MEASURED",
        }
    }
}

/// Row and server.
type Key = (&'static str, &'static str);

impl Report {
    pub fn new<B: Bench>(
        machine: Vec<(&'static str, String)>,
        rounds: u32,
        scale: f64,
        present: &[&Peer<B::How>],
        absent: Vec<(&'static str, &'static str)>,
    ) -> Report {
        let version = |peer: &Peer<B::How>| match peer.package {
            "" => "this tree".to_owned(),
            package => format!(
                "{package} {}",
                package_version(package).unwrap_or_else(|| "?".to_owned())
            ),
        };
        Report {
            ours: B::OURS,
            cpu_of: B::CPU_OF,
            targets: B::TARGETS,
            machine,
            rounds,
            scale,
            present: present
                .iter()
                .map(|peer| (peer.name, version(peer)))
                .collect(),
            absent,
            samples: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, row: &'static str, peer: &'static str, sample: Sample) {
        self.samples.entry((row, peer)).or_default().push(sample);
    }

    pub fn fail(&mut self, row: &'static str, peer: &'static str, complaint: String) {
        eprintln!("  {peer}: {}", complaint.lines().next().unwrap_or_default());
        self.failures.insert((row, peer), complaint);
    }

    pub fn failed(&self, row: &'static str, peer: &'static str) -> bool {
        self.failures.contains_key(&(row, peer))
    }

    pub fn any_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    pub fn print_head(&self) {
        for (name, value) in &self.machine {
            println!("{name}: {value}");
        }
        let servers: Vec<_> = self
            .present
            .iter()
            .map(|(name, version)| format!("{name} ({version})"))
            .collect();
        println!("servers: {}", servers.join(", "));
        for (name, file) in &self.absent {
            println!("skipped: {name}, for there is no {file}");
        }
        println!("rounds: {}, part of the work: {}", self.rounds, self.scale);
    }

    pub fn print<L: Load>(&self, rows: &[&'static Row<L>]) {
        println!(
            "\nMedians (smallest–largest). CPU is that of {}.",
            self.cpu_of
        );
        println!(
            "The kernel's work for a loopback packet is mostly charged to whoever sends it: the client's share is not in these figures."
        );
        for row in rows {
            println!("\n{}: {}", row.key, row.title);
            for (name, _) in &self.present {
                self.print_peer(row, name);
            }
            for verdict in self.verdicts(row) {
                let is = verdict.value.map_or_else(|| "?".to_owned(), short);
                println!("  {} aim: {}; is {is}", verdict.word(), verdict.aim);
            }
        }
    }

    fn print_peer<L: Load>(&self, row: &'static Row<L>, name: &'static str) {
        if let Some(complaint) = self.failures.get(&(row.key, name)) {
            println!("  {name:<10} FAILED: {complaint}");
            return;
        }
        if !self.samples.contains_key(&(row.key, name)) {
            println!("  {name:<10} takes no part");
            return;
        }
        let mut line = format!("  {name:<10}");
        for (index, figure) in row.load.figures().iter().enumerate() {
            let figure_text = match self.spread(row, name, index) {
                Some(s) => format!(
                    "{} {} ({}–{})",
                    short(s.median),
                    figure.unit,
                    short(s.least),
                    short(s.most)
                ),
                None => format!("? {}", figure.unit),
            };
            line.push_str(&format!("  {figure_text:<34}"));
        }
        if let Some(reference) = self.reference(row)
            && name != reference
            && let Some(ratio) = self.ratio(row, name)
        {
            line.push_str(&format!(
                "  {:.2} of {reference} ({:.2}–{:.2})",
                ratio.median, ratio.least, ratio.most
            ));
        }
        println!("{}", line.trim_end());
    }

    /// What was hoped for in a row, and what became of it.
    pub fn verdicts<L: Load>(&self, row: &'static Row<L>) -> Vec<Verdict> {
        let own = row.aim.map(|aim| match aim {
            Aim::RatioAtMost(limit) => Verdict {
                aim: format!(
                    "{} at most {limit} of {}",
                    self.ours,
                    self.reference(row).unwrap_or("the best peer")
                ),
                value: self.ratio(row, self.ours).map(|ratio| ratio.median),
                limit,
            },
            Aim::AtMost(limit) => Verdict {
                aim: format!("{} at most {limit} {}", self.ours, unit(row)),
                value: self.spread(row, self.ours, 0).map(|s| s.median),
                limit,
            },
        });
        let further = self.targets.iter().filter(|target| target.row == row.key);
        let further = further.map(|target| Verdict {
            aim: format!(
                "{} at most {} of {}",
                target.server, target.at_most, target.reference
            ),
            value: self.met(row, target),
            limit: target.at_most,
        });
        own.into_iter().chain(further).collect()
    }

    /// The ratio that a target is about.
    fn met<L>(&self, row: &Row<L>, target: &Target) -> Option<f64> {
        let own = self.spread(row, target.server, 0)?.median;
        Some(own / self.spread(row, target.reference, 0)?.median)
    }

    /// For a chart: every row with the first figure of all who took part.
    pub fn groups<L: Load>(&self, rows: &[&'static Row<L>]) -> Vec<Group> {
        let group = |row: &&'static Row<L>| {
            let bars = self.present.iter().filter_map(|(name, _)| {
                let median = self.spread(row, name, 0)?.median;
                Some(Bar {
                    name,
                    value: median,
                    ours: name.starts_with(self.ours),
                })
            });
            Group {
                title: row.title,
                unit: unit(row),
                bars: bars.collect(),
            }
        };
        rows.iter().map(group).collect()
    }

    /// None where the row leaves it open and no peer was measured.
    fn reference<L: Load>(&self, row: &Row<L>) -> Option<&'static str> {
        let medians = self.present.iter().filter_map(|(name, _)| {
            let median = self.spread(row, name, 0)?.median;
            (*name != self.ours).then_some((*name, median))
        });
        let medians = medians.filter(|(name, _)| !name.starts_with(self.ours));
        let best = || medians.min_by(|(_, a), (_, b)| a.total_cmp(b));
        row.reference.or_else(|| best().map(|(name, _)| name))
    }

    fn values<L>(&self, row: &Row<L>, name: &'static str, figure: usize) -> Vec<f64> {
        let samples = self
            .samples
            .get(&(row.key, name))
            .map_or(&[][..], Vec::as_slice);
        samples
            .iter()
            .filter_map(|sample| sample.get(figure).copied().flatten())
            .collect()
    }

    pub fn spread<L>(&self, row: &Row<L>, name: &'static str, figure: usize) -> Option<Spread> {
        spread(self.values(row, name, figure))
    }

    /// Of the first figure to that of the reference: of the medians, beside the extremes of the single rounds.
    fn ratio<L: Load>(&self, row: &Row<L>, name: &'static str) -> Option<Spread> {
        let (own, other) = (
            self.values(row, name, 0),
            self.values(row, self.reference(row)?, 0),
        );
        let rounds = spread(
            own.iter()
                .zip(&other)
                .map(|(own, other)| own / other)
                .collect(),
        )?;
        let median = spread(own)?.median / spread(other)?.median;
        median.is_finite().then_some(Spread { median, ..rounds })
    }

    pub fn write<L: Load>(&self, rows: &[&'static Row<L>], file: &Path) -> io::Result<()> {
        let pairs = |pairs: &[(&'static str, String)]| {
            object(pairs.iter().map(|(name, value)| (*name, string(value))))
        };
        let text = object([
            ("machine", pairs(&self.machine)),
            ("servers", pairs(&self.present)),
            (
                "skipped",
                array(self.absent.iter().map(|(name, _)| string(name))),
            ),
            ("date", string(&today())),
            ("rounds", self.rounds.to_string()),
            ("scale", number(self.scale)),
            ("rows", array(rows.iter().map(|row| self.row_json(row)))),
            (
                "targets",
                array(rows.iter().flat_map(|row| self.targets_json(row))),
            ),
        ]);
        fs::write(file, text + "\n")
    }

    fn row_json<L: Load>(&self, row: &'static Row<L>) -> String {
        let mut fields = vec![
            ("row", string(row.key)),
            ("title", string(row.title)),
            ("reference", string(self.reference(row).unwrap_or_default())),
        ];
        match row.aim {
            Some(Aim::RatioAtMost(limit)) => fields.push(("ratio_at_most", number(limit))),
            Some(Aim::AtMost(limit)) => fields.push(("at_most", number(limit))),
            None => {}
        }
        fields.push((
            "servers",
            object(
                self.present
                    .iter()
                    .map(|(name, _)| (*name, self.peer_json(row, name))),
            ),
        ));
        object(fields)
    }

    fn targets_json<L: Load>(&self, row: &'static Row<L>) -> Vec<String> {
        let targets = self.targets.iter().filter(|target| target.row == row.key);
        let json = |target: &Target| {
            object([
                ("row", string(target.row)),
                ("server", string(target.server)),
                ("reference", string(target.reference)),
                ("ratio_at_most", number(target.at_most)),
                ("ratio", number(self.met(row, target).unwrap_or(f64::NAN))),
            ])
        };
        targets.map(json).collect()
    }

    fn peer_json<L: Load>(&self, row: &'static Row<L>, name: &'static str) -> String {
        if let Some(complaint) = self.failures.get(&(row.key, name)) {
            return object([("failed", string(complaint))]);
        }
        let mut fields = Vec::new();
        for (index, figure) in row.load.figures().iter().enumerate() {
            let Some(s) = self.spread(row, name, index) else {
                continue;
            };
            let samples = array(self.values(row, name, index).into_iter().map(number));
            let numbers = [
                ("median", number(s.median)),
                ("least", number(s.least)),
                ("most", number(s.most)),
                ("samples", samples),
            ];
            fields.push((figure.key, object(numbers)));
        }
        if let Some(ratio) = self.ratio(row, name) {
            fields.push(("ratio", number(ratio.median)));
        }
        object(fields)
    }
}

/// As in RFC 3339, in UTC.
pub fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(
        |_| "?".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Of the first figure, which aims, charts and tables are about.
pub fn unit<L: Load>(row: &Row<L>) -> &'static str {
    row.load.figures().first().map_or("", |figure| figure.unit)
}
