//! The command line, as upstream's users type it. One table holds every option: the usage line and the check of the
//! manual page come from it.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;
use super::log::Level;
use crate::tls::client::Demand;
pub use crate::ucspi::options::number;
use crate::ucspi::options::{self as words, Common, seconds};

/// Options without an argument.
const FLAGS: &str = "1346CUXpPhHrRoOdDqQvVeEsSnNmzZ";

/// Options with an argument, and what it is.
const ARGUMENTS: [(char, &str); 13] = [
    ('c', "limit"),
    ('j', "processes"),
    ('y', "iprules.cdb"),
    ('x', "rules.cdb"),
    ('B', "banner"),
    ('g', "gid"),
    ('u', "uid"),
    ('b', "backlog"),
    ('l', "localname"),
    ('t', "timeout"),
    ('I', "interface"),
    ('T', "ssltimeout"),
    ('w', "progtimeout"),
];

/// A banner must fit into an empty pipe, where it waits for its client.
const MAX_BANNER: usize = 4096;
/// Enough for any machine; a slip of the pen shall not ask for more.
const MAX_LIMIT: u64 = 1_000_000;
const MAX_ID: u64 = u32::MAX as u64 - 1;
/// Processes that share all connections: more than processors are of no use.
const MAX_SHARED: u64 = 256;

#[derive(Debug)]
pub struct Options {
    pub common: Common,
    /// `-1`
    pub announce: bool,
    /// `-X`
    pub missing_rules: bool,
    /// `-o`
    pub keep_ip_options: bool,
    /// `-p`, `-P`: the name counts only if it means the client's address.
    pub paranoid: bool,
    /// `-n`, `-N`: the application begins in plain text and asks for TLS.
    pub delayed: bool,
    /// `-z`, `-m`, `-Z`: what clients have to show.
    pub demand: Demand,
    /// `-C`: everything is loaded, checked and told, and nothing served.
    pub check: bool,
    /// `-j`: so many processes share all connections; `None`: each connection has one of its own.
    pub shared: Option<usize>,
    /// `-c`
    pub limit: usize,
    /// `-b`
    pub backlog: i32,
    /// `-y`
    pub early_rules: Option<PathBuf>,
    /// `-x`
    pub rules: Option<PathBuf>,
    /// `-B`
    pub banner: Vec<u8>,
    /// `-u`, `-g`; 0 means that the id stays.
    pub uid: u32,
    pub gid: u32,
    /// `-U`: both come from the environment.
    pub ids_from_environment: bool,
    /// `-T`
    pub handshake: Duration,
    pub host: String,
    pub port: String,
    /// The program and its arguments, any bytes.
    pub program: Vec<CString>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            common: Common::default(),
            announce: false,
            missing_rules: false,
            keep_ip_options: false,
            paranoid: false,
            delayed: false,
            demand: Demand::Nothing,
            check: false,
            shared: None,
            limit: 40,
            backlog: 20,
            early_rules: None,
            rules: None,
            banner: Vec::new(),
            uid: 0,
            gid: 0,
            ids_from_environment: false,
            handshake: Duration::from_secs(26),
            host: String::new(),
            port: String::new(),
            program: Vec::new(),
        }
    }
}

/// `usage: sslserver [ -13… ] [ -c limit ] … host port program`
pub fn usage() -> String {
    words::usage("sslserver", FLAGS, &ARGUMENTS)
}

impl Options {
    /// Reads what follows the program's name. Later options override earlier ones; the first word that is no option
    /// is the host.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Error> {
        let mut options = Options::default();
        let read = words::read(arguments, &ARGUMENTS, |letter, value| match value {
            Some(value) => options.take_argument(letter, value),
            None => options.take_flag(letter),
        })?;
        (options.host, options.port, options.program) = (read.host, read.port, read.program);
        Ok(options)
    }

    fn take_flag(&mut self, letter: char) -> Result<(), Error> {
        match letter {
            '1' => self.announce = true,
            'C' => self.check = true,
            'U' => self.ids_from_environment = true,
            'X' => self.missing_rules = true,
            'o' => self.keep_ip_options = true,
            'O' => self.keep_ip_options = false,
            'V' => self.common.level = Level::Detail,
            'p' => self.paranoid = true,
            'P' => self.paranoid = false,
            'z' => self.demand = Demand::Named,
            'm' => self.demand = Demand::Valid,
            'Z' => self.demand = Demand::Nothing,
            'n' => self.delayed = true,
            'N' => self.delayed = false,
            other => return self.common.take_flag(other),
        }
        Ok(())
    }

    fn take_argument(&mut self, letter: char, value: OsString) -> Result<(), Error> {
        let number = |least, most| number(&format!("-{letter}"), value.as_bytes(), least, most);
        match letter {
            'c' => self.limit = number(1, MAX_LIMIT)? as usize,
            'j' => self.shared = Some(number(1, MAX_SHARED)? as usize),
            'b' => self.backlog = number(1, i32::MAX as u64)? as i32,
            'u' => self.uid = number(0, MAX_ID)? as u32,
            'g' => self.gid = number(0, MAX_ID)? as u32,
            'T' => self.handshake = seconds(letter, &value)?,
            'y' => self.early_rules = Some(value.into()),
            'x' => self.rules = Some(value.into()),
            'B' if value.len() > MAX_BANNER => {
                return Err(Error::BadSetting(format!(
                    "-B takes at most {MAX_BANNER} bytes"
                )));
            }
            'B' => self.banner = value.into_vec(),
            other => return self.common.take_argument(other, value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
