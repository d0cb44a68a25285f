//! The server name in a ClientHello, read from the bytes of a connection as they come, without OpenSSL.
//!
//! Records and the handshake message in them (RFC 8446, 4.1.2 and 5.1) may be cut anywhere. What is not needed is passed
//! over uncopied, and nothing behind the last byte of the name is looked at: who decides by the name alone need not wait
//! for the rest, which belongs to the server that the name leads to.
#![forbid(unsafe_code)]

use std::fmt;

use crate::net::host_name::{HostName, LONGEST};

/// A record's content type and a message's type that are wanted.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// The longest plaintext of a record (RFC 8446, 5.1).
const LONGEST_RECORD: usize = 1 << 14;
/// Version and random, which open the message.
const OPENING: usize = 2 + 32;
/// The extension `server_name` and its one kind of name (RFC 6066, 3).
const SERVER_NAME: usize = 0;
const HOST_NAME: u8 = 0;

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    NeedMore,
    /// The name, a legal one in lower case.
    Name(String),
    Refused(Refusal),
}

/// Why there is no name and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something else than a ClientHello in TLS records: plain HTTP, SSLv2, another message.
    Foreign,
    RecordTooLong,
    /// Lengths that contradict each other, or an end before the name.
    Malformed,
    NoName,
    IllegalName,
}

impl Refusal {
    /// What the client is told.
    pub fn alert(self) -> Alert {
        match self {
            Refusal::Foreign => Alert::UnexpectedMessage,
            Refusal::RecordTooLong => Alert::RecordOverflow,
            Refusal::Malformed => Alert::DecodeError,
            Refusal::NoName | Refusal::IllegalName => Alert::UnrecognizedName,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Foreign => "no ClientHello",
            Refusal::RecordTooLong => "record too long",
            Refusal::Malformed => "malformed ClientHello",
            Refusal::NoName => "no server name",
            Refusal::IllegalName => "illegal server name",
        })
    }
}

/// Alerts (RFC 8446, 6.2) that somebody without keys has reason to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    UnexpectedMessage = 10,
    RecordOverflow = 22,
    DecodeError = 50,
    InternalError = 80,
    UserCanceled = 90,
    UnrecognizedName = 112,
}

impl Alert {
    /// The whole record: alert, version 3.3, two bytes, fatal.
    pub fn record(self) -> [u8; 7] {
        [21, 3, 3, 0, 2, 2, self as u8]
    }
}

/// Reads one ClientHello up to the server name. After another verdict than [`Verdict::NeedMore`] it is done.
#[derive(Default)]
pub struct ClientHello {
    records: Records,
    message: Message,
}

impl ClientHello {
    /// Goes on with the bytes that come next.
    pub fn feed(&mut self, bytes: &[u8]) -> Verdict {
        match self.read(bytes) {
            Ok(None) => Verdict::NeedMore,
            Ok(Some(name)) => Verdict::Name(name),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<Option<String>, Refusal> {
        while let Some(fragment) = self.records.fragment(&mut bytes)? {
            let name = self.message.read(fragment)?;
            if name.is_some() {
                return Ok(name);
            }
        }
        Ok(None)
    }
}

/// Takes the record layer off.
#[derive(Default)]
struct Records {
    header: Field,
    /// Bytes of the current record that have not come yet.
    left: usize,
}

impl Records {
    /// The next piece of a message, taken off the front of `bytes`; `None` when there are too few.
    fn fragment<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Refusal> {
        if self.left == 0 {
            let Some([.., kind, _, _, high, low]) = self.header.fill(bytes, 5) else {
                return Ok(None);
            };
            self.left = number(&[high, low]);
            match self.left {
                _ if kind != HANDSHAKE => return Err(Refusal::Foreign),
                0 => return Err(Refusal::Malformed),
                1..=LONGEST_RECORD => {}
                _ => return Err(Refusal::RecordTooLong),
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let fragment = take(bytes, self.left);
        self.left -= fragment.len();
        Ok(Some(fragment))
    }
}

/// The handshake message: fields of up to four bytes, and between them what is passed over.
#[derive(Default)]
struct Message {
    step: Step,
    /// Bytes to pass over before the field of this step.
    skip: usize,
    field: Field,
    /// Bytes of the message that no field has claimed yet.
    budget: usize,
    /// The same of the list of names.
    list: usize,
    name: HostName,
}

/// What is read next.
#[derive(Clone, Copy, Default)]
enum Step {
    #[default]
    Type,
    Length,
    SessionId,
    CipherSuites,
    Compressions,
    Extensions,
    Extension,
    Names,
    Entry,
    /// A name of this many bytes.
    Name(usize),
}

impl Message {
    /// Goes on with the next piece; answers the name as soon as its last byte is there.
    fn read(&mut self, mut bytes: &[u8]) -> Result<Option<String>, Refusal> {
        loop {
            self.skip -= take(&mut bytes, self.skip).len();
            if self.skip > 0 {
                return Ok(None);
            }
            if let Step::Name(length) = self.step {
                return self.read_name(bytes, length);
            }
            let size = self.size_of_field()?;
            let Some(field) = self.field.fill(&mut bytes, size) else {
                return Ok(None);
            };
            self.step(field)?;
        }
    }

    /// How long the field of this step is, if there is still one and there is room for it.
    fn size_of_field(&self) -> Result<usize, Refusal> {
        let (size, room) = match self.step {
            Step::Type => return Ok(1),
            Step::Length => return Ok(3),
            Step::SessionId | Step::Compressions => (1, self.budget),
            Step::CipherSuites => (2, self.budget),
            Step::Extensions | Step::Extension if self.budget == 0 => return Err(Refusal::NoName),
            Step::Extensions => (2, self.budget),
            Step::Extension => (4, self.budget),
            Step::Names => (2, self.list),
            Step::Entry if self.list == 0 => return Err(Refusal::NoName),
            Step::Entry => (3, self.list),
            Step::Name(_) => (0, 0),
        };
        match size <= room {
            true => Ok(size),
            false => Err(Refusal::Malformed),
        }
    }

    /// Takes in the field of this step, which is right-aligned.
    fn step(&mut self, field: [u8; 8]) -> Result<(), Refusal> {
        let [.., first, second, high, low] = field;
        let value = number(&field);
        self.step = match self.step {
            Step::Type if low != CLIENT_HELLO => return Err(Refusal::Foreign),
            Step::Type => Step::Length,
            Step::Length => {
                self.budget = value;
                self.pass(0, OPENING, Step::SessionId)?
            }
            Step::SessionId => self.pass(1, value, Step::CipherSuites)?,
            Step::CipherSuites => self.pass(2, value, Step::Compressions)?,
            Step::Compressions => self.pass(1, value, Step::Extensions)?,
            Step::Extensions => {
                self.budget -= 2;
                if value != self.budget {
                    return Err(Refusal::Malformed);
                }
                Step::Extension
            }
            Step::Extension => {
                let length = number(&[high, low]);
                if number(&[first, second]) != SERVER_NAME {
                    self.pass(4, length, Step::Extension)?
                } else {
                    self.budget = claim(self.budget, 4 + length)?;
                    self.list = length;
                    Step::Names
                }
            }
            Step::Names => {
                self.list -= 2;
                if value != self.list {
                    return Err(Refusal::Malformed);
                }
                Step::Entry
            }
            Step::Entry => {
                let length = number(&[high, low]);
                self.list = claim(self.list, 3 + length)?;
                match (second, length) {
                    (HOST_NAME, 1..=LONGEST) => Step::Name(length),
                    (HOST_NAME, _) => return Err(Refusal::IllegalName),
                    _ => {
                        self.skip = length;
                        Step::Entry
                    }
                }
            }
            // It has no field: `read` goes another way.
            Step::Name(_) => self.step,
        };
        Ok(())
    }

    /// Claims a field and what it announces, passes over the latter and goes on to the next step.
    fn pass(&mut self, field: usize, content: usize, next: Step) -> Result<Step, Refusal> {
        self.budget = claim(self.budget, field + content)?;
        self.skip = content;
        Ok(next)
    }

    fn read_name(&mut self, bytes: &[u8], length: usize) -> Result<Option<String>, Refusal> {
        let missing = length - self.name.len();
        for &byte in bytes.iter().take(missing) {
            self.name.push(byte).map_err(|_| Refusal::IllegalName)?;
        }
        if self.name.len() < length {
            return Ok(None);
        }
        let name = std::mem::take(&mut self.name);
        name.finish().map(Some).map_err(|_| Refusal::IllegalName)
    }
}

/// A field that is collected where the bytes come in pieces.
#[derive(Default)]
struct Field {
    value: u64,
    filled: usize,
}

impl Field {
    /// Takes what is missing of `size` bytes, 8 at the most, off the front. When they are whole it answers them,
    /// right-aligned, and is empty again.
    fn fill(&mut self, from: &mut &[u8], size: usize) -> Option<[u8; 8]> {
        let taken = take(from, size - self.filled);
        for &byte in taken {
            self.value = self.value << 8 | u64::from(byte);
        }
        self.filled += taken.len();
        (self.filled == size).then(|| std::mem::take(self).value.to_be_bytes())
    }
}

/// Takes up to so many bytes off the front.
fn take<'a>(from: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = from.split_at(most.min(from.len()));
    *from = rest;
    taken
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | usize::from(byte))
}

/// What is left after `wanted` bytes.
fn claim(left: usize, wanted: usize) -> Result<usize, Refusal> {
    left.checked_sub(wanted).ok_or(Refusal::Malformed)
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod tests;
