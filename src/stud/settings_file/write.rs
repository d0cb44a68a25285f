//! `--default-config`: the settings in force as a file, which says the same when it is read again.
#![forbid(unsafe_code)]

use super::apply::{BlockKey, OF_FRONTEND, OF_PEM};
use crate::stud::config::draft::{Draft, Front, PemFile, Pems};
use crate::stud::options::table::{self, Kind, Slot};

/// Every key with a comment on it.
pub fn write(draft: &Draft) -> String {
    let mut draft = draft.clone();
    let mut text =
        String::from("#\n# stud's configuration; stud.conf(5) says what it means.\n#\n\n");
    for row in table::rows() {
        let mut lines = Vec::new();
        match row.name {
            "frontend" => lines.extend(draft.frontends.all().iter_mut().map(frontend)),
            "pem-file" if !draft.pems.0.is_empty() => lines.push(pems(&mut draft.pems, "")),
            _ => {
                let shown = row.place(&mut draft).show(row.name);
                match (shown, row.kind) {
                    (Some(value), kind) => lines.push(assignment(row.name, kind, &value)),
                    (None, Kind::Text) => lines.push(assignment(row.name, Kind::Text, "")),
                    (None, _) => {}
                }
            }
        }
        if lines.is_empty() {
            continue;
        }
        for help in row.help.lines() {
            text.push_str(&format!("# {help}\n"));
        }
        text.push_str(&format!("#\n# type: {}\n", row.kind.word()));
        if row.kind != Kind::Boolean {
            text.push_str(&format!("# syntax: {}\n", row.argument));
        }
        text.extend(lines);
        text.push('\n');
    }
    text.push_str("# End of the configuration.\n");
    text
}

/// A line, or a block if the frontend has something of its own.
fn frontend(front: &mut Front) -> String {
    let mut tls = String::new();
    for row in table::rows() {
        let Slot::Tls(slot) = row.slot else {
            continue;
        };
        if let Some(value) = slot(&mut front.tls).show(row.name) {
            tls.push_str(&format!("    {}", assignment(row.name, row.kind, &value)));
        }
    }
    if tls.is_empty() && front.pems.0.is_empty() && front.match_global.is_none() {
        return assignment("frontend", Kind::Text, &front.address());
    }
    let keys = block_keys(&OF_FRONTEND, front, "    ");
    format!(
        "frontend = {{\n{keys}{}{tls}}}\n",
        pems(&mut front.pems, "    ")
    )
}

/// In the order in which they are listed.
fn pems(pems: &mut Pems, indent: &str) -> String {
    let one = |pem: &mut PemFile| {
        let keys = block_keys(&OF_PEM, pem, &format!("{indent}    "));
        match (keys.lines().count(), pem.certificate.0.as_ref()) {
            (1, Some(path)) => {
                let line = assignment("pem-file", Kind::Text, &path.display().to_string());
                format!("{indent}{line}")
            }
            _ => format!("{indent}pem-file = {{\n{keys}{indent}}}\n"),
        }
    };
    pems.0.iter_mut().map(one).collect()
}

fn block_keys<T>(keys: &[BlockKey<T>], block: &mut T, indent: &str) -> String {
    let mut text = String::new();
    for key in keys {
        if let Some(value) = (key.slot)(block).show(key.name) {
            text.push_str(&format!(
                "{indent}{}",
                assignment(key.name, key.kind, &value)
            ));
        }
    }
    text
}

fn assignment(key: &str, kind: Kind, value: &str) -> String {
    match kind {
        Kind::Text | Kind::Ignored => {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{key} = \"{value}\"\n")
        }
        Kind::Boolean | Kind::Number | Kind::Words => format!("{key} = {value}\n"),
    }
}
