//! Certificates by the names they are for: which of a catalogue's chains a frontend offers to a client that asks for a
//! name, and what such a client has to show.
#![forbid(unsafe_code)]

use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::x509::X509Ref;

use super::catalogue::{Catalogue, Place};
use super::gate::Gate;
use super::identity::Identity;

/// Which of several chains for a name count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those in the very name, and only if there are none those of a wildcard.
    ExactFirst,
    /// The one listed first, exact or wildcard, and others as far as they have other kinds of keys.
    AsListed,
}

/// More chains for one name, of three kinds of keys, are not looked at.
const MOST_ALIKE: usize = 16;

/// A frontend's chains by name.
pub struct Index {
    catalogue: Arc<Catalogue>,
    order: Order,
    /// In the order in which they count.
    listed: Vec<(Place, Arc<Gate>)>,
    /// In the order of their text, and of those who have the same in the order in which they count.
    names: Vec<Name>,
}

/// A name's text among the catalogue's bytes. A wildcard stands there with its star.
struct Name {
    at: u32,
    length: u8,
    /// Among those listed.
    rank: u16,
}

/// What a name was found to stand for.
pub struct Found<'a> {
    /// One for each kind of key.
    pub identities: Vec<(Place, Arc<Identity>)>,
    pub gate: &'a Arc<Gate>,
}

impl Index {
    /// `listed` says which chains there are, the first one first, and what clients of their names have to show.
    pub fn new(
        catalogue: Arc<Catalogue>,
        order: Order,
        listed: Vec<(Place, Arc<Gate>)>,
    ) -> Result<Index, String> {
        let mut names = Vec::new();
        for (rank, (place, _)) in listed.iter().enumerate() {
            let rank = u16::try_from(rank).map_err(|_| "more than 65536 certificates")?;
            for name in catalogue.names(*place) {
                names.push(Name {
                    at: u32::try_from(name.start).map_err(|_| "more than 4 GB of certificates")?,
                    // As the catalogue has it.
                    length: name.len() as u8,
                    rank,
                });
            }
        }
        names.sort_by(|one, other| {
            let texts = one.text(&catalogue).cmp(other.text(&catalogue));
            texts.then(one.rank.cmp(&other.rank))
        });
        names.shrink_to_fit();
        Ok(Index {
            catalogue,
            order,
            listed,
            names,
        })
    }

    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Whether somebody has this name.
    pub fn has(&self, host: &str) -> bool {
        !self.ranks(host).is_empty()
    }

    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.listed.iter().map(|(place, _)| *place)
    }

    /// The chains to offer under this name, in lower case and without a dot at its end.
    pub fn find(&self, host: &str) -> Result<Option<Found<'_>>, ErrorStack> {
        let mut found: Option<Found> = None;
        for rank in self.ranks(host) {
            let Some((place, gate)) = self.listed.get(usize::from(rank)) else {
                continue;
            };
            let identity = self.catalogue.identity(*place)?;
            match &mut found {
                None => {
                    found = Some(Found {
                        identities: vec![(*place, identity)],
                        gate,
                    });
                }
                // Nobody shall get round a check by his choice of a signature.
                Some(found) => {
                    let mut kinds = found.identities.iter().map(|(_, one)| one.kind());
                    let is_new = kinds.all(|kind| kind != identity.kind());
                    if is_new && found.gate.id() == gate.id() {
                        found.identities.push((*place, identity));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Who counts under a name, the first one first.
    fn ranks(&self, host: &str) -> Vec<u16> {
        let mut ranks = self.under(host.as_bytes());
        if ranks.is_empty() || self.order == Order::AsListed {
            let parts = host.split_once('.').filter(|(label, _)| !label.is_empty());
            if let Some((_, parent)) = parts {
                ranks.extend(self.under(format!("*.{parent}").as_bytes()));
                ranks.sort_unstable();
                // A certificate may have both.
                ranks.dedup();
            }
        }
        ranks.truncate(MOST_ALIKE);
        ranks
    }

    fn under(&self, text: &[u8]) -> Vec<u16> {
        let first = self
            .names
            .partition_point(|name| name.text(&self.catalogue) < text);
        let same = self.names[first..].iter();
        same.take_while(|name| name.text(&self.catalogue) == text)
            .take(MOST_ALIKE)
            .map(|name| name.rank)
            .collect()
    }
}

impl Name {
    fn text<'a>(&self, catalogue: &'a Catalogue) -> &'a [u8] {
        let start = self.at as usize;
        catalogue.text(start..start + usize::from(self.length))
    }
}

/// A host name from a ClientHello: lower case, without the dot at its end. `None` for what is none (RFC 6066, 3).
pub fn host_name(asked: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(asked).ok()?;
    let text = text.strip_suffix('.').unwrap_or(text);
    let plausible = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_host = !text.is_empty() && text.bytes().all(plausible);
    (is_host && text.parse::<std::net::IpAddr>().is_err()).then(|| text.to_ascii_lowercase())
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
    use super::*;
    use crate::tls::catalogue::Collector;
    use crate::tls::client::Demand;
    use crate::tls::rig::{Made, add, make, make_ed25519};

    /// An index of these, in the order in which they are listed.
    fn index(order: Order, listed: &[(&Made, &[&str])]) -> Index {
        let gate = Arc::new(Gate::open().unwrap());
        let mut collector = Collector::default();
        let places = listed
            .iter()
            .map(|(made, names)| (add(&mut collector, made, names), gate.clone()))
            .collect();
        Index::new(Arc::new(collector.finish().unwrap()), order, places).unwrap()
    }

    fn found(index: &Index, host: &str) -> Vec<Place> {
        let found = index.find(host).unwrap();
        found.map_or(Vec::new(), |found| {
            found.identities.iter().map(|(place, _)| *place).collect()
        })
    }

    #[test]
    fn a_name_is_found_by_itself_before_a_wildcard() {
        let (one, other) = (make("one"), make_ed25519("other"));
        let listed = [
            (&one, &["*.example.org"][..]),
            (&one, &["mail.example.org", "example.org"]),
            (&other, &["mail.example.org"]),
            (&one, &["mail.example.org"]),
        ];
        let index = index(Order::ExactFirst, &listed);
        assert_eq!(found(&index, "mail.example.org"), [1, 2]);
        assert_eq!(found(&index, "example.org"), [1]);
        assert_eq!(found(&index, "www.example.org"), [0]);
        for host in [
            "a.b.example.org",
            "org",
            ".example.org",
            "a.www.example.org",
        ] {
            assert!(found(&index, host).is_empty(), "{host}");
            assert!(!index.has(host), "{host}");
        }
    }

    #[test]
    fn as_listed_the_first_one_counts_whether_exact_or_wildcard() {
        let (one, other) = (make("one"), make_ed25519("other"));
        let listed = [
            (&one, &["*.example.org", "mail.example.org"][..]),
            (&one, &["mail.example.org"]),
            (&other, &["www.example.org", "mail.example.org"]),
            (&other, &["*.example.org"]),
        ];
        let index = index(Order::AsListed, &listed);
        assert_eq!(found(&index, "mail.example.org"), [0, 2]);
        assert_eq!(found(&index, "www.example.org"), [0, 2]);
        assert_eq!(found(&index, "ftp.example.org"), [0, 3]);
        assert!(found(&index, "example.org").is_empty());
    }

    #[test]
    fn what_demands_something_else_is_not_offered_beside_the_first() {
        let (one, other) = (make("one"), make_ed25519("other"));
        let mut collector = Collector::default();
        let places = [
            add(&mut collector, &one, &["a"]),
            add(&mut collector, &other, &["a"]),
        ];
        let shut = Gate::new(Demand::Valid, &[one.certificate], &[], &[]).unwrap();
        let gates = [shut, Gate::open().unwrap()].map(Arc::new);
        let listed = places.into_iter().zip(gates).collect();
        let catalogue = Arc::new(collector.finish().unwrap());
        let index = Index::new(catalogue, Order::AsListed, listed).unwrap();
        assert_eq!(found(&index, "a"), [0]);
        assert_eq!(
            index.find("a").unwrap().unwrap().gate.demand(),
            Demand::Valid
        );
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
    fn a_certificate_without_any_name_is_nobodys() {
        let nameless = make("one");
        let index = index(Order::AsListed, &[(&nameless, &[]), (&nameless, &[""])]);
        for host in ["one", "", "a.b"] {
            assert!(found(&index, host).is_empty(), "{host}");
        }
    }
}
