//! A client's connection, and much through it.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// For one connect, and for one read or write that waits.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// For one transfer, however slowly its bytes trickle.
const TRANSFER_LIMIT: Duration = Duration::from_secs(300);

/// How much is read and written at once where much is moved.
pub const CHUNK: usize = 256 * 1024;

pub fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, STEP_LIMIT).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STEP_LIMIT))?;
        stream.set_write_timeout(Some(STEP_LIMIT))?;
        Ok(stream)
    });
    stream.map_err(|e| format!("unable to connect: {e}"))
}

/// Exactly so many zero bytes come, and then the end.
pub fn take_zeros(from: &mut impl Read, bytes: u64) -> Result<(), String> {
    let end = Instant::now() + TRANSFER_LIMIT;
    let mut buffer = vec![0; CHUNK];
    let mut count = 0;
    loop {
        let n = from
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
            return Err(format!("too slow: {count} bytes of {bytes} came"));
        }
    }
    if count == bytes {
        Ok(())
    } else {
        Err(format!("{count} bytes came, not {bytes}"))
    }
}

pub fn give_zeros(to: &mut impl Write, bytes: u64) -> Result<(), String> {
    let end = Instant::now() + TRANSFER_LIMIT;
    let buffer = vec![0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(CHUNK as u64) as usize;
        to.write_all(&buffer[..n])
            .map_err(|e| format!("writing failed with {left} bytes left: {e}"))?;
        left -= n as u64;
        if Instant::now() > end {
            return Err(format!("too slow: {left} bytes of {bytes} are left"));
        }
    }
    Ok(())
}
