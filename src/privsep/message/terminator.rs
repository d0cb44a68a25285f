//! What the terminator hears from the listener, and says to it.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::{MAX_TEXT, clip};
use crate::privsep::channel::{Message, Reader, Writer};

/// Listener to terminator, with four descriptors: the client, the application's input (to write), its output
/// (to read), and the session's end of its report channel. A fifth is the end of the channel on which the application
/// says when TLS begins.
pub struct ToTerminator {
    /// Milliseconds left for the handshake.
    pub patience: u32,
    pub client: IpAddr,
    /// The client's name, if somebody knows it.
    pub host: Option<String>,
}

impl Message for ToTerminator {
    const MAX: usize = 1024;

    fn encode(&self, out: &mut Writer) {
        out.word(self.patience);
        match self.client {
            IpAddr::V4(ip) => out.string(&ip.octets()),
            IpAddr::V6(ip) => out.string(&ip.octets()),
        }
        out.string(self.host.as_deref().unwrap_or_default().as_bytes());
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let patience = input.word()?;
        let octets = input.string()?;
        let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        let client = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
        Some(ToTerminator {
            patience,
            client: client.ok()?,
            host: Some(input.text()?).filter(|host| !host.is_empty()),
        })
    }
}

/// Terminator to listener.
pub enum FromTerminator {
    Ready,
    Fatal(String),
    /// No process could be made for a connection; it waits and is tried again.
    Short(String),
    /// Processes can be made again.
    Recovered,
}

impl Message for FromTerminator {
    const MAX: usize = 16 + MAX_TEXT;

    fn encode(&self, out: &mut Writer) {
        let (tag, text) = match self {
            FromTerminator::Ready => (b'R', ""),
            FromTerminator::Fatal(text) => (b'F', text.as_str()),
            FromTerminator::Short(text) => (b'S', text.as_str()),
            FromTerminator::Recovered => (b'G', ""),
        };
        out.byte(tag);
        out.string(clip(text));
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let tag = input.byte()?;
        let text = input.text()?;
        match tag {
            b'R' => Some(FromTerminator::Ready),
            b'F' => Some(FromTerminator::Fatal(text)),
            b'S' => Some(FromTerminator::Short(text)),
            b'G' => Some(FromTerminator::Recovered),
            _ => None,
        }
    }
}
