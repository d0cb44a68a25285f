//! What every run needs before the first router starts: a hosts directory, and the ClientHello that all clients say.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVersion};

use crate::common::scratch::Scratch;

pub const NAME: &str = "routed.example";

pub struct Materials {
    pub scratch: Scratch,
    /// The current directory of ours.
    pub hosts: PathBuf,
    /// Where the backend listens, for all.
    pub socket: PathBuf,
    pub hello: Vec<u8>,
}

impl Materials {
    pub fn make() -> Result<Materials, String> {
        let hello = hello().map_err(|e| format!("unable to make a ClientHello: {e}"))?;
        let scratch = Scratch::make()?;
        let hosts = scratch.directory.join("hosts");
        let host = hosts.join(NAME);
        fs::create_dir_all(&host).map_err(|e| format!("unable to make {}: {e}", host.display()))?;
        Ok(Materials {
            scratch,
            hosts,
            socket: host.join("tls-socket"),
            hello,
        })
    }
}

/// What OpenSSL says first to a server of this name.
fn hello() -> Result<Vec<u8>, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    let mut ssl = Ssl::new(&context.build())?;
    ssl.set_hostname(NAME)?;
    let mut stream = SslStream::new(ssl, Heard(Vec::new()))?;
    // It waits for an answer that never comes.
    let _ = stream.connect();
    Ok(std::mem::take(&mut stream.get_mut().0))
}

/// Hears all and answers nothing.
struct Heard(Vec<u8>);

impl Read for Heard {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
