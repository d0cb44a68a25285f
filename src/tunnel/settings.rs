//! The keys of `tunnel.ini`, and what stud is told for each.
#![forbid(unsafe_code)]

use std::path::Path;

use super::ini::Entry;
use crate::stud::config::draft::{Draft, Front, Host, PemFile, Port};
use crate::stud::config::values::{At, File, Number, Value, Workers};
use crate::stud::config::{Backend, Config, Facility, address};
use crate::sys::service;

/// The original adds its lines to this one.
const FACILITY: &str = "local1";
/// As many connections as the kernel lets wait.
const BACKLOG: i64 = -1;

/// Everything that the file may say.
#[derive(Default)]
struct Settings {
    host: Option<Host>,
    port: Port,
    destination: Option<String>,
    destination_port: Option<u16>,
    /// One thread of the original is one worker of ours.
    threads: Option<usize>,
    certificate: File,
    key: File,
    authorities: File,
    notes: Vec<String>,
}

/// What a file's entries come to; or section, key and what is wrong. Relative paths begin in `directory`.
pub fn config(entries: &[Entry], directory: &Path) -> Result<Config, String> {
    let mut settings = Settings::default();
    for entry in entries {
        let name = format!("section {}, key {}", entry.section, entry.name);
        let taken = settings.take(entry, directory);
        let known = taken.map_err(|problem| format!("{name} {problem}"))?;
        if !known {
            settings
                .notes
                .push(format!("{name} is not known and has no effect"));
        }
    }
    settings.finish()
}

impl Settings {
    /// Takes an entry, or says what is wrong with it; false if there is no such key.
    fn take(&mut self, entry: &Entry, directory: &Path) -> Result<bool, String> {
        let text = entry.value.as_str();
        let at = At {
            directory,
            source: 0,
            name: "tunnel.ini",
        };
        if text.contains(char::is_control) {
            return Err("wants plain text without control characters".into());
        }
        match (entry.section.as_str(), entry.name.as_str()) {
            ("main", "ssl_server_name") => {
                let host = if text.starts_with('*') { "*" } else { text };
                self.host = Some(Host(address::any_or_host(host)?));
            }
            ("main", "ssl_server_port") => self.port.set(text, &at)?,
            ("main", "destination_name") => self.destination = Some(address::host(text)?),
            ("main", "destination_port") => {
                let number = text.parse().ok().filter(|port| *port > 0);
                let port = number.or_else(|| service::port(text));
                self.destination_port = Some(port.ok_or_else(|| {
                    format!("wants a port from 1 to 65535 or the name of a service, not \"{text}\"")
                })?);
            }
            ("main", "thread_count") => {
                let mut count = Number::<0, 1024>(0);
                count.set(text, &at)?;
                self.threads = usize::try_from(count.0.max(1)).ok();
            }
            ("main", "buffer_size") => {
                Number::<0, { i64::MAX }>(0).set(text, &at)?;
                self.notes.push(
                    "section main, key buffer_size has no effect: buffers grow as they are needed"
                        .into(),
                );
            }
            ("ssl", "verify_locations") => self.authorities.set(text, &at)?,
            ("ssl", "certificate_file") => self.certificate.set(text, &at)?,
            ("ssl", "PrivateKey_file") => self.key.set(text, &at)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Result<Config, String> {
        let missing = |section: &str, key: &str| format!("section {section}, key {key} is missing");
        if self.port.0.is_none() {
            return Err(missing("main", "ssl_server_port"));
        }
        let host = self
            .host
            .ok_or_else(|| missing("main", "ssl_server_name"))?;
        let destination = self
            .destination
            .ok_or_else(|| missing("main", "destination_name"))?;
        let port = self
            .destination_port
            .ok_or_else(|| missing("main", "destination_port"))?;
        if self.certificate.0.is_none() {
            return Err(missing("ssl", "certificate_file"));
        }
        if self.key.0.is_none() {
            return Err(missing("ssl", "PrivateKey_file"));
        }
        let mut front = Front {
            host,
            port: self.port,
            ..Front::default()
        };
        front.pems.0.push(PemFile {
            certificate: self.certificate,
            key: self.key,
            ..PemFile::default()
        });
        // Read, as by the original, and nobody is asked for a certificate.
        front.tls.authorities = self.authorities;
        let mut draft = Draft::default();
        draft.frontends.add(front, 0);
        draft.backends.0 = vec![Backend::Tcp(destination, port)];
        draft.workers = Workers(self.threads);
        draft.backlog = Number(BACKLOG);
        draft.syslog = true;
        draft.facility = Facility::named(FACILITY).unwrap_or(draft.facility);
        let mut config = draft.finish()?;
        config.notes.extend(self.notes);
        Ok(config)
    }
}
