//! What a row of the report and a server in it are, whatever the work.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use openssl::ssl::SslVersion;

pub struct Row<L: 'static> {
    pub key: &'static str,
    pub title: &'static str,
    pub load: L,
    pub tls: SslVersion,
    /// The peer that ratios are taken to; None: the one that does best in this row.
    pub reference: Option<&'static str>,
    pub aim: Option<Aim>,
    /// Left out unless it is named with `--rows` or all are asked for.
    pub optional: bool,
}

/// What the first figure of ours should be.
#[derive(Clone, Copy)]
pub enum Aim {
    RatioAtMost(f64),
    AtMost(f64),
}

/// A further wish: the first figure of one server to that of another in a row.
pub struct Target {
    pub row: &'static str,
    pub server: &'static str,
    pub reference: &'static str,
    pub at_most: f64,
}

pub trait Load: Copy {
    /// The same work in another amount, for a quick look.
    fn scaled(self, by: f64) -> Self;

    /// What measuring it gives, in this order. Ratios and aims are about the first, of which less is better.
    fn figures(self) -> &'static [Figure];
}

pub struct Figure {
    pub key: &'static str,
    pub unit: &'static str,
}

/// In the order of `Load::figures`; None where this machine cannot tell.
pub type Sample = Vec<Option<f64>>;

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
