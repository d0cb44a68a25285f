//! Which directory belongs to a host name: the one rule of the router and of `sniproxy-hostname`.
//!
//! Each name has one spelling, so that no two people can register the same one: the one that UTS 46 gives. What clients
//! send is refused if it is another.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::blake2s;
use crate::net::host_name::{HostName, NoHostName};

/// What labels of other letters than ASCII's begin with.
const ENCODED: &str = "xn--";
/// A file in the hosts directory that switches hashed names on.
const SWITCH: &str = ".hashed";

/// Why something is not the name of a host.
#[derive(Debug, PartialEq, Eq)]
pub enum BadName {
    Illegal(NoHostName),
    /// UTS 46 refuses it: letters that cannot be in a name, or not in this order, or wrong Punycode.
    Unmappable,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadName::Illegal(why) => why.fmt(f),
            BadName::Unmappable => f.write_str("letters that no host name has (UTS 46)"),
        }
    }
}

/// The one spelling of a name in whatever form a person or a browser has it.
pub fn spell(name: &[u8]) -> Result<String, BadName> {
    // Lengths, empty labels and hyphens are judged behind it, by the rule that holds for clients too.
    let mapped =
        Uts46::new().to_ascii(name, AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Ignore);
    let spelled = match &mapped {
        Ok(ascii) => ascii.as_bytes(),
        Err(_) => name,
    };
    let spelled = spelled.strip_suffix(b".").unwrap_or(spelled);
    // A name of ASCII that is refused has a reason that can be told.
    let legal = HostName::parse(spelled);
    match mapped {
        Err(_) if !name.is_ascii() => Err(BadName::Unmappable),
        Err(_) => Err(legal.map_or_else(BadName::Illegal, |_| BadName::Unmappable)),
        Ok(_) => legal.map_err(BadName::Illegal),
    }
}

/// How directories are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    Plain,
    /// Like base64url of BLAKE2s-256 of the name, which hides the names from who may read the hosts directory.
    Hashed,
}

impl Naming {
    /// Hashed if the current directory has the file `.hashed`. Where everybody may register a name, nobody but the
    /// directory's owner and root may switch all names.
    pub fn of_current_directory() -> io::Result<Naming> {
        let switch = match fs::symlink_metadata(SWITCH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Naming::Plain),
            other => other?,
        };
        let owner = fs::metadata(".")?.uid();
        match switch.uid() == owner || switch.uid() == 0 {
            true => Ok(Naming::Hashed),
            false => Ok(Naming::Plain),
        }
    }

    /// The directory of a name that is spelled as [`spell`] does.
    pub fn directory(self, name: &str) -> String {
        match self {
            Naming::Plain => name.to_owned(),
            Naming::Hashed => base64url(&blake2s::digest(name.as_bytes())),
        }
    }
}

/// True if this legal name is spelled as [`spell`] does. Only Punycode can be wrong in it.
pub fn is_spelled_right(name: &str) -> bool {
    let encoded = name.split('.').any(|label| label.starts_with(ENCODED));
    !encoded || spell(name.as_bytes()).as_deref() == Ok(name)
}

/// RFC 4648, 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut value = 0u32;
        for index in 0..3 {
            value = value << 8 | u32::from(group.get(index).copied().unwrap_or(0));
        }
        for index in 0..=group.len() {
            let letter = value >> (18 - 6 * index) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests;
