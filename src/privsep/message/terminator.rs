//! What the terminator hears from the listener, and says to it.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::{SessionReport, clip};
use crate::privsep::channel::{Message, Reader, Writer};
use crate::tls::client::Demand;
use crate::tls::settings::{Settings, Version};

/// Listener to terminator.
pub enum ToTerminator {
    /// The keeper has sent the public parts of a further set; it is for this.
    Set {
        number: u32,
        settings: Settings,
        demand: Demand,
        /// Sessions of one scope are not resumed under another.
        scope: String,
    },
    /// With four descriptors: the client, the application's input (to write), its output (to read), and the session's
    /// end of its report channel. A fifth is the end of the channel on which the application says when TLS begins.
    /// Where connections are shared, the report channel is left out: reports come with the number of the connection.
    Connection(ConnectionOrder),
    /// Nothing more will come: what is there is finished. For terminators that have connections of their own.
    Drain,
}

/// What a session must know of its connection.
pub struct ConnectionOrder {
    /// The listener's own number for it.
    pub number: u64,
    /// Which set of keys.
    pub set: u32,
    /// Milliseconds left for the handshake.
    pub patience: u32,
    pub client: IpAddr,
    /// The client's name, if somebody knows it.
    pub host: Option<String>,
}

impl Message for ToTerminator {
    const MAX: usize = 64 * 1024;

    fn encode(&self, out: &mut Writer) {
        match self {
            ToTerminator::Set {
                number,
                settings,
                demand,
                scope,
            } => {
                out.byte(b'S');
                out.word(*number);
                out.byte(*demand as u8);
                out.string(scope.as_bytes());
                encode_settings(settings, out);
            }
            ToTerminator::Connection(order) => {
                out.byte(b'C');
                out.long(order.number);
                out.word(order.set);
                out.word(order.patience);
                match order.client {
                    IpAddr::V4(ip) => out.string(&ip.octets()),
                    IpAddr::V6(ip) => out.string(&ip.octets()),
                }
                out.string(order.host.as_deref().unwrap_or_default().as_bytes());
            }
            ToTerminator::Drain => out.byte(b'D'),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'S' => Some(ToTerminator::Set {
                number: input.word()?,
                demand: Demand::from_byte(input.byte()?)?,
                scope: input.text()?,
                settings: decode_settings(input)?,
            }),
            b'D' => Some(ToTerminator::Drain),
            b'C' => {
                let number = input.long()?;
                let (set, patience) = (input.word()?, input.word()?);
                let octets = input.string()?;
                let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
                let client = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
                Some(ToTerminator::Connection(ConnectionOrder {
                    number,
                    set,
                    patience,
                    client: client.ok()?,
                    host: Some(input.text()?).filter(|host| !host.is_empty()),
                }))
            }
            _ => None,
        }
    }
}

fn encode_settings(settings: &Settings, out: &mut Writer) {
    let texts = [&settings.ciphers, &settings.ciphersuites, &settings.groups];
    for text in texts {
        out.string(text.as_deref().unwrap_or_default().as_bytes());
    }
    out.string(settings.alpn.as_deref().unwrap_or_default());
    out.byte(settings.min as u8);
    out.byte(settings.max.map_or(u8::MAX, |max| max as u8));
    out.byte(settings.strict.into());
    out.byte(settings.server_order.into());
    out.byte(settings.tickets.into());
    out.word(settings.verify_depth);
}

/// Empty values are never configured: they count as unset.
fn decode_settings(input: &mut Reader<'_>) -> Option<Settings> {
    let mut text = || Some(Some(input.text()?).filter(|text| !text.is_empty()));
    let (ciphers, ciphersuites, groups) = (text()?, text()?, text()?);
    let alpn = Some(input.string()?.to_vec()).filter(|alpn| !alpn.is_empty());
    let min = Version::from_byte(input.byte()?)?;
    let max = match input.byte()? {
        u8::MAX => None,
        byte => Some(Version::from_byte(byte)?),
    };
    Some(Settings {
        ciphers,
        ciphersuites,
        groups,
        min,
        max,
        alpn,
        strict: input.byte()? != 0,
        server_order: input.byte()? != 0,
        tickets: input.byte()? != 0,
        verify_depth: input.word()?,
    })
}

/// Terminator to listener.
pub enum FromTerminator {
    Ready,
    Fatal(String),
    /// No process could be made for a connection; it waits and is tried again.
    Short(String),
    /// Processes can be made again.
    Recovered,
    /// What the session of this connection says, where connections are shared. The message is large only then.
    Report {
        number: u64,
        report: Box<SessionReport>,
    },
}

impl Message for FromTerminator {
    const MAX: usize = 16 + SessionReport::MAX;

    fn encode(&self, out: &mut Writer) {
        let (tag, text) = match self {
            FromTerminator::Ready => (b'R', ""),
            FromTerminator::Fatal(text) => (b'F', text.as_str()),
            FromTerminator::Short(text) => (b'S', text.as_str()),
            FromTerminator::Recovered => (b'G', ""),
            FromTerminator::Report { number, report } => {
                out.byte(b'N');
                out.long(*number);
                return report.encode(out);
            }
        };
        out.byte(tag);
        out.string(clip(text));
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let tag = input.byte()?;
        if tag == b'N' {
            return Some(FromTerminator::Report {
                number: input.long()?,
                report: Box::new(SessionReport::decode(input)?),
            });
        }
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
