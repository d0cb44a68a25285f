//! What both ends of a connection say and know, as a person at two terminals would see it. The transcript has the commands
//! too: they are run as they stand there, and the whole must come out again.
#![forbid(unsafe_code)]

mod common;

use common::keys::{Kind, Pair, authority, expired, for_names, leaf, of_client};
use common::{Installed, LIMIT, Program, eventually, glob, run};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const TRANSCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcript.txt");

/// The files that the commands name.
fn prepared() -> Installed {
    let installed = Installed::new();
    let other = for_names(Kind::P256, authority(), "other", &["other.example"]);
    let pairs: [(&str, &Pair); 5] = [
        ("ca", authority()),
        ("server", leaf(Kind::P256)),
        ("client", &of_client("DNS:client.example")),
        ("expired", &expired()),
        ("other", &other),
    ];
    for (name, pair) in pairs {
        let dir = &installed.dir;
        dir.write(&format!("{name}.pem"), &pair.certificate);
        dir.write(&format!("{name}.key"), &pair.key);
    }
    installed
}

/// A line of the shell among the files and with the programs.
fn shell(installed: &Installed, line: &str) -> Command {
    let mut command = Command::new("sh");
    let path = format!("{}:/usr/bin:/bin", installed.dir.text("bin"));
    command
        .args(["-c", line])
        .current_dir(installed.dir.path())
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::null());
    command
}

/// A server, and what is known by now of what differs from run to run.
struct Running {
    program: Program,
    port: String,
    /// How much of its log was shown.
    shown: usize,
    names: Vec<(String, &'static str)>,
}

/// The last word about a connection.
const LAST: [&str; 3] = [
    "sslserver: status: 0/*",
    "sslserver: fatal: *",
    "sslserver: deny *",
];

impl Running {
    fn start(installed: &Installed, line: &str) -> (Running, String) {
        let mut program = Program::start("sslserver", shell(installed, line));
        let Some(ready) = program.stdout.first(LIMIT) else {
            panic!("no readiness line, {}", program.explain(LIMIT));
        };
        let port = between(&ready, " : ", " [").expect("a port").to_owned();
        let mut running = Running {
            names: vec![(port.clone(), "PORT")],
            program,
            port,
            shown: 0,
        };
        let said = running.said();
        (running, format!("{ready}\n{said}"))
    }

    /// What it has said since, up to the last word about one connection, or about its start.
    fn said(&mut self) -> String {
        let lines = eventually("the end in the log", || {
            let lines = self.program.log.lines().split_off(self.shown);
            let last = lines.last()?;
            LAST.iter()
                .any(|pattern| glob(pattern, last))
                .then_some(lines)
        });
        self.shown += lines.len();
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Learns the numbers of processes and ports, and puts names in their place.
    fn named(&mut self, text: &str) -> String {
        for (before, behind, name) in [
            ("sslserver: ciphers ", " ", "SERVER"),
            ("sslserver: pid ", " from ", "PROGRAM"),
            ("sslserver: deny ", " ", "CONNECTION"),
            (" for pid: ", " ", "CONNECTION"),
            ("sslclient: ", " ended ", "CLIENT"),
        ] {
            for line in text.lines() {
                if let Some(number) = between(line, before, behind) {
                    self.names.push((number.to_owned(), name));
                }
            }
        }
        let ends = ["sslserver: ok ", "sslserver: deny "];
        for line in text.lines() {
            if ends.iter().any(|word| line.starts_with(word))
                && let Some((_, port)) = line.rsplit_once(':')
            {
                self.names.push((port.to_owned(), "FROM"));
            }
        }
        text.lines().map(|line| self.line(line)).collect()
    }

    /// Among variables only ports are of that kind; other numbers may be a process's by chance.
    fn line(&self, line: &str) -> String {
        let is_log = ["sslserver: ", "sslclient: "]
            .iter()
            .any(|start| line.starts_with(start));
        let is_port = line.contains("PORT=") || line.contains(" : ");
        if !is_log && !is_port {
            return format!("{line}\n");
        }
        let name = |word: &str| {
            let known = self.names.iter().rev().find(|(number, _)| number == word);
            known.map_or_else(|| word.to_owned(), |(_, name)| (*name).to_owned())
        };
        let parts = line.split_inclusive([' ', ':', '=']).map(|part| {
            let word = part.trim_end_matches([' ', ':', '=']);
            name(word) + &part[word.len()..]
        });
        parts.collect::<String>() + "\n"
    }
}

/// What stands there.
fn between<'a>(line: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    let (found, _) = rest.split_once(behind)?;
    Some(found).filter(|found| found.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The same with names for what is not of interest, or depends on machine and library.
fn plain(text: &str, files: &Path) -> String {
    let mut text = text.to_owned();
    for name in ["ca", "server", "client", "expired", "other"] {
        let name = format!("{name}.pem");
        let pem = fs::read_to_string(files.join(&name)).expect("a file");
        // The last line of one is followed by an empty one.
        text = text.replace(&format!("{pem}\n"), &format!("({name})\n"));
        text = text.replace(&pem, &format!("({name})\n"));
    }
    // By who was faster.
    for reason in ["the server hung up", "Connection reset by peer"] {
        text = text.replace(&format!(" {reason}\n"), " (it hung up)\n");
    }
    // By the age of the library.
    for version in ["sslv3", "tlsv1", "tlsv13", "ssl/tls"] {
        text = text.replace(&format!(" {version} alert "), " alert ");
    }
    // What is said to root alone.
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("sslserver: info: no SSL_"));
    lines.map(|line| told(line) + "\n").collect()
}

fn told(line: &str) -> String {
    if line.starts_with("sslserver: finished ") {
        let words: Vec<_> = line.split(' ').map(measured).collect();
        return words.join(" ");
    }
    if let Some((what, _)) = line.split_once(": since ") {
        return format!("{what}: since (a day)");
    }
    let variable = line.split_once('=').map(|(name, _)| name);
    match variable {
        Some(name @ "SSL_SESSION_ID") => format!("{name}=(64 digits)"),
        Some(name @ "SSL_VERSION_LIBRARY") => format!("{name}=(the library's name)"),
        Some(name) if name.ends_with("_V_START") => format!("{name}=(a day)"),
        Some(name) if name.ends_with("_V_END") => format!("{name}=(another day)"),
        _ => line.trim_end().to_owned(),
    }
}

/// A word of the line about a connection that is over.
fn measured(word: &str) -> String {
    match word.split_once('=') {
        Some((name @ ("group" | "received" | "sent" | "seconds"), _)) => format!("{name}=..."),
        _ => word.to_owned(),
    }
}

/// The transcript as it is this time: its headings and commands, and what comes of them.
fn performed(transcript: &str) -> String {
    let installed = prepared();
    let mut shown = String::new();
    let mut server: Option<Running> = None;
    let above = std::iter::once("").chain(transcript.lines());
    for (above, line) in above.zip(transcript.lines()) {
        let said = if line.starts_with('#') {
            if above.starts_with('#') {
                shown.pop();
            }
            String::new()
        } else if let Some(command) = line.strip_prefix("$ ") {
            run(shell(&installed, command), b"", LIMIT).text()
        } else if let Some(command) = line.strip_prefix("server$ ") {
            let (running, said) = Running::start(&installed, command);
            server.insert(running).named(&said)
        } else if let Some(command) = line.strip_prefix("client$ ") {
            let running = server.as_mut().expect("a server before its client");
            let command = command.replace("PORT", &running.port);
            let outcome = run(shell(&installed, &command), b"", LIMIT);
            let (text, lines, code) = (outcome.text(), &outcome.stderr, outcome.code());
            let there = running.said();
            running.named(&format!("{text}{lines}[{code}]\n\nserver\n{there}"))
        } else {
            continue;
        };
        shown.push_str(&format!("{line}\n{said}\n"));
    }
    plain(shown.trim_end(), installed.dir.path())
}

#[test]
fn the_transcript_is_what_both_ends_say_and_know() {
    let expected = fs::read_to_string(TRANSCRIPT).expect("the transcript");
    let found = performed(&expected);
    if found != expected {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcript.txt");
        fs::write(&file, &found).expect("a file");
        let mut lines = found.lines().zip(expected.lines());
        let differs = lines.find(|(found, expected)| found != expected);
        let file = file.display();
        panic!("diff -u {TRANSCRIPT} {file}\nfirst: {differs:?}");
    }
}
