//! The options of a benchmark, and its rounds.
//!
//! The servers take turns for several rounds, because a machine is never quiet: medians are
//! printed with the smallest and the largest. Aims are printed as PASS or MISS and never decide
//! the exit code; a server that does not start, or a reply that is wrong, does.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use getopts::Options;
use openssl::ssl::SslVersion;

use super::account::Home;
use super::machine;
use super::page;
use super::peer::Peer;
use super::report::Report;
use super::rows::{Load, Row, Sample, Target};

pub trait Bench {
    type Load: Load + 'static;
    type How: 'static;
    type Materials;

    /// What `benches/run` knows it by, and its results.
    const NAME: &'static str;
    const OURS: &'static str;
    const ROWS: &'static [Row<Self::Load>];
    const PEERS: &'static [Peer<Self::How>];
    const TARGETS: &'static [Target] = &[];
    /// As many as the driver or a server may hold at a time.
    const DESCRIPTORS: u64;
    /// Whose CPU time the figures are.
    const CPU_OF: &'static str;

    /// What is made before the first server starts.
    fn prepare() -> Result<Self::Materials, String>;

    /// One row on one server, once. None: this peer takes no part in this row.
    fn measure(
        load: Self::Load,
        tls: SslVersion,
        peer: &Peer<Self::How>,
        materials: &Self::Materials,
        home: Option<&Home>,
    ) -> Result<Option<Sample>, String>;
}

struct Plan<B: Bench> {
    rounds: u32,
    scale: f64,
    rows: Vec<&'static Row<B::Load>>,
    peers: Vec<&'static Peer<B::How>>,
    output: PathBuf,
    /// The directory of the documentation, if table and chart shall go there.
    documentation: Option<PathBuf>,
}

pub fn main<B: Bench>() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` adds it. Without it this is `cargo test --all-targets`, which only wants to know that it builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing to test here: start it with benches/run");
        return ExitCode::SUCCESS;
    }
    match plan::<B>(&arguments).and_then(|plan| plan.map_or(Ok(true), |plan| run(&plan))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(complaint) => {
            eprintln!("benches/run: {complaint}");
            ExitCode::FAILURE
        }
    }
}

/// None: help was all that was asked for.
fn plan<B: Bench>(arguments: &[String]) -> Result<Option<Plan<B>>, String> {
    let output = format!("benches/{}.json", B::NAME);
    let found = options(&output)
        .parse(arguments)
        .map_err(|e| e.to_string())?;
    if found.opt_present("help") {
        let usage = format!("usage: benches/run {} [options]", B::NAME);
        print!("{}", options(&output).usage(&usage));
        let rows: Vec<_> = B::ROWS.iter().map(|row| row.key).collect();
        let peers: Vec<_> = B::PEERS.iter().map(|peer| peer.name).collect();
        println!("\nrows: {}", rows.join(" "));
        println!("servers: {}", peers.join(" "));
        return Ok(None);
    }
    let (usual_rounds, usual_scale) = if found.opt_present("quick") {
        (1, 0.1)
    } else {
        (5, 1.0)
    };
    let rounds = found
        .opt_get_default("rounds", usual_rounds)
        .map_err(|e| format!("--rounds: {e}"))?;
    let scale = found
        .opt_get_default("scale", usual_scale)
        .map_err(|e| format!("--scale: {e}"))?;
    if rounds == 0 || !(scale > 0.0 && scale <= 1.0) {
        return Err("--rounds is at least 1, --scale more than 0 and at most 1".to_owned());
    }
    let rows = match found.opt_str("rows").as_deref() {
        None => B::ROWS.iter().filter(|row| !row.optional).collect(),
        Some("all") => B::ROWS.iter().collect(),
        Some(names) => chosen(names, B::ROWS, |row| row.key)?,
    };
    let peers = match found.opt_str("peers") {
        None => B::PEERS.iter().collect(),
        Some(names) => chosen(&names, B::PEERS, |peer| peer.name)?,
    };
    Ok(Some(Plan {
        rounds,
        scale,
        rows,
        peers,
        output: found.opt_str("output").unwrap_or(output).into(),
        documentation: found.opt_str("docs").map(PathBuf::from),
    }))
}

fn options(output: &str) -> Options {
    let mut options = Options::new();
    options.optopt(
        "n",
        "rounds",
        "how often each server does each row (5)",
        "N",
    );
    options.optopt("s", "scale", "part of the work (1)", "PART");
    options.optflag(
        "q",
        "quick",
        "a quick look: one round of a tenth of the work",
    );
    options.optopt(
        "r",
        "rows",
        "only these rows, or all for the optional ones too",
        "A,B",
    );
    options.optopt("p", "peers", "only these servers", "A,B");
    options.optopt(
        "o",
        "output",
        &format!("where the JSON goes ({output})"),
        "FILE",
    );
    options.optopt(
        "d",
        "docs",
        "put table and chart into the documentation there",
        "DIR",
    );
    options.optflag("", "bench", "added by cargo");
    options.optflag("h", "help", "this text");
    options
}

fn chosen<T>(
    names: &str,
    all: &'static [T],
    name: fn(&T) -> &'static str,
) -> Result<Vec<&'static T>, String> {
    let find = |wanted| {
        all.iter()
            .find(|one| name(one) == wanted)
            .ok_or_else(|| format!("there is no {wanted}; try --help"))
    };
    names.split(',').map(find).collect()
}

fn run<B: Bench>(plan: &Plan<B>) -> Result<bool, String> {
    machine::raise_descriptor_limit(B::DESCRIPTORS);
    let materials = B::prepare()?;
    let home = Home::find();
    let mut machine = machine::machine();
    machine.push((
        "CPU time from",
        home.as_ref().map_or_else(
            || "nowhere: no control group can be made".to_owned(),
            Home::describe,
        ),
    ));

    let (present, absent): (Vec<_>, Vec<_>) = plan
        .peers
        .iter()
        .copied()
        .partition(|peer| missing(peer).is_none());
    let absent = absent
        .iter()
        .filter_map(|peer| Some((peer.name, missing(peer)?)))
        .collect();
    let mut report = Report::new::<B>(machine, plan.rounds, plan.scale, &present, absent);
    report.print_head();
    for round in 0..plan.rounds {
        for row in &plan.rows {
            eprintln!("round {} of {}: {}", round + 1, plan.rounds, row.key);
            let mut turn = present.clone();
            // Back and forth, so that nobody is always the one that comes after the heaviest.
            if round % 2 == 1 {
                turn.reverse();
            }
            for peer in turn {
                if report.failed(row.key, peer.name) {
                    continue;
                }
                let load = row.load.scaled(plan.scale);
                match B::measure(load, row.tls, peer, &materials, home.as_ref()) {
                    Ok(Some(sample)) => report.add(row.key, peer.name, sample),
                    Ok(None) => {}
                    Err(complaint) => report.fail(row.key, peer.name, complaint),
                }
            }
        }
    }
    report.print(&plan.rows);
    report
        .write(&plan.rows, &plan.output)
        .map_err(|e| format!("unable to write {}: {e}", plan.output.display()))?;
    println!("\nall figures: {}", plan.output.display());
    if let Some(documentation) = &plan.documentation {
        page::write(&report, &plan.rows, B::NAME, documentation)?;
    }
    Ok(!report.any_failed())
}

fn missing<H>(peer: &Peer<H>) -> Option<&'static str> {
    std::iter::once(&peer.program)
        .chain(peer.needs)
        .copied()
        .find(|file| !Path::new(file).exists())
}
