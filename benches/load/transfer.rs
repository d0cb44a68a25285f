//! Much through one connection, by a client that waits.
#![forbid(unsafe_code)]

use std::io::{Read, Write};

use super::protocol::{ANSWER, Request};
use crate::client::{Client, Connection};
use crate::common::stream::{give_zeros, take_zeros};

/// Exactly so many zero bytes come, and then the end.
pub fn download(client: &Client, bytes: u64) -> Result<(), String> {
    let mut connection = begin(client, Request::Source(bytes))?;
    take_zeros(&mut connection.stream, bytes)?;
    connection.check_end()
}

/// The backend takes so many bytes and says so.
pub fn upload(client: &Client, bytes: u64) -> Result<(), String> {
    let mut connection = begin(client, Request::Sink(bytes))?;
    give_zeros(&mut connection.stream, bytes)?;
    let mut answer = Vec::with_capacity(ANSWER.len());
    connection
        .stream
        .read_to_end(&mut answer)
        .map_err(|e| format!("no answer after {bytes} bytes: {e}"))?;
    if answer != ANSWER {
        return Err("a wrong answer came".to_owned());
    }
    connection.check_end()
}

fn begin(client: &Client, request: Request) -> Result<Connection, String> {
    let mut connection = client.connect()?;
    connection
        .open()
        .and_then(|()| connection.stream.write_all(&request.message()))
        .map_err(|e| format!("a connection could not be opened: {e}"))?;
    Ok(connection)
}
