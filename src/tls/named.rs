//! Certificates by the names they are for (CERTDIR): what a terminator keeps of thousands of key sets so that a session
//! finds its own by the name in the ClientHello. Everything lies in memory that forking does not copy.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::SslRef;
use openssl::x509::{X509, X509Ref};

use super::provider;
use crate::sys::shared::SharedBytes;

/// Collects the chains, each under the number of its key.
#[derive(Default)]
pub struct Collector {
    bytes: Vec<u8>,
    chains: Vec<Chain>,
    names: Vec<Name>,
    signers: HashMap<Vec<u8>, u64>,
}

/// A few signers vouch for thousands: so many are kept ready, which spares a session the reading of them.
const READY_SIGNERS: usize = 256;
/// Stands in the place of a certificate's length, with the number of a signer.
const SIGNER: u64 = 1 << 63;

/// The index over all of it.
pub struct NamedKeys {
    bytes: SharedBytes,
    chains: Vec<Chain>,
    /// In the order of their text; one text may stand there for several chains.
    names: Vec<Name>,
    signers: Vec<X509>,
}

#[derive(Debug, PartialEq, Eq)]
enum Certificate<'a> {
    Encoded(&'a [u8]),
    Signer(usize),
}

struct Chain {
    at: usize,
    length: usize,
    key: u16,
}

/// A name's text among the bytes. A wildcard stands there with its star.
#[derive(Clone, Copy)]
struct Name {
    at: usize,
    length: u8,
    chain: u16,
}

impl Collector {
    /// Takes a chain in DER. One without a name is never found.
    pub fn add(&mut self, key: u16, names: &[String], certificates: &[Vec<u8>]) {
        let Ok(chain) = u16::try_from(self.chains.len()) else {
            return;
        };
        for text in names {
            let Ok(length) = u8::try_from(text.len()) else {
                continue;
            };
            self.names.push(Name {
                at: self.bytes.len(),
                length,
                chain,
            });
            self.bytes.extend(text.as_bytes());
        }
        let at = self.bytes.len();
        for (place, der) in certificates.iter().enumerate() {
            match self.signer(place, der) {
                Some(number) => self.bytes.extend((SIGNER | number).to_be_bytes()),
                None => {
                    self.bytes.extend((der.len() as u64).to_be_bytes());
                    self.bytes.extend(der);
                }
            }
        }
        self.chains.push(Chain {
            at,
            length: self.bytes.len() - at,
            key,
        });
    }

    /// The number of a certificate that is no set's own.
    fn signer(&mut self, place: usize, der: &[u8]) -> Option<u64> {
        if place == 0 {
            return None;
        }
        let next = self.signers.len();
        match self.signers.get(der) {
            None if next < READY_SIGNERS => {
                self.signers.insert(der.to_owned(), next as u64);
                Some(next as u64)
            }
            found => found.copied(),
        }
    }

    pub fn finish(mut self) -> Result<NamedKeys, String> {
        let bytes = &self.bytes;
        self.names
            .sort_by_key(|name| (name.text(bytes), name.chain));
        let mut signers: Vec<_> = self.signers.into_iter().collect();
        signers.sort_by_key(|(_, number)| *number);
        let signers = signers.iter().map(|(der, _)| X509::from_der(der));
        Ok(NamedKeys {
            signers: signers
                .collect::<Result<_, _>>()
                .map_err(|stack| stack.to_string())?,
            bytes: SharedBytes::new(&self.bytes).map_err(|errno| errno.desc().to_owned())?,
            chains: self.chains,
            names: self.names,
        })
    }
}

impl Name {
    fn text(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.at..self.at + usize::from(self.length)]
    }
}

impl NamedKeys {
    /// The chains for a host: those in its own name, and if there are none those of a wildcard for one label.
    fn find(&self, host: &str) -> Vec<&Chain> {
        let exact = self.under(host.as_bytes());
        if !exact.is_empty() {
            return exact;
        }
        match host.split_once('.') {
            Some((label, parent)) if !label.is_empty() => {
                self.under(format!("*.{parent}").as_bytes())
            }
            _ => Vec::new(),
        }
    }

    fn under(&self, text: &[u8]) -> Vec<&Chain> {
        let first = self
            .names
            .partition_point(|name| name.text(&self.bytes) < text);
        let same = self.names[first..].iter();
        same.take_while(|name| name.text(&self.bytes) == text)
            .filter_map(|name| self.chains.get(usize::from(name.chain)))
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Gives a connection the certificates for the name that the client asks for, instead of those it has.
    /// `false`: nobody has that name.
    pub fn apply(&self, ssl: &mut SslRef, asked: &[u8]) -> Result<bool, ErrorStack> {
        let Some(host) = host_name(asked) else {
            return Ok(false);
        };
        let found = self.find(&host);
        if found.is_empty() {
            return Ok(false);
        }
        provider::clear_certificates(ssl);
        // Of two for the same kind of key the first counts, so it comes last.
        for chain in found.into_iter().rev() {
            let mut certificates = self.certificates(chain);
            let Some(Certificate::Encoded(leaf)) = certificates.next() else {
                continue;
            };
            let leaf = X509::from_der(leaf)?;
            provider::learn(chain.key, leaf.public_key()?);
            ssl.set_certificate(&leaf)?;
            for certificate in certificates {
                let signer = match certificate {
                    Certificate::Encoded(der) => X509::from_der(der)?,
                    Certificate::Signer(number) => match self.signers.get(number) {
                        Some(signer) => signer.clone(),
                        None => continue,
                    },
                };
                ssl.add_chain_cert(signer)?;
            }
            let key = provider::private_key(chain.key)?;
            ssl.set_private_key(&key)?;
        }
        Ok(true)
    }

    fn certificates(&self, chain: &Chain) -> impl Iterator<Item = Certificate<'_>> {
        let mut rest = &self.bytes[chain.at..chain.at + chain.length];
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

/// A host name from a ClientHello: lower case, without the dot at its end. `None` for what is none (RFC 6066, 3).
fn host_name(asked: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(asked).ok()?;
    let text = text.strip_suffix('.').unwrap_or(text);
    let plausible = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_host = !text.is_empty() && text.bytes().all(plausible);
    (is_host && text.parse::<std::net::IpAddr>().is_err()).then(|| text.to_ascii_lowercase())
}

/// Whether a certificate with these names is for the host that a client asks for.
pub fn covers(names: &[String], asked: &[u8]) -> bool {
    host_name(asked).is_some_and(|host| {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        let wild = |name: &str| parent.is_some() && name.strip_prefix("*.") == parent;
        let fits = |name: &String| *name == host || wild(name);
        names.iter().any(fits)
    })
}

/// The names that a certificate is for, in lower case: its alternative names, or the common name if it has none.
pub fn names_of(certificate: &X509Ref) -> Vec<String> {
    let alternatives = certificate.subject_alt_names();
    let hosts: Vec<String> = match &alternatives {
        Some(names) => names
            .iter()
            .filter_map(|name| name.dnsname().map(str::to_owned))
            .collect(),
        None => {
            let subject = certificate.subject_name();
            let common = subject.entries_by_nid(Nid::COMMONNAME).next();
            common
                .and_then(|entry| entry.data().to_string().ok())
                .into_iter()
                .collect()
        }
    };
    let plain = |name: String| name.trim_end_matches('.').to_ascii_lowercase();
    hosts.into_iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;

    use super::*;

    fn add(collector: &mut Collector, key: u16, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        collector.add(key, &names, &[vec![key as u8; 3]]);
    }

    fn keys(found: Vec<&Chain>) -> Vec<u16> {
        found.into_iter().map(|chain| chain.key).collect()
    }

    #[test]
    fn a_name_is_found_by_itself_before_a_wildcard() {
        let mut collector = Collector::default();
        add(&mut collector, 5, &["*.example.org"]);
        add(&mut collector, 6, &["mail.example.org", "example.org"]);
        add(&mut collector, 7, &["mail.example.org"]);
        let named = collector.finish().unwrap();
        assert_eq!(keys(named.find("mail.example.org")), [6, 7]);
        assert_eq!(keys(named.find("example.org")), [6]);
        assert_eq!(keys(named.find("www.example.org")), [5]);
        assert!(named.find("a.b.example.org").is_empty());
        assert!(named.find("org").is_empty());
        assert!(named.find(".example.org").is_empty());
    }

    #[test]
    fn what_is_no_host_name_is_nobodys() {
        for asked in [
            &b""[..],
            b".",
            b"192.0.2.1",
            b"[::1]",
            b"a b",
            b"\xff.org",
            b"x\0y",
        ] {
            assert_eq!(host_name(asked), None, "{asked:?}");
        }
        assert_eq!(
            host_name(b"Mail.EXAMPLE.org."),
            Some("mail.example.org".into())
        );
    }

    #[test]
    fn a_chain_comes_back_as_it_went_in() {
        let signer = certificate();
        let mut collector = Collector::default();
        for (number, name) in [(1, "a.example"), (2, "b.example")] {
            let chain = [vec![number as u8; 3], signer.clone()];
            collector.add(number, &[name.to_owned()], &chain);
        }
        let named = collector.finish().unwrap();
        for (number, name) in [(1, "a.example"), (2, "b.example")] {
            let found = named.find(name);
            let back: Vec<Certificate> = named.certificates(found[0]).collect();
            let leaf = [number; 3];
            assert_eq!(
                back,
                [Certificate::Encoded(&leaf[..]), Certificate::Signer(0)]
            );
        }
        assert_eq!(named.signers.len(), 1);
        assert_eq!(named.signers[0].to_der().unwrap(), signer);
    }

    fn certificate() -> Vec<u8> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut builder = X509::builder().unwrap();
        let (start, end) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
        builder.set_not_before(&start.unwrap()).unwrap();
        builder.set_not_after(&end.unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build().to_der().unwrap()
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = ["*.example.org".to_owned(), "example.net".to_owned()];
        for asked in ["a.example.org", "A.Example.ORG.", "example.net"] {
            assert!(covers(&names, asked.as_bytes()), "{asked}");
        }
        for asked in ["a.b.example.org", "example.org", "net", "127.0.0.1", ""] {
            assert!(!covers(&names, asked.as_bytes()), "{asked}");
        }
    }
}
