//! Measures sslserver beside its peers, on the same work, on loopback, in one run.
//!
//! The servers take turns for several rounds, because a machine is never quiet: medians are
//! printed with the smallest and the largest. Aims are printed as PASS or MISS and never decide
//! the exit code; a server that does not start, or a reply that is wrong, does.
#![forbid(unsafe_code)]

mod account;
mod client;
mod json;
mod measure;
mod patience;
mod process;
mod report;
mod rows;
mod servers;
mod setup;
mod statistics;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use getopts::Options;

use account::Home;
use report::Report;
use rows::{ROWS, Row};
use servers::{PEERS, Peer};
use setup::Materials;

struct Plan {
    rounds: u32,
    scale: f64,
    rows: Vec<&'static Row>,
    peers: Vec<&'static Peer>,
    output: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` adds it. Without it this is `cargo test --all-targets`, which only wants to know that it builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing to test here: start it with benches/run");
        return ExitCode::SUCCESS;
    }
    match plan(&arguments).and_then(|plan| plan.map_or(Ok(true), |plan| run(&plan))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(complaint) => {
            eprintln!("benches/run: {complaint}");
            ExitCode::FAILURE
        }
    }
}

/// None: help was all that was asked for.
fn plan(arguments: &[String]) -> Result<Option<Plan>, String> {
    let mut options = Options::new();
    options.optopt(
        "n",
        "rounds",
        "how often each server does each row (5)",
        "N",
    );
    options.optopt(
        "s",
        "scale",
        "part of the work, for a quick look (1)",
        "PART",
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
        "where the JSON goes (benches/results.json)",
        "FILE",
    );
    options.optflag("", "bench", "added by cargo");
    options.optflag("h", "help", "this text");
    let found = options.parse(arguments).map_err(|e| e.to_string())?;
    if found.opt_present("help") {
        let names = |names: Vec<&str>| names.join(" ");
        print!("{}", options.usage("usage: benches/run [options]"));
        println!(
            "\nrows: {}",
            names(ROWS.iter().map(|row| row.key).collect())
        );
        println!(
            "servers: {}",
            names(PEERS.iter().map(|peer| peer.name).collect())
        );
        return Ok(None);
    }
    let rounds = found
        .opt_get_default("rounds", 5)
        .map_err(|e| format!("--rounds: {e}"))?;
    let scale = found
        .opt_get_default("scale", 1.0)
        .map_err(|e| format!("--scale: {e}"))?;
    if rounds == 0 || !(scale > 0.0 && scale <= 1.0) {
        return Err("--rounds is at least 1, --scale more than 0 and at most 1".to_owned());
    }
    let rows = match found.opt_str("rows").as_deref() {
        None => ROWS.iter().filter(|row| !row.optional).collect(),
        Some("all") => ROWS.iter().collect(),
        Some(names) => chosen(names, ROWS, |row| row.key)?,
    };
    let peers = match found.opt_str("peers") {
        None => PEERS.iter().collect(),
        Some(names) => chosen(&names, PEERS, |peer| peer.name)?,
    };
    let output = found
        .opt_str("output")
        .unwrap_or_else(|| "benches/results.json".to_owned());
    Ok(Some(Plan {
        rounds,
        scale,
        rows,
        peers,
        output: output.into(),
    }))
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

fn run(plan: &Plan) -> Result<bool, String> {
    let materials = Materials::make()?;
    setup::raise_descriptor_limit();
    let home = Home::find();
    let mut machine = setup::machine();
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
        .partition(|peer| Path::new(peer.program).exists());
    let mut report = Report::new(machine, plan.rounds, plan.scale, &present, &absent);
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
                match measure::measure(
                    row.load.scaled(plan.scale),
                    row.tls,
                    peer,
                    &materials,
                    home.as_ref(),
                ) {
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
    Ok(!report.any_failed())
}
