//! The command line, as upstream's users type it. One table holds every option: the usage line and the check of the
//! manual page come from it.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use crate::net::address::Family;
use crate::ucspi::error::Error;
use crate::ucspi::log::Level;
use crate::ucspi::options::{self as words, number};

/// Options without an argument.
const FLAGS: &str = "346hHrRdDqQveEsSnNxXmMyY";

/// Options with an argument, and what it is.
const ARGUMENTS: [(char, &str); 14] = [
    ('i', "localip"),
    ('p', "localport"),
    ('T', "timeoutconn"),
    ('l', "localname"),
    ('t', "timeout"),
    ('I', "interface"),
    ('a', "cafile"),
    ('A', "cadir"),
    ('c', "certfile"),
    ('z', "ciphers"),
    ('k', "keyfile"),
    ('K', "keypassfile"),
    ('V', "verifydepth"),
    ('w', "progtimeout"),
];

const MAX_SECONDS: u64 = 30 * 24 * 3600;
const MAX_DEPTH: u64 = 100;

#[derive(Debug)]
pub struct Options {
    /// `-3`: the key's password comes on descriptor 3.
    pub password: bool,
    /// `-4`, `-6`
    pub family: Option<Family>,
    /// `-d`
    pub delay: bool,
    /// `-q`, `-Q`, `-v`
    pub level: Level,
    /// `-h`, `-H`: the server's name is looked up by its address, and ours unless `-l` says it.
    pub lookup: bool,
    /// `-r`, `-R`: the server's user is asked for.
    pub ident: bool,
    /// `-t`: for all of that.
    pub lookup_time: Duration,
    /// `-e`, `-E`: the application gets `TCP*`.
    pub tcp_environment: bool,
    /// `-s`, `-S` and an explicit `-e`: it gets `SSL_*`.
    pub ssl_environment: bool,
    /// `-x`, `-X`: the server's certificate must be good.
    pub verify: bool,
    /// `-n`, `-N`: and be for the host that was named.
    pub check_name: bool,
    /// `-m`, `-M`: the server is told that name.
    pub tell_name: bool,
    /// `-y`, `-Y`: the application begins in plain text and asks for TLS.
    pub delayed: bool,
    /// `-i`
    pub local_ip: Option<IpAddr>,
    /// `-p`; 0: any.
    pub local_port: u16,
    /// `-T`: how long each address has, and once more when all have been tried.
    pub connect: (Duration, Duration),
    /// `-l`
    pub local_name: Option<Vec<u8>>,
    /// `-I`: the interface of a link-local address.
    pub interface: Option<String>,
    /// `-a`, `-A`: whom to trust; an empty one is none.
    pub ca_file: Option<PathBuf>,
    pub ca_folder: Option<PathBuf>,
    /// `-c`, `-k`, `-K`
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub password_file: Option<PathBuf>,
    /// `-z`
    pub ciphers: Option<String>,
    /// `-V`
    pub depth: Option<u32>,
    /// `-w`
    pub idle: Duration,
    pub host: String,
    pub port: String,
    /// The program and its arguments, any bytes.
    pub program: Vec<CString>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            password: false,
            family: None,
            delay: false,
            level: Level::Warning,
            lookup: true,
            ident: false,
            lookup_time: Duration::from_secs(26),
            tcp_environment: true,
            ssl_environment: false,
            verify: true,
            check_name: true,
            tell_name: true,
            delayed: false,
            local_ip: None,
            local_port: 0,
            connect: (Duration::from_secs(2), Duration::from_secs(58)),
            local_name: None,
            interface: None,
            ca_file: None,
            ca_folder: None,
            certificate: None,
            key: None,
            password_file: None,
            ciphers: None,
            depth: None,
            idle: Duration::from_secs(3600),
            host: String::new(),
            port: String::new(),
            program: Vec::new(),
        }
    }
}

/// `usage: sslclient [ -346… ] [ -i localip ] … host port program`
pub fn usage() -> String {
    words::usage("sslclient", FLAGS, &ARGUMENTS)
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
        if options.certificate.is_none() && options.key.is_some() {
            return Err(Error::BadSetting("-k wants the certificate too: -c".into()));
        }
        Ok(options)
    }

    fn take_flag(&mut self, letter: char) -> Result<(), Error> {
        match letter {
            '3' => self.password = true,
            '4' => self.family = Some(Family::V4),
            '6' => self.family = Some(Family::V6),
            'h' => self.lookup = true,
            'H' => self.lookup = false,
            'r' => self.ident = true,
            'R' => self.ident = false,
            'd' => self.delay = true,
            'D' => self.delay = false,
            'q' => self.level = Level::Silent,
            'Q' => self.level = Level::Warning,
            'v' => self.level = Level::Status,
            'e' => (self.tcp_environment, self.ssl_environment) = (true, true),
            'E' => self.tcp_environment = false,
            's' => self.ssl_environment = true,
            'S' => self.ssl_environment = false,
            'n' => self.check_name = true,
            'N' => self.check_name = false,
            'x' => self.verify = true,
            'X' => self.verify = false,
            'm' => self.tell_name = true,
            'M' => self.tell_name = false,
            'y' => self.delayed = true,
            'Y' => self.delayed = false,
            other => return Err(Error::IllegalOption(other.to_string())),
        }
        Ok(())
    }

    fn take_argument(&mut self, letter: char, value: OsString) -> Result<(), Error> {
        let option = format!("-{letter}");
        let number = |least, most| number(&option, value.as_bytes(), least, most);
        let seconds = || number(1, MAX_SECONDS).map(Duration::from_secs);
        let text = || value.to_string_lossy().into_owned();
        let path = || Some(PathBuf::from(&value)).filter(|path| !path.as_os_str().is_empty());
        match letter {
            'i' => self.local_ip = Some(address(&text())?),
            'p' => self.local_port = number(0, 65535)? as u16,
            'T' => self.connect = times(&text())?,
            'l' => self.local_name = Some(value.into_vec()),
            't' => self.lookup_time = seconds()?,
            'I' => self.interface = Some(text()),
            'a' => self.ca_file = path(),
            'A' => self.ca_folder = path(),
            'c' => self.certificate = path(),
            'k' => self.key = path(),
            'K' => self.password_file = path(),
            'z' => self.ciphers = Some(text()).filter(|list| !list.is_empty()),
            'V' => self.depth = Some(number(0, MAX_DEPTH)? as u32),
            'w' => self.idle = seconds()?,
            other => return Err(Error::IllegalOption(other.to_string())),
        }
        Ok(())
    }
}

fn address(text: &str) -> Result<IpAddr, Error> {
    let parsed = text.parse::<IpAddr>().map(|ip| ip.to_canonical());
    parsed.map_err(|_| Error::BadSetting(format!("-i wants an IP address, not \"{text}\"")))
}

/// `2+58`, or `2` for no second time.
fn times(text: &str) -> Result<(Duration, Duration), Error> {
    let (first, second) = text.split_once('+').unwrap_or((text, "0"));
    let first = number("-T", first.as_bytes(), 1, MAX_SECONDS)?;
    let second = number("-T", second.as_bytes(), 0, MAX_SECONDS)?;
    Ok((Duration::from_secs(first), Duration::from_secs(second)))
}

#[cfg(test)]
mod tests;
