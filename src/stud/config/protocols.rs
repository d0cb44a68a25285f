//! Which versions of TLS are spoken: `tls`, `ssl` and `tls-protos`, three ways to say it.
#![forbid(unsafe_code)]

use super::values::{At, Value};
use crate::tls::settings::Version;

/// Oldest first, in OpenSSL's spelling as hitch has it.
const NAMES: [(&str, Version); 4] = [
    ("TLSv1.0", Version::Tls10),
    ("TLSv1.1", Version::Tls11),
    ("TLSv1.2", Version::Tls12),
    ("TLSv1.3", Version::Tls13),
];
/// Our library has it no more.
const GONE: &str = "SSLv3";
/// What is spoken if nothing else is said.
const USUAL: (Version, Version) = (Version::Tls12, Version::Tls13);

#[derive(Clone, Debug, Default)]
pub struct Protocols {
    /// Oldest and newest.
    range: Option<(Version, Version)>,
    /// The list had [`GONE`] in it.
    pub gone: bool,
    /// Which of the three was used, and where.
    by: Option<(&'static str, usize)>,
}

impl Protocols {
    pub fn usual() -> Protocols {
        Protocols {
            range: Some(USUAL),
            ..Protocols::default()
        }
    }

    /// The oldest, and the newest if it is not the library's newest.
    pub fn range(&self) -> (Version, Option<Version>) {
        let (min, max) = self.range.unwrap_or(USUAL);
        (min, Some(max).filter(|max| *max < Version::Tls13))
    }

    pub fn or(self, other: &Protocols) -> Protocols {
        match self.range {
            Some(_) => self,
            None => other.clone(),
        }
    }
}

impl Value for Protocols {
    fn set(&mut self, text: &str, at: &At) -> Result<(), String> {
        let (range, gone) = match at.name {
            "tls-protos" => listed(text)?,
            // Switched off, they have never had an effect.
            _ => {
                let mut on = false;
                on.set(text, at)?;
                if !on {
                    return Ok(());
                }
                ((Version::Tls10, Version::Tls13), false)
            }
        };
        match self.by {
            Some((other, source)) if source == at.source && other != at.name => {
                return Err(format!("and {other} exclude each other"));
            }
            _ => {}
        }
        *self = Protocols {
            range: Some(range),
            gone,
            by: Some((at.name, at.source)),
        };
        Ok(())
    }

    fn show(&self, name: &str) -> Option<String> {
        let (min, max) = self.range.filter(|_| name == "tls-protos")?;
        let spoken = NAMES
            .iter()
            .filter(|(_, version)| (min..=max).contains(version));
        Some(spoken.map(|(name, _)| *name).collect::<Vec<_>>().join(" "))
    }
}

/// The range of a list, and whether it has [`GONE`] in it. The library can leave out no version in the middle.
fn listed(text: &str) -> Result<((Version, Version), bool), String> {
    let words = text.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    let mut gone = false;
    let mut spoken = [false; NAMES.len()];
    for word in words {
        let place = NAMES.iter().position(|(name, _)| *name == word);
        match place {
            Some(place) => spoken[place] = true,
            None if word == GONE => gone = true,
            None => {
                return Err(format!(
                    "wants some of TLSv1.0, TLSv1.1, TLSv1.2 and TLSv1.3, not \"{word}\""
                ));
            }
        }
    }
    let first = spoken.iter().position(|on| *on);
    let last = spoken.iter().rposition(|on| *on);
    let (Some(first), Some(last)) = (first, last) else {
        return Err("wants one of TLSv1.0, TLSv1.1, TLSv1.2 and TLSv1.3 at least".into());
    };
    let from = if gone { 0 } else { first };
    match spoken[from..last].iter().position(|on| !on) {
        None => Ok(((NAMES[first].1, NAMES[last].1), gone)),
        Some(hole) => Err(format!(
            "wants versions without a gap: {} is missing",
            NAMES[from + hole].0
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn set(protocols: &mut Protocols, name: &'static str, text: &str) -> Result<(), String> {
        let at = At {
            directory: Path::new("/"),
            source: 0,
            name,
        };
        protocols.set(text, &at)
    }

    fn list(text: &str) -> Result<(Version, Option<Version>), String> {
        let mut protocols = Protocols::default();
        set(&mut protocols, "tls-protos", text).map(|()| protocols.range())
    }

    #[test]
    fn without_a_word_tls_1_2_and_1_3_are_spoken() {
        assert_eq!(Protocols::default().range(), (Version::Tls12, None));
    }

    #[test]
    fn a_list_is_the_range_that_it_spans_in_any_order() {
        assert_eq!(list("TLSv1.3 TLSv1.2"), Ok((Version::Tls12, None)));
        assert_eq!(list("TLSv1.2"), Ok((Version::Tls12, Some(Version::Tls12))));
        assert_eq!(
            list("TLSv1.0, TLSv1.1"),
            Ok((Version::Tls10, Some(Version::Tls11)))
        );
    }

    #[test]
    fn a_list_with_a_gap_names_the_missing_version() {
        assert_eq!(
            list("TLSv1.1 TLSv1.3").unwrap_err(),
            "wants versions without a gap: TLSv1.2 is missing"
        );
        assert_eq!(
            list("SSLv3 TLSv1.1").unwrap_err(),
            "wants versions without a gap: TLSv1.0 is missing"
        );
    }

    #[test]
    fn a_list_of_nothing_that_we_speak_is_refused() {
        for bad in ["", "SSLv3", "TLSv1.2 TLSv2", "tlsv1.2"] {
            assert!(list(bad).is_err(), "{bad}");
        }
        assert_eq!(
            list("SSLv3 TLSv1.0"),
            Ok((Version::Tls10, Some(Version::Tls10)))
        );
    }

    #[test]
    fn tls_and_ssl_are_everything_there_is_and_nothing_when_off() {
        for name in ["tls", "ssl"] {
            let mut protocols = Protocols::default();
            set(&mut protocols, name, "off").unwrap();
            assert_eq!(protocols.range(), (Version::Tls12, None));
            set(&mut protocols, name, "on").unwrap();
            assert_eq!(protocols.range(), (Version::Tls10, None));
        }
    }

    #[test]
    fn two_ways_to_say_it_in_one_place_exclude_each_other() {
        let mut protocols = Protocols::default();
        set(&mut protocols, "tls", "on").unwrap();
        let problem = set(&mut protocols, "ssl", "on").unwrap_err();
        assert_eq!(problem, "and tls exclude each other");
    }
}
