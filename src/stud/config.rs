//! What the proxy is to do: command line and configuration file put together and checked, nothing of it carried out
//! yet. `tunnel` makes one of these from its own file.
#![forbid(unsafe_code)]

pub(crate) mod address;
pub(crate) mod draft;
mod finish;
mod folder;
mod notes;
mod pems;
mod protocols;
pub(crate) mod values;

use std::path::PathBuf;
use std::time::Duration;

pub use crate::privsep::worker::orders::{Details, Preamble, Times};
use crate::tls::client::Demand;
use crate::tls::settings::Settings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `--client`: plain clients in front, TLS towards the backend.
    pub client: bool,
    /// At least one.
    pub frontends: Vec<Frontend>,
    /// At least one. Frontend n has the n-th, or the last if there are fewer.
    pub backends: Vec<Backend>,
    /// Every PEM of every frontend, each once; frontends refer to them by their place.
    pub pems: Vec<Pem>,
    pub preamble: Preamble,
    /// Forward the PROXY header with which every connection begins (`--proxy-proxy`), whatever its version.
    pub proxy_proxy: bool,
    pub workers: usize,
    pub backlog: i32,
    /// Quiet time after which the kernel asks whether a client is still there.
    pub keepalive: Duration,
    /// Data with a client's first packet (TCP fast open).
    pub fast_open: bool,
    /// Socket buffers of clients' connections in bytes; `None`: the kernel's choice.
    pub send_buffer: Option<usize>,
    pub receive_buffer: Option<usize>,
    pub times: Times,
    pub chroot: Option<PathBuf>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub log: LogSettings,
    pub daemon: bool,
    pub pid_file: Option<PathBuf>,
    /// How often names of backends are looked up again.
    pub backend_refresh: Option<Duration>,
    /// Secrets of session tickets, shared with other machines.
    pub ticket_key_file: Option<PathBuf>,
    pub sessions: Sessions,
    /// A Unix socket that answers with the counters.
    pub metrics: Option<PathBuf>,
    /// A file to write the addresses listened on to.
    pub listen_report: Option<PathBuf>,
    /// What is accepted and has no effect, a line for the log each.
    pub notes: Vec<String>,
}

/// Where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// `None`: any address of both families.
    pub host: Option<String>,
    /// 0: any free one.
    pub port: u16,
    /// Places in [`Config::pems`]: the first that has a client's name counts.
    pub pems: Vec<usize>,
    /// Place of the one for clients that name nobody, or nobody we know. `None` with `--client`.
    pub default: Option<usize>,
    pub settings: Settings,
    /// What clients have to show. With `--client` it is what the backend has to: nothing, or a certificate in the name
    /// or address under which it is configured.
    pub demand: Demand,
    /// Whom those certificates are traced back to. With `--client`, `None` is whom the system trusts.
    pub authorities: Option<PathBuf>,
}

/// A file with certificate chain and private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    pub certificate: PathBuf,
    /// The same file, unless the key has one of its own.
    pub key: PathBuf,
    /// An OCSP response in DER to staple.
    pub staple: Option<PathBuf>,
    /// What clients of these names have to show, if it is not what the frontend says.
    pub demand: Option<(Demand, Option<PathBuf>)>,
}

/// Where decrypted bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// A Unix socket; one that begins with `@` is in the abstract namespace.
    Unix(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub level: Level,
    /// Instead of standard error.
    pub file: Option<PathBuf>,
    /// Beside it.
    pub syslog: Option<Facility>,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `--quiet`: errors and nothing else.
    Quiet,
    /// `log-level = 0`: starts, stops and reloads.
    Life,
    /// `log-level = 1`: and errors.
    Errors,
    /// `log-level = 2`: and a line for every connection.
    Connections,
}

/// A syslog facility: its number in syslog(3), already shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

/// What is kept of sessions for clients to resume, beside tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// Tickets alone.
    Tickets,
    /// So many in memory, for all workers (`--shared-cache`).
    Memory(usize),
    /// In a Redis server, for all machines (`session-store`).
    Store(String),
}

#[cfg(test)]
pub(crate) mod tests;
