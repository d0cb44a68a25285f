//! Counters in the text format of Prometheus, version 0.0.4.
#![forbid(unsafe_code)]

use std::fmt::Write;

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<'a> {
    /// `connections_accepted_total`; the program's name goes before it.
    pub name: &'a str,
    /// `version="TLSv1.3"`, where several numbers share a name; else empty.
    pub labels: &'a str,
    /// One line without backslashes.
    pub help: &'a str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    Gauge,
}

/// A line for each number. Those of one name stand together in the table, and its first says what they are.
pub fn write(program: &str, table: &[Metric<'_>], value: impl Fn(usize) -> u64) -> String {
    let mut text = String::new();
    let mut last = "";
    for (place, metric) in table.iter().enumerate() {
        let Metric {
            name,
            labels,
            help,
            kind,
        } = metric;
        // Writing to a string cannot fail.
        if *name != last {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let _ = writeln!(
                text,
                "# HELP {program}_{name} {help}\n# TYPE {program}_{name} {kind}"
            );
            last = name;
        }
        let _ = match labels.is_empty() {
            true => writeln!(text, "{program}_{name} {}", value(place)),
            false => writeln!(text, "{program}_{name}{{{labels}}} {}", value(place)),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_name_share_its_description() {
        let handshakes = |labels| Metric {
            name: "handshakes_total",
            labels,
            help: "Handshakes done.",
            kind: Kind::Counter,
        };
        let open = Metric {
            name: "connections",
            labels: "",
            help: "Connections now.",
            kind: Kind::Gauge,
        };
        let table = [
            handshakes("version=\"TLSv1.2\""),
            handshakes("version=\"TLSv1.3\""),
            open,
        ];
        let expected = "\
# HELP stud_handshakes_total Handshakes done.
# TYPE stud_handshakes_total counter
stud_handshakes_total{version=\"TLSv1.2\"} 10
stud_handshakes_total{version=\"TLSv1.3\"} 11
# HELP stud_connections Connections now.
# TYPE stud_connections gauge
stud_connections 12
";
        assert_eq!(write("stud", &table, |place| place as u64 + 10), expected);
    }
}
