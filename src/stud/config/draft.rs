//! What the command line and the files have said so far. It becomes a [`super::Config`] when all is read.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::address;
use super::protocols::Protocols;
use super::values::{
    Alpn, At, File, Folder, Kept, Name, NewFile, Number, Refused, Seconds, Store, Text, Value,
    Workers, existing,
};
use super::{Backend, Facility, Level};
use crate::tls::client::Demand;

const SECONDS: fn(u64) -> Seconds = |seconds| Seconds(Duration::from_secs(seconds));

#[derive(Clone)]
pub struct Draft {
    pub client: bool,
    pub frontends: Frontends,
    pub backends: Backends,
    pub pems: Pems,
    pub pem_folder: Folder,
    pub pem_glob: Text,
    pub tls: Tls,
    pub write_ip: bool,
    pub write_line: bool,
    pub write_binary: bool,
    pub proxy_proxy: bool,
    pub tell_tls: bool,
    pub tell_authority: bool,
    pub tell_certificate: bool,
    pub workers: Workers,
    pub backlog: Number<-1, { i32::MAX as i64 }>,
    /// The kernel takes no more than 32767.
    pub keepalive: Number<1, 32767>,
    pub fast_open: bool,
    pub send_buffer: Number<-1, 0x4000_0000>,
    pub receive_buffer: Number<-1, 0x4000_0000>,
    pub backend_refresh: Seconds,
    pub handshake: Seconds,
    pub header: Seconds,
    pub connect: Seconds,
    pub idle: Seconds,
    pub drain: Seconds,
    pub chroot: Folder,
    pub user: Name,
    pub group: Name,
    pub level: Level,
    pub log_file: NewFile,
    pub syslog: bool,
    pub facility: Facility,
    pub daemon: bool,
    pub pid_file: NewFile,
    pub metrics: NewFile,
    pub listen_report: NewFile,
    pub ticket_key_file: File,
    pub store: Store,
    pub cache: Number<0, 1_000_000>,
    pub engine: Text,
    pub ocsp: Ocsp,
    pub refused: Refused,
}

/// The settings of the original's fetcher of OCSP responses.
#[derive(Clone, Default)]
pub struct Ocsp {
    pub folder: Text,
    pub response_time: Text,
    pub connect_time: Text,
    pub interval: Text,
    pub verify: Text,
}

/// What a frontend may have of its own.
#[derive(Clone, Default)]
pub struct Tls {
    pub protocols: Protocols,
    pub ciphers: Text,
    pub ciphersuites: Text,
    pub curves: Text,
    pub server_order: Option<bool>,
    pub alpn: Alpn,
    pub strict: Option<bool>,
    pub demand: Option<Demand>,
    pub authorities: File,
}

impl Tls {
    /// This, and what it leaves out from another.
    pub fn or(&self, other: &Tls) -> Tls {
        let own = self.clone();
        Tls {
            protocols: own.protocols.or(&other.protocols),
            ciphers: own.ciphers.or(&other.ciphers),
            ciphersuites: own.ciphersuites.or(&other.ciphersuites),
            curves: own.curves.or(&other.curves),
            server_order: own.server_order.or(other.server_order),
            alpn: own.alpn.or(&other.alpn),
            strict: own.strict.or(other.strict),
            demand: own.demand.or(other.demand),
            authorities: own.authorities.or(&other.authorities),
        }
    }
}

/// All that clients come in by. Several values of one source add up; those of a later source replace them, as later
/// values of every other setting do.
#[derive(Clone, Default)]
pub struct Frontends {
    pub list: Vec<Front>,
    source: usize,
    /// An earlier source has lost its frontends.
    pub replaced: bool,
}

impl Frontends {
    pub fn add(&mut self, front: Front, source: usize) {
        if source != self.source && !self.list.is_empty() {
            self.list.clear();
            self.replaced = true;
        }
        self.source = source;
        self.list.push(front);
    }

    /// Those that were asked for, or the one that is there when nobody asks.
    pub fn all(&self) -> Vec<Front> {
        let mut all = self.list.clone();
        if all.is_empty() {
            let mut usual = Front::default();
            usual.port.0 = Some(8443);
            all.push(usual);
        }
        all
    }
}

impl Value for Frontends {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        for one in text.split(';') {
            let (host, port, certificate) = address::listening(one)?;
            let mut front = Front {
                host: Host(host),
                port: Port(Some(port)),
                ..Front::default()
            };
            if let Some(certificate) = certificate {
                front.pems.set(certificate, at)?;
            }
            self.add(front, at.source);
        }
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        let shown = self.all().iter().map(Front::address).collect::<Vec<_>>();
        Some(shown.join(";"))
    }
}

#[derive(Clone, Default)]
pub struct Front {
    pub host: Host,
    pub port: Port,
    pub pems: Pems,
    pub match_global: Option<bool>,
    pub tls: Tls,
}

impl Front {
    /// `[HOST]:PORT`
    pub fn address(&self) -> String {
        address::show_listening(&self.host.0, self.port.0.unwrap_or_default())
    }
}

#[derive(Clone, Default)]
pub struct Host(pub Option<String>);

impl Value for Host {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        self.0 = address::any_or_host(text)?;
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        Some(self.0.clone().unwrap_or_else(|| "*".into()))
    }
}

#[derive(Clone, Default)]
pub struct Port(pub Option<u16>);

impl Value for Port {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        let mut number = Number::<0, 65535>(0);
        number.set(text, at)?;
        self.0 = u16::try_from(number.0).ok();
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        self.0.map(|port| port.to_string())
    }
}

/// Paired with the frontends by their places.
#[derive(Clone)]
pub struct Backends(pub Vec<Backend>);

impl Value for Backends {
    fn set(&mut self, text: &str, _: &At) -> Result<(), String> {
        self.0 = text
            .split(';')
            .map(address::target)
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        let shown = self.0.iter().map(address::show_target);
        Some(shown.collect::<Vec<_>>().join(";"))
    }
}

/// Files with certificate and key, or directories of them; they add up.
#[derive(Clone, Default)]
pub struct Pems(pub Vec<PemFile>);

impl Value for Pems {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        let fits = |kind: &std::fs::Metadata| kind.is_file() || kind.is_dir();
        let path = existing(text, at, fits, "is neither file nor directory")?;
        self.0.push(PemFile {
            certificate: Kept(Some(path)),
            ..PemFile::default()
        });
        Ok(())
    }

    fn show(&self, _: &str) -> Option<String> {
        None
    }
}

#[derive(Clone, Default)]
pub struct PemFile {
    /// Outside a block of its own it may be a directory.
    pub certificate: File,
    pub key: File,
    pub staple: File,
    pub verify_staple: Text,
    pub demand: Option<Demand>,
    pub authorities: File,
}

impl Default for Draft {
    fn default() -> Self {
        Draft {
            client: false,
            frontends: Frontends::default(),
            backends: Backends(vec![Backend::Tcp("127.0.0.1".into(), 8000)]),
            pems: Pems::default(),
            pem_folder: Folder::default(),
            pem_glob: Text::default(),
            tls: Tls {
                protocols: Protocols::usual(),
                server_order: Some(false),
                strict: Some(false),
                ..Tls::default()
            },
            write_ip: false,
            write_line: false,
            write_binary: false,
            proxy_proxy: false,
            tell_tls: true,
            tell_authority: true,
            tell_certificate: false,
            workers: Workers(Some(1)),
            backlog: Number(100),
            keepalive: Number(3600),
            fast_open: false,
            send_buffer: Number(-1),
            receive_buffer: Number(-1),
            backend_refresh: Seconds(Duration::MAX),
            handshake: SECONDS(30),
            header: SECONDS(30),
            connect: SECONDS(30),
            idle: SECONDS(3600),
            drain: SECONDS(3600),
            chroot: Folder::default(),
            user: Name::default(),
            group: Name::default(),
            level: Level::Errors,
            log_file: NewFile::default(),
            syslog: false,
            facility: Facility(3 << 3),
            daemon: false,
            pid_file: NewFile::default(),
            metrics: NewFile::default(),
            listen_report: NewFile::default(),
            ticket_key_file: File::default(),
            store: Store::default(),
            cache: Number(0),
            engine: Text::default(),
            ocsp: Ocsp::default(),
            refused: Refused,
        }
    }
}
