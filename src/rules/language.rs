//! The rules language: one line in, the keys and the data of its records out.
//!
//! `ADDRESS:INSTRUCTION[,NAME=qVALUEq]...`, where q is any byte.

#![forbid(unsafe_code)]

use super::address::{self, Pointless};
use std::fmt;

/// Longer lines are refused.
pub const MAX_LINE: usize = 65536;

/// One line's records: the same data under each of the keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    pub keys: Vec<Vec<u8>>,
    pub data: Vec<u8>,
    /// Why no client can ever meet this rule, if that is so.
    pub pointless: Option<Pointless>,
}

/// Why a line is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    Line,
    PrefixLength,
    Ipv4Network,
    Ipv6Address,
    Ipv6Network,
}

/// Reads a line without its newline. `None`: a comment, or nothing.
pub fn parse(line: &[u8]) -> Result<Option<Rule>, Mistake> {
    let line = without_trailing_blanks(line);
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    // A NUL would end an item of the record early and begin another.
    if line.contains(&0) {
        return Err(Mistake::Line);
    }
    let before_variables = until(line, b',').map_or(line, |(before, _)| before);
    let colon = before_variables.iter().rposition(|byte| *byte == b':');
    let (address, instruction) = line.split_at(colon.ok_or(Mistake::Line)?);
    let data = parse_instruction(&instruction[1..])?;
    let (keys, pointless) = address::parse(address)?;
    Ok(Some(Rule {
        keys,
        data,
        pointless,
    }))
}

fn without_trailing_blanks(line: &[u8]) -> &[u8] {
    let last = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
    last.map_or(b"", |last| &line[..=last])
}

fn parse_instruction(text: &[u8]) -> Result<Vec<u8>, Mistake> {
    let (mut data, mut rest) = if let Some(rest) = text.strip_prefix(b"deny") {
        (b"D\0".to_vec(), rest)
    } else if let Some(rest) = text.strip_prefix(b"allow") {
        (Vec::new(), rest)
    } else {
        return Err(Mistake::Line);
    };
    while !rest.is_empty() {
        let variable = rest.strip_prefix(b",").ok_or(Mistake::Line)?;
        let (name, quoted) = until(variable, b'=').ok_or(Mistake::Line)?;
        let (quote, quoted) = quoted.split_first().ok_or(Mistake::Line)?;
        let (value, after) = until(quoted, *quote).ok_or(Mistake::Line)?;
        data.extend_from_slice(&[b"+", name, b"=", value, b"\0"].concat());
        rest = after;
    }
    Ok(data)
}

pub(super) fn until(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == mark)?;
    Some((&text[..at], &text[at + 1..]))
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mistake::Line => "unable to parse this line",
            Mistake::PrefixLength => "invalid prefix length on line",
            Mistake::Ipv4Network => "invalid IPv4 CIDR address on line",
            Mistake::Ipv6Address => "invalid IPv6 address on line",
            Mistake::Ipv6Network => "invalid IPv6 CIDR address on line",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(line: &str) -> Rule {
        parse(line.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn variables_may_hold_every_byte_but_their_quote() {
        assert_eq!(rule("1.2.3.4:deny").data, b"D\0");
        assert_eq!(rule(":allow").data, b"");
        assert_eq!(rule(":allow,X=/q r/,Y=\"\"").data, b"+X=q r\0+Y=\0");
        assert_eq!(rule("d.:deny,A=\"b\"").data, b"D\0+A=b\0");
        assert_eq!(rule(":allow,A=|,:'=\"|,=xvx").data, b"+A=,:'=\"\0+=v\0");
    }

    #[test]
    fn comments_and_blank_lines_are_no_rules_and_no_mistakes() {
        for line in ["", " \t ", "# 1.2.3.4:deny", "#"] {
            assert_eq!(parse(line.as_bytes()), Ok(None));
        }
        assert_eq!(rule("1.2.3.4:deny \t"), rule("1.2.3.4:deny"));
    }

    #[test]
    fn what_is_no_rule_is_said_to_be_none() {
        for (line, mistake) in [
            ("1.2.3.4", Mistake::Line),
            ("deny", Mistake::Line),
            ("1.2.3.4:Deny", Mistake::Line),
            ("1.2.3.4:denyx", Mistake::Line),
            ("1.2.3.4: deny", Mistake::Line),
            ("1.2.3.4:deny\r", Mistake::Line),
            (":allow,", Mistake::Line),
            (":allow,A", Mistake::Line),
            (":allow,A=", Mistake::Line),
            (":allow,A=\"b", Mistake::Line),
            (":allow,A=\"b\"c", Mistake::Line),
            (":allow,A=\"b\0D\"", Mistake::Line),
            ("foo-bar.example:deny", Mistake::Line),
            ("1.2.3.4-:deny", Mistake::Line),
            ("_0:deny", Mistake::Line),
            ("10.0.0.0/33:deny", Mistake::PrefixLength),
            ("10.0.0.0/+8:deny", Mistake::PrefixLength),
            ("10.0.0.0/:deny", Mistake::PrefixLength),
            ("::/129:deny", Mistake::PrefixLength),
            ("256.0.0.0/8:deny", Mistake::Ipv4Network),
            ("1.2.3.4./8:deny", Mistake::Ipv4Network),
            ("1.2.3.4.5/8:deny", Mistake::Ipv4Network),
            ("/8:deny", Mistake::Ipv4Network),
            ("[::1]:deny", Mistake::Ipv6Address),
            ("fe80::1%eth0:deny", Mistake::Ipv6Address),
            ("joe@::g:deny", Mistake::Ipv6Address),
            ("2001:db8:/32:deny", Mistake::Ipv6Network),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(mistake), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in any::<Vec<u8>>()) {
            let _ = parse(&line);
        }

        #[test]
        fn no_line_that_looks_like_a_rule_makes_it_panic(line in "[0-9a-f:./@=_^-]{0,20}:(allow|deny)(,[A-Z]=\"[^\"]?\"?)?") {
            let _ = parse(line.as_bytes());
        }
    }
}
