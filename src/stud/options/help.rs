//! `--help`: every option, with the values in force for the defaults.
#![forbid(unsafe_code)]

use super::names::{COMMANDS, Command};
use super::table::{Kind, Row, SECTIONS};
use crate::stud::config::draft::Draft;

pub fn help(program: &str, draft: &Draft) -> String {
    let mut draft = draft.clone();
    let mut text = format!("usage: {program} [options] PEM ...\n");
    for section in &SECTIONS {
        text.push_str(&format!("\n{}:\n", section.title));
        for row in section.rows.iter().filter(|row| row.is_option()) {
            text.push_str(&names(row));
            text.push_str(&format!("\n        {}", row.help));
            let shown = row.place(&mut draft).show(row.name);
            if let Some(value) = shown.filter(|_| row.kind != Kind::Ignored) {
                text.push_str(&format!(" (Default: {value})"));
            }
            text.push('\n');
        }
    }
    text.push_str("\nOnly on the command line:\n");
    for (command, letter, name, help) in COMMANDS {
        let letter = letter.map_or("  ".into(), |letter| format!("-{letter}"));
        let argument = if command == Command::Config {
            "=FILE"
        } else {
            ""
        };
        text.push_str(&format!("  {letter}  --{name}{argument}\n        {help}\n"));
    }
    text
}

/// `  -n  --workers=NUM|auto`
fn names(row: &Row) -> String {
    let mut text = match row.letter {
        Some(letter) => format!("  -{letter}"),
        None => "    ".into(),
    };
    let argument = match row.kind {
        Kind::Boolean => "[=on|off]".into(),
        _ => format!("={}", row.argument),
    };
    for name in std::iter::once(&row.name).chain(row.aliases) {
        text.push_str(&format!("  --{name}{argument}"));
    }
    text
}
