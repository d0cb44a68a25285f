//! What clients and backends say to each other: frames of 64 bytes, and streams of which every byte is known
//! beforehand, so that none can be lost, doubled or swapped unseen.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

use crate::common::pattern;

pub const FRAME: usize = 64;
/// A prime, so that no buffer's size fits in it evenly.
const PERIOD: usize = 1_000_003;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The frame is sent back.
    Echo,
    /// The frame is sent back, and then the backend ends the connection.
    End,
    /// The backend sends so many bytes of the pattern, from this place on.
    Down { size: u64, start: u64 },
    /// So many bytes of the pattern follow. When they are there the frame is sent back.
    Up { size: u64, start: u64 },
    /// The backend does not read any more.
    Stall,
}

impl Request {
    /// The serial number makes every frame another one.
    pub fn frame(self, serial: u64) -> [u8; FRAME] {
        let (kind, size, start) = match self {
            Request::Echo => (b'E', 0, 0),
            Request::End => (b'C', 0, 0),
            Request::Down { size, start } => (b'D', size, start),
            Request::Up { size, start } => (b'U', size, start),
            Request::Stall => (b'S', 0, 0),
        };
        let mut frame = [0; FRAME];
        frame[0] = kind;
        frame[8..16].copy_from_slice(&size.to_le_bytes());
        frame[16..24].copy_from_slice(&start.to_le_bytes());
        frame[24..32].copy_from_slice(&serial.to_le_bytes());
        frame[32..].copy_from_slice(&piece(serial)[..FRAME - 32]);
        frame
    }

    pub fn parse(frame: &[u8; FRAME]) -> Option<Request> {
        let number = |at: usize| {
            let bytes = frame[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        let (size, start) = (number(8), number(16));
        match frame[0] {
            b'E' => Some(Request::Echo),
            b'C' => Some(Request::End),
            b'D' => Some(Request::Down { size, start }),
            b'U' => Some(Request::Up { size, start }),
            b'S' => Some(Request::Stall),
            _ => None,
        }
    }
}

/// Bytes of the pattern from a place on: at least [`LEAST`].
pub fn piece(at: u64) -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let once = pattern(PERIOD);
        [&once[..], &once[..LEAST]].concat()
    });
    &pattern[(at % PERIOD as u64) as usize..]
}

pub const LEAST: usize = 1 << 18;

/// True if these are the bytes of the pattern from that place on.
pub fn is_right(mut bytes: &[u8], mut at: u64) -> bool {
    while !bytes.is_empty() {
        let right = piece(at);
        let count = right.len().min(bytes.len());
        if bytes[..count] != right[..count] {
            return false;
        }
        (bytes, at) = (&bytes[count..], at + count as u64);
    }
    true
}
