//! Which option a letter, a name or the beginning of a name means.
#![forbid(unsafe_code)]

use super::Error;
use super::table::{self, Row};

/// What an option does that is no setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Config,
    DefaultConfig,
    Test,
    Version,
    Help,
}

/// With their letters, names and help.
pub const COMMANDS: [(Command, Option<char>, &str, &str); 5] = [
    (
        Command::Config,
        None,
        "config",
        "Read settings from this file; - is standard input.",
    ),
    (
        Command::DefaultConfig,
        None,
        "default-config",
        "Print the settings in force so far as a file, and end.",
    ),
    (
        Command::Test,
        Some('t'),
        "test",
        "Check everything, and end.",
    ),
    (
        Command::Version,
        Some('V'),
        "version",
        "Print the version, and end.",
    ),
    (Command::Help, Some('h'), "help", "Print this, and end."),
];

/// The long options that stud had: what abbreviates one of them alone goes on to mean it.
const ORIGINAL: [&str; 25] = [
    "backend",
    "backlog",
    "chroot",
    "ciphers",
    "client",
    "config",
    "daemon",
    "default-config",
    "frontend",
    "group",
    "help",
    "keepalive",
    "prefer-server-ciphers",
    "proxy-proxy",
    "quiet",
    "ssl",
    "syslog",
    "syslog-facility",
    "test",
    "tls",
    "user",
    "version",
    "workers",
    "write-ip",
    "write-proxy",
];

/// What an option is.
#[derive(Clone, Copy)]
pub enum Meaning {
    Setting(&'static Row, &'static str),
    Command(Command),
}

pub fn by_letter(letter: char) -> Result<Meaning, Error> {
    let setting = table::rows().find(|row| row.letter == Some(letter));
    let command = COMMANDS
        .iter()
        .find(|(_, known, _, _)| *known == Some(letter));
    match (setting, command) {
        (Some(row), _) => Ok(Meaning::Setting(row, row.name)),
        (None, Some((command, _, _, _))) => Ok(Meaning::Command(*command)),
        (None, None) => Err(Error::UnknownOption(format!("-{letter}"))),
    }
}

/// A long option by its name or a beginning that no other has.
pub fn by_name(given: &str) -> Result<Meaning, Error> {
    let settings = table::rows().filter(|row| row.is_option()).flat_map(|row| {
        let names = std::iter::once(&row.name).chain(row.aliases);
        names.map(move |name| (*name, Meaning::Setting(row, name)))
    });
    let commands = COMMANDS.map(|(command, _, name, _)| (name, Meaning::Command(command)));
    let fitting: Vec<_> = settings
        .chain(commands)
        .filter(|(name, _)| name.starts_with(given))
        .collect();
    let original = || fitting.iter().filter(|(name, _)| ORIGINAL.contains(name));
    let exact = fitting.iter().find(|(name, _)| *name == given);
    match (exact, fitting.as_slice(), original().count()) {
        (Some((_, meaning)), _, _) | (None, [(_, meaning)], _) => Ok(*meaning),
        (None, [], _) => Err(Error::UnknownOption(format!("--{given}"))),
        (None, _, 1) => Ok(original()
            .map(|(_, meaning)| *meaning)
            .next()
            .unwrap_or(fitting[0].1)),
        (None, _, _) => Err(Error::Ambiguous {
            given: format!("--{given}"),
            candidates: fitting.iter().map(|(name, _)| *name).collect(),
        }),
    }
}
