//! What options and environment say of TLS, and who the roles become that meet strangers or have the key.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::unistd::geteuid;

use super::options::Options;
use crate::privsep::client::Trust;
use crate::privsep::lookup;
use crate::sys::identity::Identity;
use crate::sys::words;
use crate::tls::client::TrustFiles;
use crate::tls::material::{self, Files, PairFiles};
use crate::tls::settings::Settings;
use crate::ucspi::error::Error;
use crate::ucspi::identity::nobody;

/// Variables that have a say here, and PROTO, which would be that of somebody else. Options override them.
pub const NAMES: [&str; 12] = [
    "ALPN",
    "CADIR",
    "CAFILE",
    "CIPHERS",
    "CIPHERSUITES",
    "CRLFILE",
    "DNSCACHEIP",
    "GROUPS",
    "PROTO",
    "TLSMAX",
    "TLSMIN",
    "VERIFYDEPTH",
];

pub struct Config {
    pub tls: Settings,
    pub trust: Trust,
    /// How many certificates may stand between the server's and one that is trusted, if anything says so.
    pub depth: Option<u32>,
    /// Our certificate and its key.
    pub pair: Option<PairFiles>,
    /// DNSCACHEIP: name servers instead of the system's.
    pub servers: Vec<SocketAddr>,
    /// Who the roles become.
    pub identity: Identity,
}

impl Config {
    pub fn read(options: &Options) -> Result<Config, Error> {
        let get = |name: &str| match (name, &options.ciphers) {
            ("CIPHERS", Some(list)) => Some(list.clone().into_bytes()),
            _ => variable(name),
        };
        let tls =
            Settings::from_environment(get).map_err(|bad| Error::BadSetting(bad.to_string()))?;
        let servers = variable("DNSCACHEIP").unwrap_or_default();
        let servers = lookup::servers::parse(&String::from_utf8_lossy(&servers));
        // Nobody asks for a depth by leaving it out.
        let depth = variable("VERIFYDEPTH").map(|_| tls.verify_depth);
        Ok(Config {
            trust: trust(options),
            depth: options.depth.or(depth),
            pair: pair(options),
            servers: servers.map_err(|bad| Error::BadSetting(bad.to_string()))?,
            identity: match geteuid().is_root() {
                true => nobody()?,
                false => Identity::current(),
            },
            tls,
        })
    }

    /// The files whose names are known, opened as whoever started the program: the roles may be somebody else. What
    /// cannot be opened they will name.
    pub fn open<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> Files {
        let open = |path: &PathBuf| Some((path.clone(), material::open(path).ok()?));
        let opened: HashMap<PathBuf, File> = paths.into_iter().filter_map(open).collect();
        Files { opened }
    }
}

/// An empty value means none.
fn variable(name: &str) -> Option<Vec<u8>> {
    let value = std::env::var_os(name)?.into_vec();
    Some(value).filter(|value| !value.is_empty())
}

/// Paths with colons between them.
fn paths(name: &str) -> Vec<PathBuf> {
    let list = variable(name).unwrap_or_default();
    let parts = list.split(|&byte| byte == b':');
    let named = parts.filter(|part| !part.is_empty());
    named
        .map(|part| std::ffi::OsStr::from_bytes(part).into())
        .collect()
}

fn trust(options: &Options) -> Trust {
    if !options.verify {
        return Trust::Anybody;
    }
    let or = |path: &Option<PathBuf>, name| match path {
        Some(path) => vec![path.clone()],
        None => paths(name),
    };
    // One of the options stands for both variables.
    let given = options.ca_file.is_some() || options.ca_folder.is_some();
    let (anchors, anchor_folders) = match given {
        true => (
            options.ca_file.iter().cloned().collect(),
            options.ca_folder.iter().cloned().collect(),
        ),
        false => (or(&None, "CAFILE"), or(&None, "CADIR")),
    };
    Trust::Authorities(TrustFiles {
        anchors,
        anchor_folders,
        revoked: paths("CRLFILE"),
        ..TrustFiles::default()
    })
}

fn pair(options: &Options) -> Option<PairFiles> {
    let certificate = options.certificate.clone()?;
    Some(PairFiles {
        is_chain: false,
        // The key may be in the same file.
        key: options.key.clone().unwrap_or_else(|| certificate.clone()),
        certificate,
    })
}

/// Where the password of the key comes from: descriptor 3 or a file.
pub fn password(options: &Options) -> Result<Option<OwnedFd>, Error> {
    // It is taken over in any case, so that no application gets it.
    let third = options
        .common
        .password
        .then(crate::ucspi::password)
        .transpose()?;
    match &options.password_file {
        None => Ok(third),
        Some(path) => {
            let file = File::open(path).map_err(|error| {
                let (file, reason) = (path.display(), words::reason(&error));
                Error::Fatal(format!(
                    "error: (111) unable to read password from: {file}: {reason}"
                ))
            })?;
            Ok(Some(file.into()))
        }
    }
}
