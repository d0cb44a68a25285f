//! The TLS settings that an administrator makes in the environment, read without touching OpenSSL.
#![forbid(unsafe_code)]

use std::fmt;

const DEFAULT_DEPTH: u32 = 1;
const MOST_DEPTH: u32 = 100;

/// A protocol version, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// What the library is told beside keys and certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// OpenSSL cipher list for TLS 1.2 and older.
    pub ciphers: Option<String>,
    /// Cipher suites of TLS 1.3.
    pub ciphersuites: Option<String>,
    /// Key exchange groups in order; one with `?` in front may be unknown to the library.
    pub groups: Option<String>,
    pub min: Version,
    /// `None`: up to what the library has.
    pub max: Option<Version>,
    /// Protocols that are offered inside TLS, the preferred one first, as they stand in a ClientHello (RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// Our order of ciphers counts, not the client's.
    pub server_order: bool,
    /// Clients get tickets, with which they come back without a full handshake.
    pub tickets: bool,
    /// A client that asks for a name which nobody has gets an alert.
    pub strict: bool,
    /// How many certificates may stand between a client's and one that we trust.
    pub verify_depth: u32,
}

/// A variable whose value means nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSetting {
    name: &'static str,
    value: String,
    wanted: &'static str,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadSetting {
            name,
            value,
            wanted,
        } = self;
        write!(f, "{name}: \"{value}\" is not {wanted}")
    }
}

impl Settings {
    /// Reads the settings through `get`, which answers a variable's value. An empty value counts as unset.
    pub fn from_environment(get: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Settings, BadSetting> {
        let text = |name| -> Result<Option<String>, BadSetting> {
            let Some(value) = get(name).filter(|value| !value.is_empty()) else {
                return Ok(None);
            };
            String::from_utf8(value)
                .map(Some)
                .map_err(|bad| BadSetting {
                    name,
                    value: bad.to_string(),
                    wanted: "plain text",
                })
        };
        let version = |name| -> Result<Option<Version>, BadSetting> {
            let Some(value) = text(name)? else {
                return Ok(None);
            };
            Version::parse(&value).map(Some).ok_or(BadSetting {
                name,
                value,
                wanted: "one of 1.0, 1.1, 1.2 and 1.3",
            })
        };
        let min = version("TLSMIN")?.unwrap_or(Version::Tls12);
        let max = version("TLSMAX")?;
        if max.is_some_and(|max| max < min) {
            return Err(BadSetting {
                name: "TLSMAX",
                value: text("TLSMAX")?.unwrap_or_default(),
                wanted: "as new as TLSMIN",
            });
        }
        let depth = text("VERIFYDEPTH")?;
        let verify_depth = match &depth {
            None => DEFAULT_DEPTH,
            Some(value) => value
                .parse()
                .ok()
                .filter(|depth| *depth <= MOST_DEPTH)
                .ok_or_else(|| BadSetting {
                    name: "VERIFYDEPTH",
                    value: value.clone(),
                    wanted: "a number from 0 to 100",
                })?,
        };
        let alpn = match text("ALPN")? {
            None => None,
            Some(value) => Some(protocols(&value).ok_or(BadSetting {
                name: "ALPN",
                value,
                wanted: "a list of names of 1 to 255 bytes with commas between them",
            })?),
        };
        let strict = match text("SNI_STRICT")?.as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => {
                return Err(BadSetting {
                    name: "SNI_STRICT",
                    value: other.to_owned(),
                    wanted: "0 or 1",
                });
            }
        };
        let tickets = match text("TICKETS")?.as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(other) => {
                return Err(BadSetting {
                    name: "TICKETS",
                    value: other.to_owned(),
                    wanted: "on or off",
                });
            }
        };
        Ok(Settings {
            server_order: false,
            tickets,
            strict,
            alpn,
            verify_depth,
            ciphers: text("CIPHERS")?,
            ciphersuites: text("CIPHERSUITES")?,
            groups: text("GROUPS")?,
            min,
            max,
        })
    }
}

/// `imap,http/1.1` with each name behind its length.
pub fn protocols(list: &str) -> Option<Vec<u8>> {
    let mut encoded = Vec::new();
    for name in list.split(',') {
        let length = u8::try_from(name.len()).ok().filter(|&length| length > 0)?;
        encoded.push(length);
        encoded.extend(name.as_bytes());
    }
    Some(encoded)
}

impl Version {
    /// The other way round from `as u8`.
    pub fn from_byte(byte: u8) -> Option<Version> {
        let all = [
            Version::Tls10,
            Version::Tls11,
            Version::Tls12,
            Version::Tls13,
        ];
        all.into_iter().find(|&version| version as u8 == byte)
    }

    fn parse(text: &str) -> Option<Version> {
        match text.strip_prefix("TLSv").unwrap_or(text) {
            "1" | "1.0" => Some(Version::Tls10),
            "1.1" => Some(Version::Tls11),
            "1.2" => Some(Version::Tls12),
            "1.3" => Some(Version::Tls13),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        Settings::from_environment(|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted)?;
            Some(found.1.as_bytes().to_vec())
        })
    }

    #[test]
    fn without_settings_tls_1_2_and_newer_are_spoken() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.min, settings.max), (Version::Tls12, None));
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        assert_eq!(read(&[("CIPHERS", ""), ("TLSMIN", "")]), read(&[]));
    }

    #[test]
    fn versions_are_taken_with_and_without_the_letters() {
        let settings = read(&[("TLSMIN", "TLSv1.3"), ("TLSMAX", "1.3")]).unwrap();
        assert_eq!(
            (settings.min, settings.max),
            (Version::Tls13, Some(Version::Tls13))
        );
    }

    #[test]
    fn a_maximum_below_the_minimum_is_refused() {
        let error = read(&[("TLSMIN", "1.3"), ("TLSMAX", "1.2")]).unwrap_err();
        assert_eq!(error.to_string(), "TLSMAX: \"1.2\" is not as new as TLSMIN");
    }

    #[test]
    fn protocols_are_written_as_in_a_client_hello() {
        let settings = read(&[("ALPN", "imap,http/1.1")]).unwrap();
        assert_eq!(settings.alpn.as_deref(), Some(&b"\x04imap\x08http/1.1"[..]));
        for bad in ["imap,,x", ",", &"x".repeat(256)] {
            assert!(read(&[("ALPN", bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_version_is_named() {
        let error = read(&[("TLSMIN", "2")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "TLSMIN: \"2\" is not one of 1.0, 1.1, 1.2 and 1.3"
        );
    }
}
