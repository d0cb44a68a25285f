//! A chart of a run: for each row a bar for everybody who took part, shorter is better.
#![forbid(unsafe_code)]

use std::fmt::Write;

use super::statistics::short;

pub struct Group {
    pub title: &'static str,
    pub unit: &'static str,
    pub bars: Vec<Bar>,
}

pub struct Bar {
    pub name: &'static str,
    pub value: f64,
    pub ours: bool,
}

const WIDTH: f64 = 760.0;
const NAMES: f64 = 110.0;
/// What a bar may take beside the names and its figure.
const BARS: f64 = WIDTH - NAMES - 150.0;
/// A title with the space around it, and what every further line of it takes.
const TITLE: f64 = 34.0;
const LINE: f64 = 18.0;
/// As many letters as fit into a line of a title.
const LETTERS: usize = 100;
const BAR: f64 = 20.0;

/// Whoever looks at it on a dark page sees light letters.
const STYLE: &str = "text{font:13px sans-serif;fill:#222}.t{font-weight:bold}rect{fill:#9aa5b1}.o{fill:#1f77b4}\
@media(prefers-color-scheme:dark){text{fill:#ddd}rect{fill:#6b7683}.o{fill:#4ea3e0}}";

/// The whole picture as SVG.
pub fn draw(groups: &[Group]) -> String {
    let groups = groups.iter().filter(|group| !group.bars.is_empty());
    let mut body = String::new();
    let mut top = 0.0;
    for group in groups {
        for line in lines(&format!("{}: {}", group.title, group.unit)) {
            text(&mut body, "t", 4.0, top + 22.0, &line);
            top += LINE;
        }
        top += TITLE - LINE;
        let longest = group.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        for bar in &group.bars {
            let length = match longest > 0.0 {
                true => (bar.value.max(0.0) / longest * BARS).max(1.0),
                false => 1.0,
            };
            let class = if bar.ours { "o" } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(
                body,
                "<rect class=\"{class}\" x=\"{NAMES}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"{:.0}\"/>",
                top + 2.0,
                BAR - 4.0
            );
            text(&mut body, "", 4.0, top + 14.0, bar.name);
            text(
                &mut body,
                "",
                NAMES + length + 6.0,
                top + 14.0,
                &short(bar.value),
            );
            top += BAR;
        }
        top += 8.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" height=\"{top}\">\n\
         <style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// A title in as many lines as it takes; the marks of code in it mean nothing here.
fn lines(title: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in title.replace('`', "").split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < LETTERS => {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn text(body: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
    );
}
