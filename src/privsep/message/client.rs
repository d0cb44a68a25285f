//! What the session of a client and the keeper of its certificate say to each other.
#![forbid(unsafe_code)]

use crate::privsep::channel::{Message, Reader, Writer};
use crate::tls::material::MOST_CERTIFICATES;

/// The transcript of a handshake that is not meant to be refused: two chains of certificates and a list of authorities.
/// More would not go through a socket of the usual size at once.
const MAX_TRANSCRIPT: usize = 192 * 1024;
const MAX_CHAIN: usize = 128 * 1024;

/// Session to keeper: what is to be signed for the server.
pub struct Proof {
    /// TLS SignatureScheme (RFC 8446, 4.2.3).
    pub scheme: u16,
    pub message: Vec<u8>,
}

impl Message for Proof {
    const MAX: usize = 64 + MAX_TRANSCRIPT;

    fn encode(&self, out: &mut Writer) {
        out.short(self.scheme);
        out.string(&self.message);
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        Some(Proof {
            scheme: input.short()?,
            message: input.string()?.to_vec(),
        })
    }
}

/// Keeper to session. A refusal closes the channel instead.
pub enum ToSession {
    /// First of all: the certificates in DER, the client's own first.
    Chain(Vec<Vec<u8>>),
    Signature(Vec<u8>),
}

impl Message for ToSession {
    const MAX: usize = 64 + MAX_CHAIN;

    fn encode(&self, out: &mut Writer) {
        match self {
            ToSession::Chain(certificates) => {
                out.byte(b'C');
                out.word(u32::try_from(certificates.len()).unwrap_or(u32::MAX));
                for certificate in certificates {
                    out.string(certificate);
                }
            }
            ToSession::Signature(signature) => {
                out.byte(b'S');
                out.string(signature);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        match input.byte()? {
            b'C' => {
                let count = usize::try_from(input.word()?).ok()?;
                if count == 0 || count > MOST_CERTIFICATES {
                    return None;
                }
                let certificates = (0..count).map(|_| input.string().map(<[u8]>::to_vec));
                Some(ToSession::Chain(certificates.collect::<Option<_>>()?))
            }
            b'S' => Some(ToSession::Signature(input.string()?.to_vec())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privsep::message::{KeeperToProver, ProverToKeeper};

    #[test]
    fn the_longest_messages_go_through_a_channel_at_once() {
        let (session, keeper) = ProverToKeeper::pair().unwrap();
        let proof = Proof {
            scheme: 0x0804,
            message: vec![1; MAX_TRANSCRIPT],
        };
        session.try_send(&proof, &[]).unwrap();
        let (proof, _) = keeper.receive().unwrap();
        assert_eq!(
            (proof.scheme, proof.message.len()),
            (0x0804, MAX_TRANSCRIPT)
        );
        let longest = vec![vec![2; MAX_CHAIN / MOST_CERTIFICATES - 4]; MOST_CERTIFICATES];
        KeeperToProver::try_send(&keeper, &ToSession::Chain(longest.clone()), &[]).unwrap();
        let Ok((ToSession::Chain(chain), _)) = session.receive() else {
            panic!("no chain");
        };
        assert_eq!(chain, longest);
    }

    #[test]
    fn a_keeper_without_certificates_breaks_its_word() {
        let (session, keeper) = ProverToKeeper::pair().unwrap();
        keeper.send(&ToSession::Chain(Vec::new()), &[]).unwrap();
        assert!(session.receive().is_err());
    }
}
