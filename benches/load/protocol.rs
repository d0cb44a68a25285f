//! What clients and the backend say to each other through the proxy.
#![forbid(unsafe_code)]

/// Of a request and of an answer: what a small message is in all rows.
pub const MESSAGE: usize = 64;

pub const ANSWER: [u8; MESSAGE] = [b'.'; MESSAGE];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send the answer and close.
    Answer,
    /// Send back this message and all that follow.
    Echo,
    /// Send so many zero bytes and close.
    Source(u64),
    /// Take so many bytes after this message, send the answer and close.
    Sink(u64),
}

impl Request {
    pub fn message(self) -> [u8; MESSAGE] {
        let (kind, count) = match self {
            Request::Answer => (b'a', 0),
            Request::Echo => (b'e', 0),
            Request::Source(count) => (b'd', count),
            Request::Sink(count) => (b'u', count),
        };
        let mut message = [0; MESSAGE];
        message[0] = kind;
        message[1..9].copy_from_slice(&count.to_le_bytes());
        message
    }

    pub fn from_message(message: &[u8; MESSAGE]) -> Option<Request> {
        let (kind, rest) = message.split_first()?;
        let count = u64::from_le_bytes(*rest.first_chunk()?);
        match kind {
            b'a' => Some(Request::Answer),
            b'e' => Some(Request::Echo),
            b'd' => Some(Request::Source(count)),
            b'u' => Some(Request::Sink(count)),
            _ => None,
        }
    }
}
