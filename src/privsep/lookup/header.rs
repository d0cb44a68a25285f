//! Reading a PROXY header from a client's socket, and not a byte more: what follows it is for the session.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::net::TcpStream;

use crate::net::proxy_header::{Announced, MAX_HEADER, Parser};
use crate::sys::descriptor;

/// Waits until the header is whole or wrong; for how long is the caller's affair.
pub async fn read(client: OwnedFd) -> Result<Announced, String> {
    let failed = |error: io::Error| format!("unable to read PROXY header: {error}");
    let client = watched(client).map_err(failed)?;
    let mut parser = Parser::default();
    loop {
        let mut bytes = [0; MAX_HEADER];
        let seen = client.peek(&mut bytes).await.map_err(failed)?;
        if seen == 0 {
            return Err(match parser.is_empty() {
                true => "the client left without a PROXY header".into(),
                false => "PROXY header cut off".into(),
            });
        }
        let parsed = parser.take(&bytes[..seen]);
        let (belongs, announced) = parsed.map_err(|bad| bad.to_string())?;
        // What was seen is there: nobody else reads from this socket yet.
        let taken = client.try_read(&mut bytes[..belongs]).map_err(failed)?;
        if taken != belongs {
            return Err("PROXY header lost".into());
        }
        if let Some(announced) = announced {
            return Ok(announced);
        }
    }
}

/// The socket of a listener that does not read it is set for a session that does, a little early.
fn watched(client: OwnedFd) -> io::Result<TcpStream> {
    descriptor::set_nonblocking(client.as_fd())?;
    TcpStream::from_std(client.into())
}
