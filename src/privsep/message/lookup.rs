//! What the lookup process is asked, and what it answers.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::{MAX_TEXT, clip};
use crate::net::proxy_header::Announced;
use crate::privsep::channel::{Message, Reader, Writer};

/// A name of 255 bytes, nearly all of them escaped.
pub const MAX_NAME: usize = 1024;
/// What an IDENT server says of its user.
pub const MAX_INFO: usize = 257;

/// What a connection wants to be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `-h`: the client's name.
    pub remote_name: bool,
    /// `-p`: and only if the client's address is one of that name's.
    pub paranoid: bool,
    /// `-r`: the client's user, by IDENT.
    pub remote_info: bool,
    /// Without `-l`: our name.
    pub local_name: bool,
    /// The connection begins with a PROXY header. What it announces takes the place of the addresses below.
    pub proxy_header: bool,
}

/// Listener to lookup: a question; with one descriptor, the client's socket, if there is a PROXY header to read.
#[derive(Clone, Copy, Debug)]
pub struct ToLookup {
    /// Comes back with the answer.
    pub number: u64,
    pub wanted: Wanted,
    /// IPv4 as IPv4.
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

impl Message for ToLookup {
    const MAX: usize = 64;

    fn encode(&self, out: &mut Writer) {
        let wanted = self.wanted;
        let flags = [
            wanted.remote_name,
            wanted.paranoid,
            wanted.remote_info,
            wanted.local_name,
            wanted.proxy_header,
        ];
        out.long(self.number);
        for flag in flags {
            out.byte(flag.into());
        }
        put_address(out, self.local);
        put_address(out, self.remote);
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let number = input.long()?;
        let mut flag = || match input.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        Some(ToLookup {
            number,
            wanted: Wanted {
                remote_name: flag()?,
                paranoid: flag()?,
                remote_info: flag()?,
                local_name: flag()?,
                proxy_header: flag()?,
            },
            local: address(input)?,
            remote: address(input)?,
        })
    }
}

/// Lookup to listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLookup {
    Ready,
    /// The process cannot work; it leaves.
    Fatal(String),
    Answer {
        number: u64,
        answer: Answer,
    },
}

/// What could be found out in time. A name consists of lower-case letters, digits, hyphens, underscores, dots, and
/// backslashes each with three octal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the PROXY header said, or why the connection must be given up. Without a header: nothing.
    pub announced: Result<Announced, String>,
    pub remote_name: Option<String>,
    pub remote_info: Option<Vec<u8>>,
    pub local_name: Option<String>,
}

impl Answer {
    /// Nothing is known.
    pub fn nothing() -> Answer {
        Answer {
            announced: Ok(Announced::Nothing),
            remote_name: None,
            remote_info: None,
            local_name: None,
        }
    }

    /// The connection is not to be served.
    pub fn refusal(reason: String) -> Answer {
        Answer {
            announced: Err(reason),
            ..Answer::nothing()
        }
    }
}

impl Message for FromLookup {
    const MAX: usize = 128 + MAX_TEXT + 2 * MAX_NAME + MAX_INFO;

    fn encode(&self, out: &mut Writer) {
        match self {
            FromLookup::Ready => out.byte(b'R'),
            FromLookup::Fatal(text) => {
                out.byte(b'F');
                out.string(clip(text));
            }
            FromLookup::Answer { number, answer } => {
                out.byte(b'A');
                out.long(*number);
                match &answer.announced {
                    Ok(Announced::Nothing) => out.byte(b'N'),
                    Ok(Announced::Ends { remote, local }) => {
                        out.byte(b'E');
                        put_address(out, *remote);
                        put_address(out, *local);
                    }
                    Err(reason) => {
                        out.byte(b'X');
                        out.string(clip(reason));
                    }
                }
                // None of the three is ever empty.
                out.string(answer.remote_name.as_deref().unwrap_or("").as_bytes());
                out.string(answer.remote_info.as_deref().unwrap_or_default());
                out.string(answer.local_name.as_deref().unwrap_or("").as_bytes());
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'R' => Some(FromLookup::Ready),
            b'F' => Some(FromLookup::Fatal(input.text()?)),
            b'A' => Some(FromLookup::Answer {
                number: input.long()?,
                answer: Answer {
                    announced: match input.byte()? {
                        b'N' => Ok(Announced::Nothing),
                        b'E' => Ok(Announced::Ends {
                            remote: address(input)?,
                            local: address(input)?,
                        }),
                        b'X' => Err(input.text()?),
                        _ => return None,
                    },
                    remote_name: name(input)?,
                    remote_info: info(input)?,
                    local_name: name(input)?,
                },
            }),
            _ => None,
        }
    }
}

/// The listener need not trust that names were cleaned.
fn name(input: &mut Reader<'_>) -> Option<Option<String>> {
    let bytes = input.string()?;
    let clean = |&byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'\\');
    if bytes.len() > MAX_NAME || !bytes.iter().all(clean) {
        return None;
    }
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    Some(Some(text).filter(|text| !text.is_empty()))
}

fn info(input: &mut Reader<'_>) -> Option<Option<Vec<u8>>> {
    let bytes = input.string()?;
    if bytes.len() > MAX_INFO || bytes.iter().any(|byte| matches!(byte, 0 | b'\n')) {
        return None;
    }
    Some(Some(bytes.to_vec()).filter(|bytes| !bytes.is_empty()))
}

pub(super) fn put_address(out: &mut Writer, address: SocketAddr) {
    match address {
        SocketAddr::V4(address) => {
            out.byte(4);
            out.word(address.ip().to_bits());
        }
        SocketAddr::V6(address) => {
            let bits = address.ip().to_bits();
            out.byte(6);
            out.long((bits >> 64) as u64);
            out.long(bits as u64);
            out.word(address.scope_id());
        }
    }
    out.short(address.port());
}

pub(super) fn address(input: &mut Reader<'_>) -> Option<SocketAddr> {
    match input.byte()? {
        4 => {
            let ip = IpAddr::from(Ipv4Addr::from_bits(input.word()?));
            Some(SocketAddr::new(ip, input.short()?))
        }
        6 => {
            let bits = u128::from(input.long()?) << 64 | u128::from(input.long()?);
            let scope = input.word()?;
            let ip = Ipv6Addr::from_bits(bits);
            Some(SocketAddrV6::new(ip, input.short()?, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ends = (
        crate::privsep::message::ListenerToLookup,
        crate::privsep::message::LookupToListener,
    );

    fn pair() -> Ends {
        crate::privsep::message::ListenerToLookup::pair().unwrap()
    }

    #[test]
    fn a_question_arrives_as_it_was_asked() {
        let (listener, lookup) = pair();
        let question = ToLookup {
            number: u64::MAX - 1,
            wanted: Wanted {
                paranoid: true,
                proxy_header: true,
                ..Wanted::default()
            },
            local: "192.0.2.1:443".parse().unwrap(),
            remote: "[fe80::1%7]:52100".parse().unwrap(),
        };
        listener.send(&question, &[]).unwrap();
        let (got, _) = lookup.receive().unwrap();
        assert_eq!(got.number, question.number);
        assert_eq!(got.wanted, question.wanted);
        assert_eq!((got.local, got.remote), (question.local, question.remote));
    }

    #[test]
    fn an_answer_arrives_as_it_was_given() {
        let (listener, lookup) = pair();
        let ends = Announced::Ends {
            remote: "[2001:db8::1]:1".parse().unwrap(),
            local: "192.0.2.1:443".parse().unwrap(),
        };
        let full = Answer {
            announced: Ok(ends),
            remote_name: Some("n".repeat(MAX_NAME)),
            remote_info: Some(vec![0xff; MAX_INFO]),
            local_name: Some("a\\001b-_.9".into()),
        };
        for answer in [full, Answer::nothing(), Answer::refusal("no".into())] {
            let message = FromLookup::Answer { number: 7, answer };
            lookup.send(&message, &[]).unwrap();
            assert_eq!(listener.receive().unwrap().0, message);
        }
    }

    #[test]
    fn a_name_that_was_not_cleaned_ends_the_channel() {
        for name in ["A", "a b", "a\nb", "\u{e4}", &"n".repeat(MAX_NAME + 1)] {
            let (listener, lookup) = pair();
            let answer = Answer {
                remote_name: Some(name.into()),
                ..Answer::nothing()
            };
            let message = FromLookup::Answer { number: 7, answer };
            lookup.send(&message, &[]).unwrap();
            assert!(listener.receive().is_err(), "{name}");
        }
    }
}
