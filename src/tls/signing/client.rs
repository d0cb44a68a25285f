//! What a client signs to show that it has the key of its certificate. TLS 1.3 has it sign a hash; before that it signs
//! all messages of the handshake so far, which must be just those and have its own certificate among them.
#![forbid(unsafe_code)]

use super::{Handshake, is_tls13};

/// RFC 8446, 4.4.3.
const CONTEXT: &[u8] = b"TLS 1.3, client CertificateVerify\0";

/// What the messages are, by their numbers (RFC 5246, 7.4), and which of them need not be there: a handshake in which
/// the server asked for a certificate, up to where the client proves that it is its own.
const CERTIFICATE: u8 = 11;
const MESSAGES: [(u8, bool); 9] = [
    // ClientHello, ServerHello
    (1, true),
    (2, true),
    (CERTIFICATE, true),
    // CertificateStatus, ServerKeyExchange
    (22, false),
    (12, false),
    // CertificateRequest, ServerHelloDone
    (13, true),
    (14, true),
    (CERTIFICATE, true),
    // ClientKeyExchange
    (16, true),
];

/// `certificate` is the client's own in DER.
pub(super) fn recognise(message: &[u8], certificate: &[u8]) -> Option<Handshake> {
    if is_tls13(message, CONTEXT) {
        return Some(Handshake::Tls13);
    }
    is_transcript(message, certificate).then_some(Handshake::Older)
}

fn is_transcript(mut rest: &[u8], certificate: &[u8]) -> bool {
    // The last of two: the client's.
    let mut shown = None;
    for (kind, needed) in MESSAGES {
        match take(rest) {
            Some((found, body, after)) if found == kind => {
                rest = after;
                if kind == CERTIFICATE {
                    shown = leaf(body);
                }
            }
            _ if needed => return false,
            _ => {}
        }
    }
    rest.is_empty() && shown == Some(certificate)
}

/// The next message: its kind, its content, and what follows it.
fn take(messages: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = messages.split_first()?;
    let (body, after) = behind_length(rest)?;
    Some((*kind, body, after))
}

/// The first certificate of a list.
fn leaf(body: &[u8]) -> Option<&[u8]> {
    let (list, _) = behind_length(body)?;
    behind_length(list).map(|(certificate, _)| certificate)
}

/// What stands behind its length of three bytes, and what follows.
fn behind_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([high, middle, low], rest) = bytes.split_first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, *high, *middle, *low]);
    rest.split_at_checked(usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests;
