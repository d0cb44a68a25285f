//! What a server in the report is, and how it is started.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub struct Peer<H: 'static> {
    pub name: &'static str,
    /// Debian's package, for its version; empty for ours.
    pub package: &'static str,
    pub program: &'static str,
    /// Other files without which it cannot take part.
    pub needs: &'static [&'static str],
    /// How it is started; each benchmark has its own way.
    pub how: H,
}

/// What a server is started with.
#[derive(Default)]
pub struct Command {
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, PathBuf)>,
    /// Where it is started; None: where the driver is.
    pub directory: Option<PathBuf>,
    /// Its descriptor 0; None: nothing is to be read there.
    pub input: Option<OwnedFd>,
}

impl Command {
    pub fn with<S: ToString>(arguments: impl IntoIterator<Item = S>) -> Command {
        Command {
            arguments: arguments.into_iter().map(|word| word.to_string()).collect(),
            ..Command::default()
        }
    }
}
