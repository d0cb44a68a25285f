//! Messages of the DNS (RFC 1035) by hand, right and wrong.
#![forbid(unsafe_code)]

pub const A: u16 = 1;
pub const AAAA: u16 = 28;
pub const CNAME: u16 = 5;
pub const PTR: u16 = 12;

pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;
/// Flag: there is more than fits.
pub const TRUNCATED: u16 = 0x0200;
/// A pointer to the name in the question.
pub const SAME: &[u8] = &[0xc0, 12];

/// A question as it arrived.
#[derive(Clone)]
pub struct Question {
    pub id: u16,
    /// `1.2.0.192.in-addr.arpa.`
    pub name: String,
    pub kind: u16,
    /// The question's section, to be sent back.
    section: Vec<u8>,
}

impl Question {
    pub fn parse(bytes: &[u8]) -> Option<Question> {
        let id = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
        let mut at = 12;
        let mut name = String::new();
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            name.push_str(&String::from_utf8_lossy(bytes.get(at..at + length)?));
            name.push('.');
            at += length;
        }
        let kind = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]);
        let section = bytes.get(12..at + 4)?.to_vec();
        Some(Question {
            id,
            name,
            kind,
            section,
        })
    }

    /// An answer with this code or these flags and these records.
    pub fn answer(&self, flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        let counts = [0x8180 | flags, 1, records.len() as u16, 0, 0];
        bytes.extend(counts.iter().flat_map(|number| number.to_be_bytes()));
        bytes.extend(&self.section);
        bytes.extend(records.concat());
        bytes
    }

    /// The usual answer: one record of the kind asked for.
    pub fn simply(&self, data: &[u8]) -> Vec<u8> {
        self.answer(0, &[record(SAME, self.kind, 60, data)])
    }
}

pub fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = owner.to_vec();
    bytes.extend([kind, 1].iter().flat_map(|number| number.to_be_bytes()));
    bytes.extend(ttl.to_be_bytes());
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

/// A name of these labels, of any bytes.
pub fn labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    bytes.push(0);
    bytes
}

/// An ordinary name.
pub fn name(text: &str) -> Vec<u8> {
    labels(text.split('.').map(str::as_bytes))
}
