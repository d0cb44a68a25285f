//! What a run puts into the documentation: its table, its aims and its chart, between two marks of a page.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use super::chart;
use super::report::{Report, today, unit};
use super::rows::{Load, Row};
use super::statistics::short;

const PAGE: &str = "performance.md";
const CHARTS: &str = "charts";

/// Everything below the directory of the documentation; the page has to have its marks.
pub fn write<L: Load>(
    report: &Report,
    rows: &[&'static Row<L>],
    name: &str,
    documentation: &Path,
) -> Result<(), String> {
    let page = documentation.join(PAGE);
    let old =
        fs::read_to_string(&page).map_err(|e| format!("unable to read {}: {e}", page.display()))?;
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->\n"),
    );
    let parts = old.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| {
        format!(
            "{} has no lines {} and {}",
            page.display(),
            begin.trim_end(),
            end.trim_end()
        )
    })?;
    let chart = format!("{CHARTS}/{name}.svg");
    let text = format!(
        "{before}{begin}\n{}\n{}\n{}\n![the same as a chart]({chart})\n\n{end}{after}",
        figures(report, rows),
        circumstances(report),
        aims(report, rows),
    );
    let chart = documentation.join(chart);
    let write = |file: &Path, content: &str| {
        fs::write(file, content).map_err(|e| format!("unable to write {}: {e}", file.display()))
    };
    fs::create_dir_all(documentation.join(CHARTS))
        .map_err(|e| format!("unable to make a directory for {}: {e}", chart.display()))?;
    write(&chart, &chart::draw(&report.groups(rows)))?;
    write(&page, &text)?;
    println!("table and chart: {}, {}", page.display(), chart.display());
    Ok(())
}

/// The median of every row's first figure.
fn figures<L: Load>(report: &Report, rows: &[&'static Row<L>]) -> String {
    let names: Vec<_> = report.present.iter().map(|(name, _)| *name).collect();
    let mut table = format!(
        "| row | {} |\n|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    for row in rows {
        let cell = |name: &&'static str| match report.spread(row, name, 0) {
            _ if report.failed(row.key, name) => "failed".to_owned(),
            Some(spread) => short(spread.median),
            None => "-".to_owned(),
        };
        let cells: Vec<_> = names.iter().map(cell).collect();
        table += &format!("| {}, {} | {} |\n", row.title, unit(row), cells.join(" | "));
    }
    table
}

fn circumstances(report: &Report) -> String {
    let servers: Vec<_> = report
        .present
        .iter()
        .map(|(name, version)| format!("{name} ({version})"))
        .collect();
    let machine: Vec<_> = report
        .machine
        .iter()
        .map(|(what, value)| format!("{what} {value}"))
        .collect();
    format!(
        "Medians of {} rounds, {} of the work, {}; {}. CPU time is that of {}. Servers: {}.\n",
        report.rounds,
        report.scale,
        today(),
        machine.join(", "),
        report.cpu_of,
        servers.join(", ")
    )
}

fn aims<L: Load>(report: &Report, rows: &[&'static Row<L>]) -> String {
    let mut table = "| row | aim | is | |\n|---|---|---:|---|\n".to_owned();
    for row in rows {
        for verdict in report.verdicts(row) {
            let is = verdict.value.map_or_else(|| "?".to_owned(), short);
            table += &format!(
                "| {} | {} | {is} | {} |\n",
                row.key,
                verdict.aim,
                verdict.word()
            );
        }
    }
    table
}
