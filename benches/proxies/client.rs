//! One TLS connection of a client that waits for nothing: it goes as far as it can and says so.
//! It looks at every byte of every reply.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::pkey::Id;
use openssl::ssl::{
    ErrorCode, ShutdownState, Ssl, SslContext, SslMethod, SslMode, SslSession, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};

use crate::load::protocol::{ANSWER, MESSAGE, Request};

/// More than are ever under way at once.
const SESSIONS: usize = 64;
/// For one read or write of a client that waits.
const STEP_LIMIT: Duration = Duration::from_secs(20);

pub struct Client {
    address: SocketAddr,
    context: SslContext,
    version: SslVersion,
    certificate: Vec<u8>,
    /// The latest that the server gave.
    sessions: Arc<Mutex<VecDeque<SslSession>>>,
    resumes: bool,
}

impl Client {
    /// One version, one group, one cipher, so that every server does the same work.
    pub fn new(
        address: SocketAddr,
        version: SslVersion,
        certificate: &[u8],
    ) -> Result<Client, ErrorStack> {
        let sessions: Arc<Mutex<VecDeque<SslSession>>> = Arc::default();
        let mut context = SslContext::builder(SslMethod::tls_client())?;
        context.set_min_proto_version(Some(version))?;
        context.set_max_proto_version(Some(version))?;
        context.set_ciphersuites("TLS_AES_256_GCM_SHA384")?;
        context.set_cipher_list("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384")?;
        // P-256 only because the certificate's curve must be among them with TLS 1.2.
        context.set_groups_list("X25519:P-256")?;
        // The certificate is compared byte for byte after the handshake, which says more than a check of its chain.
        context.set_verify(SslVerifyMode::NONE);
        context.set_read_ahead(true);
        // What is written again after a wait is made anew.
        context.set_mode(SslMode::ACCEPT_MOVING_WRITE_BUFFER);
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT);
        let kept = Arc::clone(&sessions);
        context.set_new_session_callback(move |_, session| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back(session);
            if kept.len() > SESSIONS {
                kept.pop_front();
            }
        });
        Ok(Client {
            address,
            context: context.build(),
            version,
            certificate: certificate.to_owned(),
            sessions,
            resumes: false,
        })
    }

    /// From now on every connection resumes the session of an earlier one, or fails.
    pub fn resume(&mut self) {
        self.resumes = true;
    }

    /// A connection whose reads and writes wait, with the request sent.
    pub fn begin(&self, request: Request) -> Result<SslStream<TcpStream>, String> {
        let mut stream = self.connect()?;
        let socket = stream.get_ref();
        socket
            .set_read_timeout(Some(STEP_LIMIT))
            .and_then(|()| socket.set_write_timeout(Some(STEP_LIMIT)))
            .map_err(|e| format!("unable to prepare a connection: {e}"))?;
        stream
            .connect()
            .map_err(|e| format!("handshake failed: {e}"))?;
        self.check(&stream)?;
        stream
            .write_all(&request.message())
            .map_err(|e| format!("sending failed: {e}"))?;
        Ok(stream)
    }

    /// The end was said inside TLS, so nobody cut the bytes off.
    pub fn check_end(&self, mut stream: SslStream<TcpStream>) -> Result<(), String> {
        if stream.get_shutdown().contains(ShutdownState::RECEIVED) {
            Ok(())
        } else {
            Err("no close_notify at the end".to_owned())
        }
    }

    /// A TCP connection, and TLS that has said nothing yet.
    fn connect(&self) -> Result<SslStream<TcpStream>, String> {
        let stream = TcpStream::connect(self.address)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|e| format!("unable to connect: {e}"))?;
        self.ssl()
            .and_then(|ssl| SslStream::new(ssl, stream).map_err(|e| e.to_string()))
            .map_err(|e| format!("unable to prepare TLS: {e}"))
    }

    fn ssl(&self) -> Result<Ssl, String> {
        let mut ssl = Ssl::new(&self.context).map_err(|e| e.to_string())?;
        if self.resumes {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            // OpenSSL uses a ticket of TLS 1.3 once only. The server gives another each time.
            let session = if self.version == SslVersion::TLS1_3 {
                sessions.pop_front()
            } else {
                sessions.back().cloned()
            };
            let session = session.ok_or("the server gave no session to resume")?;
            // SAFETY: the session comes from the callback of this context and no other.
            #[allow(unsafe_code, reason = "there is no safe way to resume a session")]
            unsafe { ssl.set_session(&session) }.map_err(|e| e.to_string())?;
        }
        Ok(ssl)
    }

    /// After the handshake: that it was the one asked for.
    fn check(&self, stream: &SslStream<TcpStream>) -> Result<(), String> {
        let ssl = stream.ssl();
        if ssl.version2() != Some(self.version) {
            return Err(format!("the handshake led to {}", ssl.version_str()));
        }
        if ssl.session_reused() != self.resumes {
            return Err(if self.resumes {
                "the session was not resumed".to_owned()
            } else {
                "the handshake was not a full one".to_owned()
            });
        }
        // TLS 1.2 exchanges no key when it resumes.
        let group = ssl.peer_tmp_key().map(|key| key.id());
        if !self.resumes && group.ok() != Some(Id::X25519) {
            return Err("the key exchange was not X25519".to_owned());
        }
        let seen = ssl
            .peer_certificate()
            .and_then(|certificate| certificate.to_der().ok());
        if seen.as_ref() != Some(&self.certificate) {
            return Err("it showed another certificate".to_owned());
        }
        Ok(())
    }
}

/// Something to be done on a connection.
pub struct Member<'a> {
    client: &'a Client,
    stream: SslStream<TcpStream>,
    phase: Phase,
    request: Request,
    /// Messages of which the reply has not come, the one under way included.
    left: u64,
    reply: [u8; MESSAGE],
    received: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Send,
    Receive,
    /// The server is to end the connection.
    End,
    /// Nothing is to be done: all replies are there, or the end has come.
    Rest,
}

impl<'a> Member<'a> {
    /// Connects; does the handshake, sends the request and takes the reply when it is told to advance.
    pub fn new(client: &'a Client, request: Request) -> Result<Member<'a>, String> {
        let stream = client.connect()?;
        stream
            .get_ref()
            .set_nonblocking(true)
            .map_err(|e| format!("unable to prepare a connection: {e}"))?;
        Ok(Member {
            client,
            stream,
            phase: Phase::Handshake,
            request,
            left: 1,
            reply: [0; MESSAGE],
            received: 0,
        })
    }

    /// Gives a resting connection this many more messages to send.
    pub fn again(&mut self, messages: u64) {
        self.left = messages;
        self.phase = Phase::Send;
    }

    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub fn rests(&self) -> bool {
        self.phase == Phase::Rest
    }

    /// As far as it goes now; true when nothing is left to do.
    pub fn advance(&mut self) -> Result<bool, String> {
        loop {
            self.phase = match self.phase {
                Phase::Handshake => match self.stream.connect() {
                    Ok(()) => {
                        self.client.check(&self.stream)?;
                        Phase::Send
                    }
                    Err(e) if blocks(&e) => return Ok(false),
                    Err(e) => return Err(format!("handshake failed: {e}")),
                },
                Phase::Send => match self.stream.ssl_write(&self.request.message()) {
                    Ok(_) => {
                        self.received = 0;
                        Phase::Receive
                    }
                    Err(e) if blocks(&e) => return Ok(false),
                    Err(e) => return Err(format!("sending failed: {e}")),
                },
                Phase::Receive => match self.stream.ssl_read(&mut self.reply[self.received..]) {
                    Ok(n) => {
                        self.received += n;
                        self.after_bytes()?
                    }
                    Err(e) if blocks(&e) => return Ok(false),
                    Err(e) => return Err(format!("no reply: {e}")),
                },
                Phase::End => match self.stream.ssl_read(&mut [0]) {
                    Ok(_) => return Err("more came than was asked for".to_owned()),
                    Err(e) if blocks(&e) => return Ok(false),
                    Err(e) if e.code() == ErrorCode::ZERO_RETURN => {
                        // Without it the session could not be resumed; that the socket may be closed by now is no matter.
                        let _ = self.stream.shutdown();
                        Phase::Rest
                    }
                    Err(e) => return Err(format!("no close_notify at the end: {e}")),
                },
                Phase::Rest => return Ok(true),
            }
        }
    }

    fn after_bytes(&mut self) -> Result<Phase, String> {
        if self.received < MESSAGE {
            return Ok(Phase::Receive);
        }
        let (wanted, next) = match self.request {
            Request::Echo => (self.request.message(), Phase::Rest),
            _ => (ANSWER, Phase::End),
        };
        if self.reply != wanted {
            return Err("a wrong reply came".to_owned());
        }
        self.left -= 1;
        Ok(if self.left > 0 { Phase::Send } else { next })
    }
}

fn blocks(e: &openssl::ssl::Error) -> bool {
    matches!(e.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE)
        && e.io_error()
            .is_none_or(|e: &io::Error| e.kind() == ErrorKind::WouldBlock)
}
