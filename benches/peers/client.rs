//! The client: the same for all servers, and it looks at every byte of every reply.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use openssl::ssl::{SslSession, SslStream};

use crate::common::stream::{self, give_zeros, take_zeros};
use crate::tls::{self, Tls};

pub struct Client {
    pub address: SocketAddr,
    /// None: without TLS.
    pub tls: Option<Tls>,
}

pub enum Connection {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Client {
    pub fn connect(&self) -> Result<Connection, String> {
        self.connect_with(None)
    }

    fn connect_with(&self, session: Option<&SslSession>) -> Result<Connection, String> {
        let stream = stream::connect(self.address)?;
        let Some(tls) = &self.tls else {
            return Ok(Connection::Plain(stream));
        };
        let mut stream = tls.over(stream, session)?;
        stream
            .connect()
            .map_err(|e| format!("handshake failed: {e}"))?;
        tls.check(&stream, session.is_some())?;
        Ok(Connection::Tls(stream))
    }

    /// A whole connection whose reply is exactly this.
    pub fn expect_reply(&self, wanted: &[u8]) -> Result<(), String> {
        self.connect()?.expect_to_end(wanted)
    }

    /// The same by a client that comes back with a session, and keeps the one that it gets for it.
    pub fn expect_resumed_reply(&self, wanted: &[u8]) -> Result<(), String> {
        let tls = self.tls.as_ref().ok_or("nothing to resume without TLS")?;
        self.connect_with(Some(&tls.session()?))?
            .expect_to_end(wanted)
    }

    /// A connection that says nothing.
    pub fn silent(&self) -> Result<TcpStream, String> {
        stream::connect(self.address)
    }

    /// A connection that is closed without a byte, whatever is sent.
    pub fn expect_refusal(&self) -> Result<(), String> {
        match self.silent()?.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err("a byte came where the connection should have been refused".to_owned()),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(e) => Err(format!("not refused: {e}")),
        }
    }

    /// Exactly so many zero bytes come, and then the end.
    pub fn download(&self, bytes: u64) -> Result<(), String> {
        let mut connection = self.connect()?;
        take_zeros(&mut connection, bytes)?;
        connection.check_end()
    }

    /// So many zero bytes and the end of them go out; their number comes back from `wc`.
    pub fn upload(&self, bytes: u64) -> Result<(), String> {
        let mut connection = self.connect()?;
        give_zeros(&mut connection, bytes)?;
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

    fn check_end(&mut self) -> Result<(), String> {
        match self {
            Connection::Plain(_) => Ok(()),
            Connection::Tls(stream) => tls::check_end(stream),
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
