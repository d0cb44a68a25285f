//! A client's connection to a router: a ClientHello and the backend's answer to it come before the first message.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crate::common::stream;
use crate::load::member::fill;
use crate::load::protocol::{ANSWER, MESSAGE};

pub struct Client {
    pub address: SocketAddr,
    pub hello: Arc<[u8]>,
}

pub struct Connection {
    /// For what comes after it is open.
    pub stream: TcpStream,
    /// None: it has been said.
    hello: Option<Arc<[u8]>>,
    answer: [u8; MESSAGE],
    received: usize,
}

impl Client {
    pub fn connect(&self) -> Result<Connection, String> {
        Ok(Connection {
            stream: stream::connect(self.address)?,
            hello: Some(Arc::clone(&self.hello)),
            answer: [0; MESSAGE],
            received: 0,
        })
    }
}

impl Connection {
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Hello and answer, as far as it goes now.
    pub fn open(&mut self) -> io::Result<()> {
        if let Some(hello) = self.hello.take() {
            self.stream.write_all(&hello)?;
        }
        fill(&mut self.stream, &mut self.answer, &mut self.received)?;
        if self.answer == ANSWER {
            Ok(())
        } else {
            Err(io::Error::other("a wrong answer to the hello came"))
        }
    }

    /// That the bytes ended with a FIN is all there is to see.
    pub fn check_end(&mut self) -> Result<(), String> {
        Ok(())
    }
}
