//! A second reader of hellos for tests, which is written down here straight from the formats and cannot wait in the
//! middle of a field.
#![forbid(unsafe_code)]

use super::{Refusal, Verdict};

/// Reads the same from bytes that are all there; `None` where there are too few.
struct Plain<'a> {
    wire: &'a [u8],
    /// Left of the current record.
    record: usize,
    /// Left of what encloses the field: first the message, then the list of names.
    room: usize,
}

type Answer<T> = Result<T, Option<Refusal>>;

impl Plain<'_> {
    fn byte(&mut self) -> Answer<u8> {
        if self.record == 0 {
            let &[kind, _, _, high, low, ref rest @ ..] = self.wire else {
                return Err(None);
            };
            self.record = usize::from(u16::from_be_bytes([high, low]));
            match (kind, self.record) {
                (22, 1..=16384) => self.wire = rest,
                (22, 0) => return Err(Some(Refusal::Malformed)),
                (22, _) => return Err(Some(Refusal::RecordTooLong)),
                _ => return Err(Some(Refusal::Foreign)),
            }
        }
        let (&byte, rest) = self.wire.split_first().ok_or(None)?;
        self.wire = rest;
        self.record -= 1;
        Ok(byte)
    }

    fn claim(&mut self, count: usize) -> Answer<()> {
        self.room = self
            .room
            .checked_sub(count)
            .ok_or(Some(Refusal::Malformed))?;
        Ok(())
    }

    /// A number of so many bytes, which must have room.
    fn number(&mut self, width: usize) -> Answer<usize> {
        self.claim(width)?;
        let mut value = 0;
        for _ in 0..width {
            value = value * 256 + usize::from(self.byte()?);
        }
        Ok(value)
    }

    fn skip(&mut self, count: usize) -> Answer<()> {
        self.claim(count)?;
        for _ in 0..count {
            self.byte()?;
        }
        Ok(())
    }

    fn name(&mut self) -> Answer<String> {
        self.room = 4;
        if self.number(1)? != 1 {
            return Err(Some(Refusal::Foreign));
        }
        self.room = self.number(3)?;
        self.skip(34)?;
        for width in [1, 2, 1] {
            let length = self.number(width)?;
            self.skip(length)?;
        }
        if self.room == 0 {
            return Err(Some(Refusal::NoName));
        }
        if self.number(2)? != self.room {
            return Err(Some(Refusal::Malformed));
        }
        while self.room > 0 {
            self.claim(4)?;
            self.room += 4;
            let (kind, length) = (self.number(2)?, self.number(2)?);
            if kind == 0 {
                self.claim(length)?;
                self.room = length;
                return self.first_of_list();
            }
            self.skip(length)?;
        }
        Err(Some(Refusal::NoName))
    }

    fn first_of_list(&mut self) -> Answer<String> {
        if self.number(2)? != self.room {
            return Err(Some(Refusal::Malformed));
        }
        while self.room > 0 {
            self.claim(3)?;
            self.room += 3;
            let (kind, length) = (self.number(1)?, self.number(2)?);
            if kind != 0 {
                self.skip(length)?;
                continue;
            }
            self.claim(length)?;
            if length == 0 || length > 253 {
                return Err(Some(Refusal::IllegalName));
            }
            return self.spelled(length);
        }
        Err(Some(Refusal::NoName))
    }

    fn spelled(&mut self, length: usize) -> Answer<String> {
        let mut name = String::new();
        while name.len() < length {
            let byte = self.byte()?.to_ascii_lowercase();
            let label = name.rsplit('.').next().map_or(0, str::len);
            let begins = label == 0;
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' if label == 63 => {
                    return Err(Some(Refusal::IllegalName));
                }
                b'a'..=b'z' | b'0'..=b'9' => {}
                b'-' | b'.' if !begins => {}
                _ => return Err(Some(Refusal::IllegalName)),
            }
            name.push(byte.into());
        }
        match name.ends_with('.') {
            true => Err(Some(Refusal::IllegalName)),
            false => Ok(name),
        }
    }
}

/// The verdict on bytes behind which nothing comes.
pub fn plainly(wire: &[u8]) -> Verdict {
    let (record, room) = (0, 0);
    match (Plain { wire, record, room }).name() {
        Ok(name) => Verdict::Name(name),
        Err(Some(refusal)) => Verdict::Refused(refusal),
        Err(None) => Verdict::NeedMore,
    }
}
