//! What a file's settings mean: each goes to its place in the draft, or says by file and line why it does not.
#![forbid(unsafe_code)]

use std::path::Path;

use super::{Entry, Value as Given};
use crate::stud::config::draft::{Draft, Front, PemFile};
use crate::stud::config::values::{At, Value};
use crate::stud::options::Error;
use crate::stud::options::table::{self, Kind, Row, Slot};

/// A file that is being read.
pub struct Source<'a> {
    pub file: &'a str,
    /// Its number among all that is read.
    pub number: usize,
    pub directory: &'a Path,
}

/// A key of a block, and the place of its value in what the block describes.
pub struct BlockKey<T: 'static> {
    pub name: &'static str,
    pub kind: Kind,
    pub slot: fn(&mut T) -> &mut dyn Value,
}

impl<T> BlockKey<T> {
    const fn new(name: &'static str, kind: Kind, slot: fn(&mut T) -> &mut dyn Value) -> Self {
        BlockKey { name, kind, slot }
    }
}

/// The keys of a `frontend` block, beside `pem-file` and those of TLS.
pub static OF_FRONTEND: [BlockKey<Front>; 3] = [
    BlockKey::new("host", Kind::Text, |front| &mut front.host),
    BlockKey::new("port", Kind::Text, |front| &mut front.port),
    BlockKey::new("match-global-certs", Kind::Boolean, |front| {
        &mut front.match_global
    }),
];

/// The keys of a `pem-file` block.
pub static OF_PEM: [BlockKey<PemFile>; 6] = [
    BlockKey::new("cert", Kind::Text, |pem| &mut pem.certificate),
    BlockKey::new("private-key", Kind::Text, |pem| &mut pem.key),
    BlockKey::new("ocsp-resp-file", Kind::Text, |pem| &mut pem.staple),
    BlockKey::new("ocsp-verify-staple", Kind::Ignored, |pem| {
        &mut pem.verify_staple
    }),
    BlockKey::new("client-verify", Kind::Text, |pem| &mut pem.demand),
    BlockKey::new("client-verify-ca", Kind::Text, |pem| &mut pem.authorities),
];

impl Source<'_> {
    /// Takes over all that a file says.
    pub fn apply(&self, entries: &[Entry], draft: &mut Draft) -> Result<(), Error> {
        for entry in entries {
            match (entry.key.as_str(), &entry.value) {
                ("frontend", Given::Block(entries)) => {
                    let front = self.front(entry, entries)?;
                    draft.frontends.add(front, self.number);
                }
                ("pem-file", Given::Block(entries)) => {
                    draft.pems.0.push(self.pem(entry, entries)?);
                }
                (key, _) => {
                    let row = table::key(key).ok_or_else(|| self.unknown(entry, "this file"))?;
                    self.set(entry, row.spelling(key), row.kind, row.place(draft))?;
                }
            }
        }
        Ok(())
    }

    fn front(&self, block: &Entry, entries: &[Entry]) -> Result<Front, Error> {
        let mut front = Front::default();
        for entry in entries {
            let key = entry.key.as_str();
            match &entry.value {
                Given::Block(entries) if key == "pem-file" => {
                    front.pems.0.push(self.pem(entry, entries)?);
                    continue;
                }
                _ => {}
            }
            if let Some(known) = OF_FRONTEND.iter().find(|known| known.name == key) {
                self.set(entry, known.name, known.kind, (known.slot)(&mut front))?;
                continue;
            }
            match table::key(key) {
                Some(row) if row.name == "pem-file" => {
                    self.set(entry, row.name, row.kind, &mut front.pems)?;
                }
                Some(Row {
                    name,
                    kind,
                    slot: Slot::Tls(slot),
                    ..
                }) => {
                    self.set(entry, name, *kind, slot(&mut front.tls))?;
                }
                _ => return Err(self.unknown(entry, "a frontend")),
            }
        }
        match front.port.0 {
            Some(_) => Ok(front),
            None => Err(self.bad(block, "frontend", "has no port".into())),
        }
    }

    fn pem(&self, block: &Entry, entries: &[Entry]) -> Result<PemFile, Error> {
        let mut pem = PemFile::default();
        for entry in entries {
            let known = OF_PEM.iter().find(|known| known.name == entry.key);
            let known = known.ok_or_else(|| self.unknown(entry, "a pem-file"))?;
            self.set(entry, known.name, known.kind, (known.slot)(&mut pem))?;
        }
        match pem.certificate.0 {
            Some(_) => Ok(pem),
            None => Err(self.bad(block, "pem-file", "has no cert".into())),
        }
    }

    fn set(
        &self,
        entry: &Entry,
        name: &'static str,
        kind: Kind,
        place: &mut dyn Value,
    ) -> Result<(), Error> {
        let words = match &entry.value {
            Given::Block(_) => return Err(self.bad(entry, name, "takes no block".into())),
            Given::Words(words) => words,
        };
        if words.len() > 1 && kind != Kind::Words {
            let problem = format!(
                "takes one word, or one string in quotes, not \"{}\"",
                words.join(" ")
            );
            return Err(self.bad(entry, name, problem));
        }
        let at = At {
            directory: self.directory,
            source: self.number,
            name,
        };
        table::set(place, kind, &words.join(" "), &at)
            .map_err(|problem| self.bad(entry, name, problem))
    }

    fn bad(&self, entry: &Entry, name: &str, problem: String) -> Error {
        Error::File {
            file: self.file.to_owned(),
            line: entry.line,
            problem: format!("{name} {problem}"),
        }
    }

    fn unknown(&self, entry: &Entry, what: &str) -> Error {
        self.bad(
            entry,
            &format!("{:?}", entry.key),
            format!("is no key of {what}"),
        )
    }
}
