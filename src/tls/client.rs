//! Client certificates: who is asked for one, and whether its names are those of the client.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::path::PathBuf;

use openssl::nid::Nid;
use openssl::x509::X509Ref;

/// What clients have to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing (`-Z`).
    Nothing,
    /// A valid certificate or none.
    Optional,
    /// A valid certificate (`-m`).
    Valid,
    /// A valid certificate in the client's own name (`-z`).
    Named,
}

impl Demand {
    /// The other way round from `as u8`.
    pub fn from_byte(byte: u8) -> Option<Demand> {
        let all = [
            Demand::Nothing,
            Demand::Optional,
            Demand::Valid,
            Demand::Named,
        ];
        all.into_iter().find(|&demand| demand as u8 == byte)
    }
}

/// Where it is written whom we trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustFiles {
    /// CAFILE and CADIR: certificates that a client's may be traced back to.
    pub anchors: Vec<PathBuf>,
    pub anchor_folders: Vec<PathBuf>,
    /// CCAFILE and CCADIR: whose names the client is told.
    pub names: Vec<PathBuf>,
    pub name_folders: Vec<PathBuf>,
    /// CRLFILE
    pub revoked: Vec<PathBuf>,
}

/// The names of a certificate do not fit its owner.
#[derive(Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Nobody knows a name of the client.
    NoHost,
    /// The certificate's first name, for the log.
    Other(String),
}

/// Compares a certificate with what is known of its owner: alternative names for hosts, of which a wildcard covers one
/// label, and for addresses; the common name only where there is no alternative name at all (RFC 6125).
pub fn check_names(certificate: &X509Ref, host: Option<&str>, ip: IpAddr) -> Result<(), Mismatch> {
    let mut hosts = Vec::new();
    let names = certificate.subject_alt_names();
    for name in names.iter().flatten() {
        let address: Option<IpAddr> = name.ipaddress().and_then(|bytes| match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        });
        if address.is_some_and(|address| address.to_canonical() == ip) {
            return Ok(());
        }
        hosts.extend(name.dnsname().map(str::to_owned));
    }
    if names.is_none() {
        let subject = certificate.subject_name();
        let common = subject.entries_by_nid(Nid::COMMONNAME).next();
        hosts.extend(common.and_then(|entry| entry.data().to_string().ok()));
    }
    let host = host.ok_or(Mismatch::NoHost)?;
    match hosts.iter().any(|name| covers(name, host)) {
        true => Ok(()),
        false => Err(Mismatch::Other(
            hosts.into_iter().next().unwrap_or_default(),
        )),
    }
}

/// Whether a certificate's name, which may begin with a wildcard for one label, means this host.
fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.trim_end_matches('.'), host.trim_end_matches('.'));
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| {
            !label.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent)
        }),
        None => !name.is_empty() && name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_itself_in_any_case() {
        assert!(covers("Mail.Example.org", "mail.example.ORG"));
        assert!(covers("mail.example.org.", "mail.example.org"));
        assert!(!covers("mail.example.org", "example.org"));
        assert!(!covers("", ""));
    }

    #[test]
    fn a_wildcard_covers_one_label_and_no_top_level() {
        assert!(covers("*.example.org", "mail.example.org"));
        assert!(!covers("*.example.org", "example.org"));
        assert!(!covers("*.example.org", "a.b.example.org"));
        assert!(!covers("*.example.org", ".example.org"));
        assert!(!covers("*.org", "example.org"));
        assert!(!covers("m*.example.org", "mail.example.org"));
    }
}
