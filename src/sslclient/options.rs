//! The command line, as upstream's users type it. One table holds every option: the usage line and the check of the
//! manual page come from it.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::ucspi::error::Error;
use crate::ucspi::options::{self as words, Common, MAX_SECONDS, number};

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

const MAX_DEPTH: u64 = 100;

#[derive(Debug)]
pub struct Options {
    pub common: Common,
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
    pub host: String,
    pub port: String,
    /// The program and its arguments, any bytes.
    pub program: Vec<CString>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            common: Common::default(),
            verify: true,
            check_name: true,
            tell_name: true,
            delayed: false,
            local_ip: None,
            local_port: 0,
            connect: (Duration::from_secs(2), Duration::from_secs(58)),
            ca_file: None,
            ca_folder: None,
            certificate: None,
            key: None,
            password_file: None,
            ciphers: None,
            depth: None,
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
            'n' => self.check_name = true,
            'N' => self.check_name = false,
            'x' => self.verify = true,
            'X' => self.verify = false,
            'm' => self.tell_name = true,
            'M' => self.tell_name = false,
            'y' => self.delayed = true,
            'Y' => self.delayed = false,
            other => return self.common.take_flag(other),
        }
        Ok(())
    }

    fn take_argument(&mut self, letter: char, value: OsString) -> Result<(), Error> {
        let option = format!("-{letter}");
        let number = |least, most| number(&option, value.as_bytes(), least, most);
        let text = || value.to_string_lossy().into_owned();
        let path = || Some(PathBuf::from(&value)).filter(|path| !path.as_os_str().is_empty());
        match letter {
            'i' => self.local_ip = Some(address(&text())?),
            'p' => self.local_port = number(0, 65535)? as u16,
            'T' => self.connect = times(&text())?,
            'a' => self.ca_file = path(),
            'A' => self.ca_folder = path(),
            'c' => self.certificate = path(),
            'k' => self.key = path(),
            'K' => self.password_file = path(),
            'z' => self.ciphers = Some(text()).filter(|list| !list.is_empty()),
            'V' => self.depth = Some(number(0, MAX_DEPTH)? as u32),
            other => return self.common.take_argument(other, value),
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
