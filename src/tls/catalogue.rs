//! All certificate chains of a generation, once for every frontend, in memory that forking does not copy; beside that,
//! what OpenSSL makes of those that were used last.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::x509::X509;

use super::identity::Identity;
use super::staple::Staple;
use crate::sys::shared::SharedBytes;

/// Which chain of a catalogue: they are numbered in the order in which they came.
pub type Place = u16;

/// What the keeper tells of a chain.
#[derive(Default)]
pub struct Entry<'a> {
    /// The number of its key.
    pub key: u16,
    /// The names that it is for.
    pub names: &'a [String],
    /// In DER, the server's own first.
    pub certificates: &'a [Vec<u8>],
    pub staple: Option<&'a Staple>,
    /// DH parameters in PEM that came with it; empty: none.
    pub dh: &'a [u8],
}

/// Collects the chains.
#[derive(Default)]
pub struct Collector {
    bytes: Vec<u8>,
    chains: Vec<Chain>,
    signers: HashMap<Vec<u8>, usize>,
}

/// A few signers vouch for thousands: so many are kept ready, which spares their reading.
const READY_SIGNERS: usize = 256;
/// Stands in the place of a certificate's length, with the number of a signer.
const SIGNER: u64 = 1 << 63;

/// Where the parts of a chain lie among the bytes, each behind the other.
struct Chain {
    key: u16,
    /// When the staple is no longer to be shown.
    until: u64,
    names: usize,
    certificates: usize,
    staple: usize,
    dh: usize,
    end: usize,
}

/// The chains.
pub struct Catalogue {
    bytes: SharedBytes,
    chains: Vec<Chain>,
    signers: Vec<X509>,
    recent: Mutex<Recent>,
}

impl Collector {
    /// Takes a chain. `None`: there are 65536 already.
    pub fn add(&mut self, entry: &Entry<'_>) -> Option<Place> {
        let place = Place::try_from(self.chains.len()).ok()?;
        let names = self.bytes.len();
        for text in entry.names {
            // No host has a longer name, or none.
            if let Ok(length @ 1..) = u8::try_from(text.len()) {
                self.bytes.push(length);
                self.bytes.extend(text.as_bytes());
            }
        }
        let certificates = self.bytes.len();
        for (number, der) in entry.certificates.iter().enumerate() {
            match self.signer(number, der) {
                Some(signer) => self.bytes.extend((SIGNER | signer as u64).to_be_bytes()),
                None => {
                    self.bytes.extend((der.len() as u64).to_be_bytes());
                    self.bytes.extend(der);
                }
            }
        }
        let staple = self.bytes.len();
        self.bytes
            .extend(entry.staple.iter().flat_map(|staple| &staple.response));
        let dh = self.bytes.len();
        self.bytes.extend(entry.dh);
        self.chains.push(Chain {
            key: entry.key,
            until: entry.staple.map_or(0, |staple| staple.until),
            names,
            certificates,
            staple,
            dh,
            end: self.bytes.len(),
        });
        Some(place)
    }

    /// The number of a certificate that is no chain's own.
    fn signer(&mut self, number: usize, der: &[u8]) -> Option<usize> {
        if number == 0 {
            return None;
        }
        let next = self.signers.len();
        match self.signers.get(der) {
            None if next < READY_SIGNERS => {
                self.signers.insert(der.to_owned(), next);
                Some(next)
            }
            found => found.copied(),
        }
    }

    pub fn finish(self) -> Result<Catalogue, String> {
        let mut signers: Vec<_> = self.signers.into_iter().collect();
        signers.sort_by_key(|(_, number)| *number);
        let signers = signers.iter().map(|(der, _)| X509::from_der(der));
        Ok(Catalogue {
            signers: signers
                .collect::<Result<_, _>>()
                .map_err(|stack| stack.to_string())?,
            bytes: SharedBytes::new(&self.bytes).map_err(|errno| errno.desc().to_owned())?,
            chains: self.chains,
            recent: Mutex::default(),
        })
    }
}

impl Catalogue {
    /// Where the names of a chain lie among the bytes; nowhere if there is no such chain.
    pub(super) fn names(&self, place: Place) -> impl Iterator<Item = Range<usize>> {
        let chain = self.chains.get(usize::from(place));
        let (mut at, end) = chain.map_or((0, 0), |chain| (chain.names, chain.certificates));
        std::iter::from_fn(move || {
            let start = at + 1;
            let length = *self.bytes[..end].get(at)?;
            at = start + usize::from(length);
            Some(start..at)
        })
    }

    pub(super) fn text(&self, name: Range<usize>) -> &[u8] {
        &self.bytes[name]
    }

    /// The OCSP response to show with a chain at this time in seconds since 1970.
    pub fn staple(&self, place: Place, now: u64) -> Option<&[u8]> {
        let chain = self.chains.get(usize::from(place))?;
        (now < chain.until).then(|| &self.bytes[chain.staple..chain.dh])
    }

    pub fn has_staples(&self) -> bool {
        self.chains.iter().any(|chain| chain.until > 0)
    }

    /// A chain with its key, as OpenSSL wants it.
    pub fn identity(&self, place: Place) -> Result<Arc<Identity>, ErrorStack> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent.get(place) {
            return Ok(known);
        }
        let identity = Arc::new(self.read(place)?);
        recent.put(place, identity.clone());
        Ok(identity)
    }

    fn read(&self, place: Place) -> Result<Identity, ErrorStack> {
        // Nobody asks for a chain that is not there; if somebody does, there is no reason to give.
        let chain = self.chains.get(usize::from(place));
        let chain = chain.ok_or_else(ErrorStack::get)?;
        let certificates = self
            .certificates(chain)
            .map(|certificate| match certificate {
                Certificate::Encoded(der) => X509::from_der(der),
                Certificate::Signer(number) => {
                    let signer = self.signers.get(number);
                    signer.cloned().ok_or_else(ErrorStack::get)
                }
            });
        let certificates = certificates.collect::<Result<Vec<X509>, _>>()?;
        Identity::new(chain.key, certificates, &self.bytes[chain.dh..chain.end])
    }

    fn certificates(&self, chain: &Chain) -> impl Iterator<Item = Certificate<'_>> {
        let mut rest = &self.bytes[chain.certificates..chain.staple];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let length = u64::from_be_bytes(*length);
            if length & SIGNER != 0 {
                rest = after;
                return usize::try_from(length & !SIGNER)
                    .ok()
                    .map(Certificate::Signer);
            }
            let (der, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
            rest = after;
            Some(Certificate::Encoded(der))
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Certificate<'a> {
    Encoded(&'a [u8]),
    Signer(usize),
}

/// The identities that were used last: whoever is not used while half of them are replaced is forgotten.
#[derive(Default)]
struct Recent {
    young: HashMap<Place, Arc<Identity>>,
    old: HashMap<Place, Arc<Identity>>,
}

/// There are twice as many at the most, of about 6 kB each.
const HALF: usize = 512;

impl Recent {
    fn get(&mut self, place: Place) -> Option<Arc<Identity>> {
        if let Some(known) = self.young.get(&place) {
            return Some(known.clone());
        }
        let known = self.old.remove(&place)?;
        self.put(place, known.clone());
        Some(known)
    }

    fn put(&mut self, place: Place, identity: Arc<Identity>) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, identity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::rig::{Made, make};

    fn add(collector: &mut Collector, made: &Made, names: &[&str]) -> Place {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let entry = Entry {
            names: &names,
            certificates: &made.chain,
            ..Entry::default()
        };
        collector.add(&entry).unwrap()
    }

    #[test]
    fn a_chain_comes_back_as_it_went_in() {
        let signer = make("signer").chain.remove(0);
        let mut collector = Collector::default();
        let chains = ["a", "b"].map(|name| {
            let mut made = make(name);
            made.chain.push(signer.clone());
            (add(&mut collector, &made, &[name, "*.example"]), made)
        });
        let catalogue = collector.finish().unwrap();
        assert_eq!(catalogue.signers.len(), 1);
        for ((place, made), name) in chains.iter().zip(["a", "b"]) {
            let identity = catalogue.identity(*place).unwrap();
            let back: Vec<Vec<u8>> = identity.chain().map(|one| one.to_der().unwrap()).collect();
            assert_eq!(back, made.chain);
            let names = catalogue.names(*place).map(|name| catalogue.text(name));
            assert_eq!(names.collect::<Vec<_>>(), [name.as_bytes(), b"*.example"]);
        }
        assert!(catalogue.identity(2).is_err());
        assert_eq!(catalogue.names(2).count(), 0);
    }

    #[test]
    fn a_staple_is_shown_until_its_time_is_over() {
        let made = make("a");
        let staple = Staple {
            response: b"fine".to_vec(),
            until: 1000,
        };
        let mut collector = Collector::default();
        let plain = add(&mut collector, &made, &[]);
        let entry = Entry {
            certificates: &made.chain,
            staple: Some(&staple),
            ..Entry::default()
        };
        let stapled = collector.add(&entry).unwrap();
        let catalogue = collector.finish().unwrap();
        assert!(catalogue.has_staples());
        assert_eq!(catalogue.staple(stapled, 999), Some(&b"fine"[..]));
        assert_eq!(catalogue.staple(stapled, 1000), None);
        assert_eq!(catalogue.staple(plain, 0), None);
    }

    #[test]
    fn only_so_many_are_kept_ready_and_those_in_use_stay() {
        let made = make("a");
        let mut collector = Collector::default();
        for _ in 0..3 * HALF {
            add(&mut collector, &made, &[]);
        }
        let catalogue = collector.finish().unwrap();
        let first = catalogue.identity(0).unwrap();
        for place in 1..3 * HALF {
            catalogue.identity(place as Place).unwrap();
            if place % 100 == 0 {
                let again = catalogue.identity(0).unwrap();
                assert!(Arc::ptr_eq(&first, &again), "{place}");
            }
        }
        let recent = catalogue.recent.lock().unwrap();
        assert!(recent.young.len() + recent.old.len() <= 2 * HALF);
        assert!(!recent.young.contains_key(&1) && !recent.old.contains_key(&1));
    }
}
