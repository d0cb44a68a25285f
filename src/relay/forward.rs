//! The relay between two plain sockets: a client's TCP connection and a backend's Unix socket. Half-close both ways,
//! every byte delivered before its end is, reading stops where the other side does not take.
//!
//! Large amounts on their way up are spliced, because the pages of a TCP connection's data reach the backend's socket
//! uncopied (measured: 130 ms of processor time per GB against 155 by copying, on a busy machine 200 against 300). On
//! their way down there is nothing to be had (155 against 126), so they are copied, as everything small is.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};

use super::buffer::{BATCH, Buffer};
use super::pipes::{Pipe, Pipes};
use super::pump::Readiness;
use crate::sys::descriptor::Ready;
use crate::sys::stream::Stream;

/// From this many bytes at once on it is worthwhile to splice, and below this many no longer.
const MANY: usize = 64 * 1024;
const FEW: usize = 16 * 1024;

/// What all connections work with in their turn; nothing stays in `bytes` from one turn to the next.
pub struct Tools {
    pub bytes: Vec<u8>,
    pub pipes: Pipes,
}

impl Tools {
    pub fn new(pipes: Pipes) -> Tools {
        Tools {
            bytes: vec![0; BATCH],
            pipes,
        }
    }
}

/// One relayed connection.
pub struct Forward {
    client: End,
    backend: End,
    up: Lane,
    down: Lane,
    client_gone: bool,
}

/// A socket and what is known of it.
pub struct End {
    pub stream: Stream,
    pub ready: Readiness,
}

impl Forward {
    /// Both sockets must be non-blocking. `first` goes to the backend before everything else.
    pub fn new(client: End, backend: Stream, first: &[u8]) -> Forward {
        let mut forward = Forward {
            client,
            backend: End {
                stream: backend,
                ready: Readiness::default(),
            },
            up: Lane::default(),
            down: Lane::default(),
            client_gone: false,
        };
        forward.up.offer(first, &mut forward.backend);
        forward
    }

    pub fn client(&self) -> &Stream {
        &self.client.stream
    }

    pub fn backend(&self) -> &Stream {
        &self.backend.stream
    }

    /// Bytes delivered to the backend, and to the client.
    pub fn counts(&self) -> (u64, u64) {
        (self.up.moved, self.down.moved)
    }

    /// Both sides have had everything, their ends included, or cannot have it.
    pub fn is_complete(&self) -> bool {
        self.up.closed && self.down.closed && (self.up.ended || self.client_gone)
    }

    /// The client has had everything and nobody listens to it: only its end is missing.
    pub fn is_lingering(&self) -> bool {
        self.up.closed && self.down.closed
    }

    /// The client is gone, and not by saying its end after it had ours.
    pub fn is_client_gone(&self) -> bool {
        self.client_gone
    }

    pub fn notice_client(&mut self, ready: Ready) {
        // A hang-up before we have said our end is a reset. What came before it can still be read.
        if (ready.broken || ready.hung_up) && !self.down.closed {
            self.client_gone = true;
            self.down.drop_rest();
            // The backend's next write shall fail instead of going nowhere.
            self.down.ended = true;
        }
        self.client.ready.take(ready);
    }

    pub fn notice_backend(&mut self, ready: Ready) {
        if ready.broken || ready.hung_up {
            self.up.drop_rest();
        }
        self.backend.ready.take(ready);
    }

    /// The sockets that have no room for what waits to be sent, the client's first.
    pub fn blocked(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [(&self.down, &self.client), (&self.up, &self.backend)].map(|(lane, to)| {
            let waits = !lane.is_empty() && !to.ready.writable;
            waits.then(|| to.stream.as_fd())
        })
    }

    /// Something could be moved without waiting for more to become ready.
    pub fn has_work(&self) -> bool {
        self.up.has_work(&self.client, &self.backend)
            || self.down.has_work(&self.backend, &self.client)
    }

    /// Moves what can be moved, at most a batch each way.
    pub fn turn(&mut self, tools: &mut Tools) {
        let (client, backend) = (&mut self.client, &mut self.backend);
        self.up.turn(client, backend, tools, true);
        self.down.turn(backend, client, tools, false);
    }
}

/// One direction.
#[derive(Default)]
struct Lane {
    /// Copied, not yet taken. Empty if there is a pipe.
    rest: Buffer,
    /// With as many bytes in it, not yet taken.
    pipe: Option<(Pipe, usize)>,
    moved: u64,
    /// The source has said its end.
    ended: bool,
    /// The destination has been told of the end, or is gone.
    closed: bool,
    /// There was much to be read at once.
    is_bulk: bool,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.pipe.is_none()
    }

    fn has_work(&self, from: &End, to: &End) -> bool {
        match self.is_empty() {
            true => from.ready.readable && !self.ended,
            false => to.ready.writable,
        }
    }

    fn turn(&mut self, from: &mut End, to: &mut End, tools: &mut Tools, may_splice: bool) {
        if to.ready.writable {
            self.flush(to, &mut tools.pipes);
        }
        if self.is_empty() && from.ready.readable && !self.ended {
            let pipe = (may_splice && self.is_bulk && !self.closed)
                .then(|| tools.pipes.take())
                .flatten();
            match pipe {
                Some(pipe) => self.splice(from, to, pipe, &mut tools.pipes),
                None => self.copy(from, to, &mut tools.bytes),
            }
        }
        if self.ended && self.is_empty() && !self.closed {
            self.closed = true;
            to.stream.shut_write();
        }
    }

    fn copy(&mut self, from: &mut End, to: &mut End, bytes: &mut [u8]) {
        match from.stream.read(bytes) {
            Ok(0) => self.end(from),
            Ok(count) => {
                from.ready.drained(count < bytes.len());
                self.is_bulk = count >= MANY;
                self.offer(&bytes[..count], to);
            }
            Err(Errno::EAGAIN) => from.ready.readable = false,
            // What it had to say is said.
            Err(_) => self.end(from),
        }
    }

    /// Moves bytes into the pipe and on. The pipe stays with the lane as long as something is in it.
    fn splice(&mut self, from: &mut End, to: &mut End, pipe: Pipe, pipes: &mut Pipes) {
        match moved(&from.stream, &pipe.input, BATCH) {
            Ok(0) => self.end(from),
            Ok(count) => {
                self.is_bulk = count >= FEW;
                self.pipe = Some((pipe, count));
                return self.flush(to, pipes);
            }
            Err(Errno::EAGAIN) => from.ready.readable = false,
            Err(_) => self.end(from),
        }
        pipes.give_back(pipe);
    }

    fn end(&mut self, from: &mut End) {
        from.ready.readable = false;
        self.ended = true;
    }

    /// Writes what the destination takes and keeps the rest. For one that takes nothing any more, bytes are lost.
    fn offer(&mut self, bytes: &[u8], to: &mut End) {
        if self.closed {
            return;
        }
        match write(bytes, to) {
            Ok(count) => {
                self.moved += count as u64;
                if count < bytes.len() {
                    self.rest.append(&bytes[count..]);
                }
            }
            Err(_) => self.drop_rest(),
        }
    }

    fn flush(&mut self, to: &mut End, pipes: &mut Pipes) {
        if !self.rest.is_empty() {
            match write(self.rest.as_slice(), to) {
                Ok(count) => {
                    self.moved += count as u64;
                    self.rest.consume(count);
                    self.rest.release();
                }
                Err(_) => return self.drop_rest(),
            }
        }
        let Some((pipe, mut left)) = self.pipe.take() else {
            return;
        };
        while left > 0 {
            match moved(&pipe.output, &to.stream, left) {
                Ok(count) => {
                    self.moved += count as u64;
                    left -= count.min(left);
                }
                Err(Errno::EAGAIN) => {
                    to.ready.writable = false;
                    self.pipe = Some((pipe, left));
                    return;
                }
                Err(_) => return self.drop_rest(),
            }
        }
        pipes.give_back(pipe);
    }

    /// The destination takes nothing any more.
    fn drop_rest(&mut self) {
        self.rest = Buffer::default();
        self.pipe = None;
        self.closed = true;
    }
}

/// Writes what finds room. An error means that nothing ever will again.
fn write(bytes: &[u8], to: &mut End) -> Result<usize, Errno> {
    let count = match to.stream.write(bytes) {
        Err(Errno::EAGAIN) => 0,
        other => other?,
    };
    to.ready.writable = count == bytes.len();
    Ok(count)
}

fn moved(from: impl AsFd, to: impl AsFd, most: usize) -> Result<usize, Errno> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    loop {
        match splice(&from, None, &to, None, most, flags) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
