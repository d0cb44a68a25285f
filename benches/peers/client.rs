//! The client: the same for all servers, and it looks at every byte of every reply.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ssl::{
    ShutdownState, Ssl, SslContext, SslMethod, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};

/// For one connect, read or write.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// For one transfer, however slowly its bytes trickle.
const TRANSFER_LIMIT: Duration = Duration::from_secs(300);
/// More clients do not come back at a time.
const MOST_SESSIONS: usize = 64;
const CHUNK: usize = 256 * 1024;

pub struct Client {
    address: SocketAddr,
    /// None: without TLS.
    tls: Option<Tls>,
}

struct Tls {
    context: SslContext,
    version: SslVersion,
    certificate: Vec<u8>,
    /// What the server gave to come back with.
    sessions: Arc<Mutex<Vec<SslSession>>>,
}

pub enum Connection {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Client {
    pub fn plain(address: SocketAddr) -> Client {
        Client { address, tls: None }
    }

    /// One version, one group, one cipher, so that every server does the same work.
    pub fn tls(
        address: SocketAddr,
        version: SslVersion,
        certificate: &[u8],
    ) -> Result<Client, ErrorStack> {
        let mut context = SslContext::builder(SslMethod::tls_client())?;
        context.set_min_proto_version(Some(version))?;
        context.set_max_proto_version(Some(version))?;
        context.set_ciphersuites("TLS_AES_256_GCM_SHA384")?;
        context.set_cipher_list("ECDHE-ECDSA-AES256-GCM-SHA384")?;
        // The one that all have: socat 1.7 knows no other.
        context.set_groups_list("P-256")?;
        // The certificate is compared byte for byte after the handshake, which says more than a check of its chain.
        context.set_verify(SslVerifyMode::NONE);
        context.set_read_ahead(true);
        let sessions: Arc<Mutex<Vec<SslSession>>> = Arc::default();
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT);
        let kept = sessions.clone();
        context.set_new_session_callback(move |_, session| {
            if let Ok(mut kept) = kept.lock()
                && kept.len() < MOST_SESSIONS
            {
                kept.push(session);
            }
        });
        Ok(Client {
            address,
            tls: Some(Tls {
                context: context.build(),
                version,
                certificate: certificate.to_owned(),
                sessions,
            }),
        })
    }

    pub fn connect(&self) -> Result<Connection, String> {
        self.connect_with(None)
    }

    fn connect_with(&self, session: Option<&SslSession>) -> Result<Connection, String> {
        let stream = self.tcp().map_err(|e| format!("unable to connect: {e}"))?;
        let Some(tls) = &self.tls else {
            return Ok(Connection::Plain(stream));
        };
        let mut ssl = Ssl::new(&tls.context).map_err(|e| format!("unable to prepare TLS: {e}"))?;
        if let Some(session) = session {
            // SAFETY: the session comes from the context's own callback.
            #[allow(unsafe_code, reason = "there is no safe way to resume a session")]
            unsafe { ssl.set_session(session) }.map_err(|e| format!("unable to resume: {e}"))?;
        }
        let mut stream =
            SslStream::new(ssl, stream).map_err(|e| format!("unable to prepare TLS: {e}"))?;
        stream
            .connect()
            .map_err(|e| format!("handshake failed: {e}"))?;
        let ssl = stream.ssl();
        if ssl.version2() != Some(tls.version) || ssl.session_reused() != session.is_some() {
            return Err(format!(
                "not the handshake that was asked for, but one of {}",
                ssl.version_str()
            ));
        }
        let seen = ssl
            .peer_certificate()
            .and_then(|certificate| certificate.to_der().ok());
        if seen.as_ref() != Some(&tls.certificate) {
            return Err("it showed another certificate".to_owned());
        }
        Ok(Connection::Tls(stream))
    }

    fn tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, STEP_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STEP_LIMIT))?;
        stream.set_write_timeout(Some(STEP_LIMIT))?;
        Ok(stream)
    }

    /// A whole connection whose reply is exactly this.
    pub fn expect_reply(&self, wanted: &[u8]) -> Result<(), String> {
        self.connect()?.expect_to_end(wanted)
    }

    /// The same by a client that comes back with a session, and keeps the one that it gets for it.
    pub fn expect_resumed_reply(&self, wanted: &[u8]) -> Result<(), String> {
        let sessions = self.tls.as_ref().map(|tls| &tls.sessions);
        let session = sessions.and_then(|sessions| sessions.lock().ok()?.pop());
        let session = session.ok_or("the server gave no session to come back with")?;
        self.connect_with(Some(&session))?.expect_to_end(wanted)?;
        // TLS 1.2 gives a new ticket only now and then; the old one is still good.
        if let Some(sessions) = sessions
            && session.protocol_version() == SslVersion::TLS1_2
            && let Ok(mut sessions) = sessions.lock()
        {
            sessions.push(session);
        }
        Ok(())
    }

    /// A connection that says nothing.
    pub fn silent(&self) -> Result<TcpStream, String> {
        self.tcp().map_err(|e| format!("unable to connect: {e}"))
    }

    /// A connection that is closed without a byte, whatever is sent.
    pub fn expect_refusal(&self) -> Result<(), String> {
        let mut stream = self.tcp().map_err(|e| format!("unable to connect: {e}"))?;
        match stream.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err("a byte came where the connection should have been refused".to_owned()),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(e) => Err(format!("not refused: {e}")),
        }
    }

    /// Exactly so many zero bytes come, and then the end.
    pub fn download(&self, bytes: u64) -> Result<(), String> {
        let end = Instant::now() + TRANSFER_LIMIT;
        let mut connection = self.connect()?;
        let mut buffer = vec![0; CHUNK];
        let mut count = 0;
        loop {
            let n = connection
                .read(&mut buffer)
                .map_err(|e| format!("reading failed after {count} bytes: {e}"))?;
            if n == 0 {
                break;
            }
            if buffer[..n].iter().fold(0, |seen, byte| seen | byte) != 0 {
                return Err(format!("a wrong byte came after {count} bytes"));
            }
            count += n as u64;
            if Instant::now() > end {
                return Err(format!("too slow: {count} bytes of {bytes}"));
            }
        }
        if count != bytes {
            return Err(format!("{count} bytes came, not {bytes}"));
        }
        connection.check_end()
    }

    /// So many zero bytes and the end of them go out; their number comes back from `wc`.
    pub fn upload(&self, bytes: u64) -> Result<(), String> {
        let end = Instant::now() + TRANSFER_LIMIT;
        let mut connection = self.connect()?;
        let buffer = vec![0; CHUNK];
        let mut left = bytes;
        while left > 0 {
            let n = left.min(CHUNK as u64) as usize;
            connection
                .write_all(&buffer[..n])
                .map_err(|e| format!("writing failed with {left} bytes left: {e}"))?;
            left -= n as u64;
            if Instant::now() > end {
                return Err(format!("too slow: {left} bytes of {bytes} are left"));
            }
        }
        connection
            .end_output()
            .map_err(|e| format!("unable to end the output: {e}"))?;
        connection.expect_to_end(format!("{bytes}\n").as_bytes())
    }
}

impl Connection {
    /// One line out and the same line back, from `cat`.
    pub fn expect_echo(&mut self) -> Result<(), String> {
        let line = *b"are you there?\n";
        self.write_all(&line)
            .map_err(|e| format!("writing failed: {e}"))?;
        let mut back = [0; 15];
        self.read_exact(&mut back)
            .map_err(|e| format!("no echo: {e}"))?;
        if back == line {
            Ok(())
        } else {
            Err("a wrong echo came".to_owned())
        }
    }

    fn expect_to_end(&mut self, wanted: &[u8]) -> Result<(), String> {
        let mut reply = Vec::with_capacity(64);
        // One more than wanted is enough to know that it is too long.
        let limit = wanted.len() as u64 + 1;
        self.take(limit)
            .read_to_end(&mut reply)
            .map_err(|e| format!("reading failed: {e}"))?;
        if reply != wanted {
            return Err(format!(
                "the reply was {:?}, not {:?}",
                String::from_utf8_lossy(&reply),
                String::from_utf8_lossy(wanted)
            ));
        }
        self.check_end()
    }

    /// The end was said inside TLS, so nobody cut the reply off.
    fn check_end(&mut self) -> Result<(), String> {
        let said = match self {
            Connection::Plain(_) => true,
            Connection::Tls(stream) => {
                let said = stream.get_shutdown().contains(ShutdownState::RECEIVED);
                // The library keeps no session of a connection that was not ended in order.
                let _ = stream.shutdown();
                said
            }
        };
        if said {
            Ok(())
        } else {
            Err("the reply ended without close_notify".to_owned())
        }
    }

    fn end_output(&mut self) -> io::Result<()> {
        match self {
            Connection::Plain(stream) => stream.shutdown(Shutdown::Write),
            Connection::Tls(stream) => stream.shutdown().map(drop).map_err(io::Error::other),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(stream) => stream.read(buffer),
            Connection::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(stream) => stream.write(bytes),
            Connection::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
