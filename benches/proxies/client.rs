//! A client's connection to a proxy: TLS from the first byte on.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use openssl::ssl::{self, ErrorCode, SslStream};

use crate::common::stream;
use crate::tls::{self, Tls};

pub struct Client {
    address: SocketAddr,
    tls: Arc<Tls>,
    resumes: bool,
}

pub struct Connection {
    /// For what comes after it is open.
    pub stream: SslStream<TcpStream>,
    tls: Arc<Tls>,
    resumes: bool,
}

impl Client {
    pub fn new(address: SocketAddr, tls: Tls) -> Client {
        Client {
            address,
            tls: Arc::new(tls),
            resumes: false,
        }
    }

    /// From now on every connection resumes the session of an earlier one, or fails.
    pub fn resume(&mut self) {
        self.resumes = true;
    }

    /// A TCP connection, and TLS that has said nothing yet.
    pub fn connect(&self) -> Result<Connection, String> {
        let session = self.resumes.then(|| self.tls.session()).transpose()?;
        let stream = stream::connect(self.address)?;
        Ok(Connection {
            stream: self.tls.over(stream, session.as_ref())?,
            tls: Arc::clone(&self.tls),
            resumes: self.resumes,
        })
    }
}

impl Connection {
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// The handshake, as far as it goes now.
    pub fn open(&mut self) -> io::Result<()> {
        self.stream.connect().map_err(reason)?;
        self.tls
            .check(&self.stream, self.resumes)
            .map_err(io::Error::other)
    }

    pub fn check_end(&mut self) -> Result<(), String> {
        tls::check_end(&mut self.stream)
    }
}

fn reason(e: ssl::Error) -> io::Error {
    match e.code() {
        ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => ErrorKind::WouldBlock.into(),
        _ => io::Error::other(format!("handshake failed: {e}")),
    }
}
