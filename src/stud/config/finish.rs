//! The last step: what was said, put together and checked as a whole.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use super::draft::{Draft, Front, Tls};
use super::folder;
use super::pems::{Collection, plain};
use super::values::{MOST_WORKERS, Number};
use super::{Backend, Config, Details, Frontend, LogSettings, Preamble, Sessions, Times};
use crate::tls::client::Demand;
use crate::tls::settings::{self, Settings};

/// As many authorities between a client and the last one as the library allows.
const VERIFY_DEPTH: u32 = 100;

impl Draft {
    /// Makes a configuration of it, or says in one line why it is none.
    pub fn finish(&self) -> Result<Config, String> {
        let mut pems = Collection::default();
        let mut notes = self.notes();
        let frontends = match self.client {
            true => self.clients_frontends()?,
            false => self.frontends(&mut pems)?,
        };
        let backends = self.backends.0.clone();
        if backends.len() > frontends.len() {
            return Err(format!(
                "{} backends are too many for {} frontends: each frontend has one",
                backends.len(),
                frontends.len()
            ));
        }
        let preamble = self.preamble()?;
        let plain = self.client && (preamble != Preamble::Nothing || self.proxy_proxy);
        if plain {
            notes.push("the address of clients is not told: no server of TLS expects it".into());
        }
        Ok(Config {
            client: self.client,
            frontends,
            backends,
            pems: pems.list,
            preamble: if plain { Preamble::Nothing } else { preamble },
            proxy_proxy: self.proxy_proxy && !plain,
            workers: self.workers.0.unwrap_or_else(processors),
            backlog: i32::try_from(self.backlog.0).unwrap_or(i32::MAX),
            keepalive: Duration::from_secs(self.keepalive.0.unsigned_abs()),
            fast_open: self.fast_open,
            send_buffer: size(&self.send_buffer),
            receive_buffer: size(&self.receive_buffer),
            times: Times {
                handshake: self.handshake.0,
                header: self.header.0,
                connect: self.connect.0,
                idle: self.idle.0,
                drain: self.drain.0,
            },
            chroot: self.chroot.0.clone(),
            user: self.user.0.clone(),
            group: self.group.0.clone(),
            log: self.log(),
            daemon: self.daemon,
            pid_file: self.pid_file.0.clone(),
            backend_refresh: Some(self.backend_refresh.0).filter(|time| *time < Duration::MAX),
            ticket_key_file: self.ticket_key_file.0.clone(),
            sessions: self.sessions()?,
            metrics: self.metrics.0.clone(),
            listen_report: self.listen_report.0.clone(),
            notes,
        })
    }

    /// Each address once.
    fn fronts(&self) -> Result<Vec<Front>, String> {
        let fronts = self.frontends.all();
        for (place, front) in fronts.iter().enumerate() {
            let twin = |other: &Front| other.host.0 == front.host.0 && other.port.0 == front.port.0;
            if front.port.0 != Some(0) && fronts[..place].iter().any(twin) {
                return Err(format!("frontend {} is there twice", front.address()));
            }
        }
        Ok(fronts)
    }

    fn frontends(&self, pems: &mut Collection) -> Result<Vec<Frontend>, String> {
        let mut global = pems.add_all(&self.pems, &self.tls)?;
        let mut fallback = global.last().copied();
        if let Some(path) = &self.pem_folder.0 {
            let files = folder::list(path, self.pem_glob.0.as_deref())?;
            let files: Vec<_> = files
                .into_iter()
                .map(plain)
                .map(|pem| pems.add(pem))
                .collect();
            fallback = fallback.or(files.first().copied());
            global.extend(files);
        }
        let mut frontends = Vec::new();
        for front in self.fronts()? {
            let tls = front.tls.or(&self.tls);
            let mut own = pems.add_all(&front.pems, &tls)?;
            let default = own.last().copied().or(fallback).ok_or_else(|| {
                let address = front.address();
                format!("frontend {address} has no certificate: name a PEM file with chain and key")
            })?;
            if front.match_global.unwrap_or(own.is_empty()) {
                let others = global.iter().filter(|place| !own.contains(place));
                let others: Vec<_> = others.copied().collect();
                own.extend(others);
            }
            let demand = tls.demand.unwrap_or(Demand::Nothing);
            if demand != Demand::Nothing && tls.authorities.0.is_none() {
                return Err(format!(
                    "frontend {} asks clients for certificates: name whom they are traced back to in client-verify-ca",
                    front.address()
                ));
            }
            frontends.push(frontend(front, own, Some(default), &tls, demand));
        }
        Ok(frontends)
    }

    /// With `--client` it is the backend that has to show a certificate, unless it is switched off.
    fn clients_frontends(&self) -> Result<Vec<Frontend>, String> {
        let mut frontends = Vec::new();
        for front in self.fronts()? {
            let tls = front.tls.or(&self.tls);
            let demand = match tls.demand {
                None | Some(Demand::Valid | Demand::Named) => Demand::Named,
                Some(Demand::Nothing) => Demand::Nothing,
                Some(Demand::Optional) => {
                    return Err("client-verify = optional means nothing with --client".into());
                }
            };
            frontends.push(frontend(front, Vec::new(), None, &tls, demand));
        }
        let nameless = self
            .backends
            .0
            .iter()
            .any(|backend| matches!(backend, Backend::Unix(_)));
        let named = frontends
            .iter()
            .any(|frontend| frontend.demand == Demand::Named);
        match nameless && named {
            true => Err(
                "with --client, a Unix socket has no name that a certificate could be for: \
                         switch client-verify to none, or name a host"
                    .into(),
            ),
            false => Ok(frontends),
        }
    }

    /// The four that write something in front exclude each other.
    fn preamble(&self) -> Result<Preamble, String> {
        let details = Details {
            tls: self.tell_tls,
            authority: self.tell_authority,
            certificate: self.tell_certificate,
        };
        let ways = [
            (self.write_ip, "write-ip", Preamble::Ip),
            (self.write_line, "write-proxy", Preamble::Line),
            (
                self.write_binary,
                "write-proxy-v2",
                Preamble::Binary(details),
            ),
            (self.proxy_proxy, "proxy-proxy", Preamble::Nothing),
        ];
        let mut chosen = ways.into_iter().filter(|(on, _, _)| *on);
        match (chosen.next(), chosen.next()) {
            (None, _) => Ok(Preamble::Nothing),
            (Some((_, _, preamble)), None) => Ok(preamble),
            (Some((_, one, _)), Some((_, other, _))) => {
                Err(format!("{one} and {other} exclude each other"))
            }
        }
    }

    fn log(&self) -> LogSettings {
        // In the background there is no standard error to write to.
        let syslog = self.syslog || (self.daemon && self.log_file.0.is_none());
        LogSettings {
            level: self.level,
            file: self.log_file.0.clone(),
            syslog: syslog.then_some(self.facility),
        }
    }

    fn sessions(&self) -> Result<Sessions, String> {
        match (&self.store.0, usize::try_from(self.cache.0).unwrap_or(0)) {
            (None, 0) => Ok(Sessions::Tickets),
            (None, entries) => Ok(Sessions::Memory(entries)),
            (Some(url), 0) => Ok(Sessions::Store(url.clone())),
            (Some(_), _) => Err("shared-cache and session-store exclude each other".into()),
        }
    }
}

fn frontend(
    front: Front,
    pems: Vec<usize>,
    default: Option<usize>,
    tls: &Tls,
    demand: Demand,
) -> Frontend {
    let (min, max) = tls.protocols.range();
    let alpn = tls.alpn.0.as_deref();
    Frontend {
        host: front.host.0,
        port: front.port.0.unwrap_or_default(),
        pems,
        default,
        settings: Settings {
            tickets: true,
            ciphers: tls.ciphers.0.clone(),
            ciphersuites: tls.ciphersuites.0.clone(),
            groups: tls.curves.0.clone().filter(|curves| curves != "auto"),
            min,
            max,
            alpn: alpn.and_then(settings::protocols),
            server_order: tls.server_order.unwrap_or(false),
            strict: tls.strict.unwrap_or(false),
            verify_depth: VERIFY_DEPTH,
        },
        demand,
        authorities: tls.authorities.0.clone(),
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().min(MOST_WORKERS))
}

fn size<const LEAST: i64, const MOST: i64>(size: &Number<LEAST, MOST>) -> Option<usize> {
    usize::try_from(size.0).ok().filter(|size| *size > 0)
}
