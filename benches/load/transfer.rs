//! Much through one connection, by a client that waits.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::protocol::{ANSWER, CHUNK, Request};
use crate::client::Client;

/// For one transfer, however slowly its bytes trickle.
const TRANSFER_LIMIT: Duration = Duration::from_secs(300);

/// Exactly so many zero bytes come, and then the end.
pub fn download(client: &Client, bytes: u64) -> Result<(), String> {
    let end = Instant::now() + TRANSFER_LIMIT;
    let mut stream = client.begin(Request::Source(bytes))?;
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
        client.check_end(stream)
    } else {
        Err(format!("{count} bytes came instead of {bytes}"))
    }
}

/// The backend takes so many bytes and says so.
pub fn upload(client: &Client, bytes: u64) -> Result<(), String> {
    let end = Instant::now() + TRANSFER_LIMIT;
    let mut stream = client.begin(Request::Sink(bytes))?;
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
        client.check_end(stream)
    } else {
        Err("a wrong answer came".to_owned())
    }
}
