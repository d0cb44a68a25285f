//! Much through one connection, by a client that waits.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use openssl::ssl::{ShutdownState, SslStream};

use crate::client::Client;
use crate::protocol::{ANSWER, CHUNK, Request};

/// For one read or write.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// For one transfer, however slowly its bytes trickle.
const TRANSFER_LIMIT: Duration = Duration::from_secs(300);

/// Exactly so many zero bytes come, and then the end.
pub fn download(client: &Client, bytes: u64) -> Result<(), String> {
    let end = Instant::now() + TRANSFER_LIMIT;
    let mut stream = begin(client, Request::Source(bytes))?;
    let mut buffer = vec![0; CHUNK];
    let mut count = 0;
    loop {
        let n = stream
            .read(&mut buffer)
            .map_err(|e| format!("reading failed after {count} bytes: {e}"))?;
        if n == 0 {
            break;
        }
        if buffer[..n].iter().any(|byte| *byte != 0) {
            return Err(format!("a wrong byte came after {count}"));
        }
        count += n as u64;
        if Instant::now() > end {
            return Err(format!("too slow: {count} bytes of {bytes} came"));
        }
    }
    if count == bytes {
        check_end(&mut stream)
    } else {
        Err(format!("{count} bytes came instead of {bytes}"))
    }
}

/// The backend takes so many bytes and says so.
pub fn upload(client: &Client, bytes: u64) -> Result<(), String> {
    let end = Instant::now() + TRANSFER_LIMIT;
    let mut stream = begin(client, Request::Sink(bytes))?;
    let buffer = vec![0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(CHUNK as u64) as usize;
        stream
            .write_all(&buffer[..n])
            .map_err(|e| format!("writing failed with {left} bytes left: {e}"))?;
        left -= n as u64;
        if Instant::now() > end {
            return Err(format!("too slow: {left} bytes of {bytes} are left"));
        }
    }
    let mut answer = Vec::with_capacity(ANSWER.len());
    stream
        .read_to_end(&mut answer)
        .map_err(|e| format!("no answer after {bytes} bytes: {e}"))?;
    if answer == ANSWER {
        check_end(&mut stream)
    } else {
        Err("a wrong answer came".to_owned())
    }
}

fn begin(client: &Client, request: Request) -> Result<SslStream<TcpStream>, String> {
    let mut stream = client.connect()?;
    let socket = stream.get_ref();
    socket
        .set_read_timeout(Some(STEP_LIMIT))
        .and_then(|()| socket.set_write_timeout(Some(STEP_LIMIT)))
        .map_err(|e| format!("unable to prepare a connection: {e}"))?;
    stream
        .connect()
        .map_err(|e| format!("handshake failed: {e}"))?;
    client.check(&stream)?;
    stream
        .write_all(&request.message())
        .map_err(|e| format!("sending failed: {e}"))?;
    Ok(stream)
}

/// The end was said inside TLS, so nobody cut the bytes off.
fn check_end(stream: &mut SslStream<TcpStream>) -> Result<(), String> {
    if stream.get_shutdown().contains(ShutdownState::RECEIVED) {
        Ok(())
    } else {
        Err("no close_notify at the end".to_owned())
    }
}
