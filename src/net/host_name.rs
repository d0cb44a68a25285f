//! Host names in the one spelling that counts: lower case, A-labels, no dot at the end. What a client names, what a
//! directory is called and what DNS can hold is judged here, byte by byte, so that a wrong name is known at once.
#![forbid(unsafe_code)]

use std::fmt;

/// Without the dot at the end (RFC 1035).
pub const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Why bytes are no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHostName {
    Byte(u8),
    EmptyLabel,
    /// At the front of a label; at its end it may stand.
    Hyphen,
    LongLabel,
    LongName,
}

impl fmt::Display for NoHostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NoHostName::Byte(byte) => {
                write!(f, "'{}' in a host name", byte.escape_ascii())
            }
            NoHostName::EmptyLabel => write!(f, "nothing before, between or behind the dots"),
            NoHostName::Hyphen => write!(f, "a part begins with a hyphen"),
            NoHostName::LongLabel => write!(f, "a part is longer than {LONGEST_LABEL} bytes"),
            NoHostName::LongName => write!(f, "longer than {LONGEST} bytes"),
        }
    }
}

/// A name as it is read. It can never be empty, `.` or `..`, and never holds a `/`.
#[derive(Default)]
pub struct HostName {
    text: String,
    /// Bytes of the label that is being read.
    label: usize,
}

impl HostName {
    /// Goes on with the next byte; capitals are made small.
    pub fn push(&mut self, byte: u8) -> Result<(), NoHostName> {
        let byte = byte.to_ascii_lowercase();
        self.label = match byte {
            b'.' if self.label == 0 => return Err(NoHostName::EmptyLabel),
            b'.' => 0,
            b'-' if self.label == 0 => return Err(NoHostName::Hyphen),
            b'a'..=b'z' | b'0'..=b'9' | b'-' => self.label + 1,
            _ => return Err(NoHostName::Byte(byte)),
        };
        if self.label > LONGEST_LABEL {
            return Err(NoHostName::LongLabel);
        }
        if self.text.len() == LONGEST {
            return Err(NoHostName::LongName);
        }
        self.text.push(char::from(byte));
        Ok(())
    }

    /// The name, if it can end here.
    pub fn finish(self) -> Result<String, NoHostName> {
        match self.label {
            0 => Err(NoHostName::EmptyLabel),
            _ => Ok(self.text),
        }
    }

    /// Reads a whole name.
    pub fn parse(bytes: &[u8]) -> Result<String, NoHostName> {
        let mut name = HostName::default();
        bytes.iter().try_for_each(|&byte| name.push(byte))?;
        name.finish()
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_are_made_small_and_nothing_else_is_changed() {
        for (given, name) in [
            ("EXAMPLE.Com", "example.com"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("a-.b", "a-.b"),
            ("xn--SR8HVO.ws", "xn--sr8hvo.ws"),
        ] {
            assert_eq!(HostName::parse(given.as_bytes()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn no_byte_but_letters_digits_hyphens_and_dots_is_in_a_name() {
        for byte in 0..=255u8 {
            let fine = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
            assert_eq!(HostName::parse(&[b'a', byte, b'b']).is_ok(), fine, "{byte}");
        }
    }

    #[test]
    fn no_label_is_empty_or_begins_with_a_hyphen() {
        for bad in ["", ".", "..", ".a", "a.", "a..b"] {
            let verdict = HostName::parse(bad.as_bytes());
            assert_eq!(verdict, Err(NoHostName::EmptyLabel), "{bad}");
        }
        for bad in ["-a", "a.-b", "-"] {
            let verdict = HostName::parse(bad.as_bytes());
            assert_eq!(verdict, Err(NoHostName::Hyphen), "{bad}");
        }
    }

    #[test]
    fn labels_and_names_are_as_long_as_in_dns_and_no_longer() {
        let label = "a".repeat(63);
        let longest = [&label[..], &label, &label, &label[..61]].join(".");
        assert_eq!(longest.len(), 253);
        assert!(HostName::parse(longest.as_bytes()).is_ok());
        let longer = format!("{longest}a");
        assert_eq!(
            HostName::parse(longer.as_bytes()),
            Err(NoHostName::LongName)
        );
        let label = "a".repeat(64);
        assert_eq!(
            HostName::parse(label.as_bytes()),
            Err(NoHostName::LongLabel)
        );
    }
}
