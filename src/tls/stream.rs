//! One TLS connection as a machine without input and output: bytes from the network go in, bytes for the network
//! come out, and whoever owns the socket decides when. So records are made and sent in batches.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Read, Write};

use openssl::error::ErrorStack;
use openssl::ssl::{ErrorCode, ShutdownState, Ssl, SslContextRef, SslRef, SslStream};
use openssl::x509::X509VerifyResult;

use super::{choice, provider};
use crate::relay::buffer::Buffer;

/// What lies between OpenSSL and the socket.
#[derive(Default)]
pub struct Wire {
    /// Received and not yet understood.
    pub input: Buffer,
    /// Made and not yet sent.
    pub output: Buffer,
    /// The network will give no more.
    pub ended: bool,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.input.as_slice();
        if available.is_empty() {
            // Even at the end of the stream: OpenSSL takes a bare end for an attack and would refuse to
            // write from then on, while the application may still have something to say.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.input.consume(count);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.output.append(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What reading gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    Data(usize),
    /// More must come from the network first.
    Nothing,
    /// The peer has said all it had to say.
    End,
    /// The stream has ended without close_notify: somebody may have cut it.
    Cut,
}

/// The peer or the library failed; the text is OpenSSL's reason, lower case.
#[derive(Debug, PartialEq, Eq)]
pub struct TlsError(pub String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a handshake came.
#[derive(Debug, PartialEq, Eq)]
pub enum Shake {
    Done,
    /// More must come from the network first.
    More,
    /// Something that the client asked for must be found first.
    Suspended,
}

/// One side of one connection.
pub struct Tls {
    stream: SslStream<Wire>,
}

impl Tls {
    /// The server's side.
    pub fn new(context: &SslContextRef) -> Result<Tls, ErrorStack> {
        let mut ssl = Ssl::new(context)?;
        ssl.set_accept_state();
        Tls::from_ssl(ssl)
    }

    /// A side that knows already whether it accepts or connects.
    pub fn from_ssl(ssl: Ssl) -> Result<Tls, ErrorStack> {
        let stream = SslStream::new(ssl, Wire::default())?;
        Ok(Tls { stream })
    }

    pub fn wire(&mut self) -> &mut Wire {
        self.stream.get_mut()
    }

    pub fn ssl(&self) -> &SslRef {
        self.stream.ssl()
    }

    /// Goes on with the handshake as far as the input reaches.
    pub fn handshake(&mut self) -> Result<Shake, TlsError> {
        let Err(error) = self.stream.do_handshake() else {
            return Ok(Shake::Done);
        };
        match error.code() {
            ErrorCode::WANT_READ if self.stream.get_ref().ended => {
                let peer = if self.ssl().is_server() {
                    "client"
                } else {
                    "server"
                };
                Err(TlsError(format!("the {peer} hung up")))
            }
            ErrorCode::WANT_READ => Ok(Shake::More),
            ErrorCode::WANT_CLIENT_HELLO_CB => Ok(Shake::Suspended),
            _ => Err(describe(&error)),
        }
    }

    /// Says what is wrong with the peer's certificate, or which name nobody has: the library's reason leaves it out.
    pub fn explain(&self, error: TlsError) -> TlsError {
        if choice::is_refused(self.ssl())
            && let Some(name) = choice::asked(self.ssl())
        {
            // Ours, of which the library only knows that it said no.
            let name = String::from_utf8_lossy(name);
            return TlsError(format!("no certificate for {name}"));
        }
        match self.ssl().verify_result() {
            X509VerifyResult::OK => error,
            verdict => TlsError(format!("{error}: {}", verdict.error_string())),
        }
    }

    /// Gives back what only the handshake needed, our own certificate among it: a connection may live for days.
    pub fn settle(&mut self) {
        provider::settle(&mut self.stream);
    }

    /// True if reading would give nothing before more comes from the network.
    pub fn is_drained(&self) -> bool {
        let wire = self.stream.get_ref();
        wire.input.is_empty() && !wire.ended && self.stream.ssl().pending() == 0
    }

    /// Decrypts what is there, one record at a time.
    pub fn read(&mut self, into: &mut [u8]) -> Result<Got, TlsError> {
        match self.stream.ssl_read(into) {
            Ok(count) => Ok(Got::Data(count)),
            Err(error) => match error.code() {
                ErrorCode::WANT_READ if self.stream.get_ref().ended => Ok(Got::Cut),
                ErrorCode::WANT_READ => Ok(Got::Nothing),
                ErrorCode::ZERO_RETURN => Ok(Got::End),
                _ => Err(describe(&error)),
            },
        }
    }

    /// Encrypts all of it.
    pub fn write(&mut self, from: &[u8]) -> Result<(), TlsError> {
        match self.stream.ssl_write(from) {
            Ok(_) => Ok(()),
            Err(error) => Err(describe(&error)),
        }
    }

    /// Says close_notify, once; what the peer still sends can be read.
    pub fn close(&mut self) {
        if !self.stream.get_shutdown().contains(ShutdownState::SENT) {
            // The answer only tells whether the peer has closed as well; a broken connection has nothing to say.
            let _ = self.stream.shutdown();
        }
    }
}

fn describe(error: &openssl::ssl::Error) -> TlsError {
    /// Newer libraries say this behind what was wrong with a record.
    const VAGUE: &str = "record layer failure";
    let reason = error.ssl_error().and_then(|stack| {
        let mut reasons = stack.errors().iter().rev().filter_map(|one| one.reason());
        reasons.find(|reason| *reason != VAGUE)
    });
    TlsError(match reason {
        Some(reason) => reason.to_owned(),
        None => error.to_string(),
    })
}
