//! The pump between a TLS client and an application's two pipes. It keeps the promises of the relay: half-close both
//! ways, every byte of either side delivered before its end is, reading stops where the other side does not take.
#![forbid(unsafe_code)]

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::PollFlags;

use super::buffer::{BATCH, Buffer, Scratch};
use crate::sys::descriptor::Ready;
use crate::sys::socket::is_temporary;
use crate::sys::words;
use crate::tls::stream::{Got, Tls, TlsError};

/// The size of a new pipe on Linux; one that fills up is made to hold a batch.
const PIPE_SIZE: usize = 64 * 1024;

/// One relayed connection after its handshake.
pub struct Pump {
    tls: Tls,
    socket: TcpStream,
    /// Write end of the application's input; dropped to end it.
    input: Option<Pipe>,
    /// Read end of the application's output; dropped when it has ended.
    output: Option<Pipe>,
    /// Decrypted, not yet taken by the application.
    pending: Buffer,
    client_ended: bool,
    /// close_notify and FIN are sent.
    closed: bool,
    gone: Option<String>,
    received: u64,
    sent: u64,
}

/// The descriptors of a pump with the events that it waits for, in the order [`Pump::turn`] takes the answers.
pub type Interest<'a> = [Option<(BorrowedFd<'a>, PollFlags)>; 3];

impl Pump {
    /// All three descriptors must be non-blocking.
    pub fn new(tls: Tls, socket: TcpStream, input: OwnedFd, output: OwnedFd) -> Pump {
        Pump {
            tls,
            socket,
            input: Some(Pipe::new(input)),
            output: Some(Pipe::new(output)),
            pending: Buffer::default(),
            client_ended: false,
            closed: false,
            gone: None,
            received: 0,
            sent: 0,
        }
    }

    /// Decrypted bytes from the client, and bytes of the application's, so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Both sides are done and everything is delivered.
    pub fn is_complete(&self) -> bool {
        self.closed && (self.client_ended || self.gone.is_some()) && self.pending.is_empty()
    }

    /// The application has gone and been heard to the end; only the client may still hang on.
    pub fn is_lingering(&self) -> bool {
        self.closed && self.input.is_none()
    }

    /// The client went away before the application was done, for this reason.
    pub fn client_gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    /// Ends the application's input, whatever the client may still send.
    pub fn end_input(&mut self) {
        self.input = None;
        self.pending.clear();
    }

    /// True as long as the application's input is open.
    pub fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// Gives back what an idle connection need not keep.
    pub fn release(&mut self) {
        self.pending.release();
        self.tls.wire().input.release();
        self.tls.wire().output.release();
    }

    pub fn interest(&mut self) -> Interest<'_> {
        let unsent = !self.tls.wire().output.is_empty();
        let mut network = PollFlags::empty();
        network.set(PollFlags::POLLIN, self.wants_client());
        network.set(PollFlags::POLLOUT, unsent);
        // An input that waits for nothing is watched all the same: an error there is the reader's end.
        let mut input = PollFlags::empty();
        input.set(PollFlags::POLLOUT, !self.pending.is_empty());
        let output = self.output.as_ref().filter(|_| !unsent);
        // A socket that is watched for nothing still tells of a reset; but once both sides have said their end it
        // would tell of that for ever.
        let watched = self.gone.is_none() && !(network.is_empty() && self.closed);
        [
            watched.then(|| (self.socket.as_fd(), network)),
            self.input.as_ref().map(|pipe| (pipe.end.as_fd(), input)),
            output.map(|pipe| (pipe.end.as_fd(), PollFlags::POLLIN)),
        ]
    }

    fn wants_client(&self) -> bool {
        !self.client_ended && self.pending.is_empty() && (self.input.is_some() || self.closed)
    }

    /// Moves what can be moved, at most a batch each way. An error means that the client broke the protocol.
    pub fn turn(&mut self, ready: [Ready; 3], scratch: &mut Scratch) -> Result<(), TlsError> {
        let [network, input, output] = ready;
        // What was waited for; the next lines may change what is wanted.
        let watched = self.wants_client();
        if network.writable {
            self.flush();
        }
        if input.broken {
            self.end_input();
        } else if input.writable {
            self.deliver();
            // What was received before the application stopped taking is not announced again.
            self.decrypt(scratch)?;
        }
        if network.broken || network.readable && !watched {
            let error = self.socket.take_error().ok().flatten();
            self.lose_client(&error.unwrap_or_else(|| Errno::ECONNRESET.into()));
        } else if network.readable && self.wants_client() {
            self.pull_client(scratch)?;
        }
        if output.readable && self.tls.wire().output.is_empty() {
            self.pull_application(scratch)?;
        }
        self.settle();
        Ok(())
    }

    /// Decrypts what came in together with the end of the handshake, before anything is waited for.
    pub fn start(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        self.decrypt(scratch)?;
        self.flush();
        self.settle();
        Ok(())
    }

    fn pull_client(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        match io::Read::read(&mut &self.socket, &mut scratch.wire) {
            Ok(0) => self.tls.wire().ended = true,
            Ok(count) => self.tls.wire().input.append(&scratch.wire[..count]),
            Err(error) if is_temporary(&error) => return Ok(()),
            Err(error) => {
                self.lose_client(&error);
                return Ok(());
            }
        }
        self.decrypt(scratch)?;
        // A key update or an alert of OpenSSL's own may have been made.
        self.flush();
        Ok(())
    }

    fn decrypt(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        while !self.client_ended && self.pending.is_empty() {
            let mut filled = 0;
            let mut verdict = Ok(Got::Nothing);
            while filled < scratch.plain.len() {
                verdict = self.tls.read(&mut scratch.plain[filled..]);
                match verdict {
                    Ok(Got::Data(count)) => filled += count,
                    _ => break,
                }
            }
            self.received += filled as u64;
            let taken = self.offer(&scratch.plain[..filled]);
            if self.input.is_some() {
                self.pending.append(&scratch.plain[taken..filled]);
            }
            match verdict {
                Ok(Got::Data(_)) => {}
                Ok(Got::Nothing) => break,
                Ok(Got::End) => self.client_ended = true,
                Err(error) => {
                    self.flush();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Hands pending bytes to the application.
    fn deliver(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.consume(self.offer(pending.as_slice()));
        if self.input.is_some() {
            self.pending = pending;
        }
    }

    /// Writes to the application's input what it takes, and answers how much that was.
    fn offer(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(input) = self.input.as_mut()
            && taken < bytes.len()
        {
            match nix::unistd::write(&input.end, &bytes[taken..]) {
                Ok(count) => taken += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    input.widen();
                    break;
                }
                // The application does not read any more; it may still write.
                Err(_) => self.end_input(),
            }
        }
        taken
    }

    fn pull_application(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        let Some(output) = self.output.as_mut() else {
            return Ok(());
        };
        match nix::unistd::read(&output.end, &mut scratch.plain) {
            Ok(0) => self.end_output(),
            Ok(count) => {
                if count == PIPE_SIZE {
                    output.widen();
                }
                self.sent += count as u64;
                self.tls.write(&scratch.plain[..count])?;
            }
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(()),
            Err(_) => self.end_output(),
        }
        self.flush();
        Ok(())
    }

    fn end_output(&mut self) {
        self.output = None;
        self.tls.close();
    }

    /// Sends what is made.
    fn flush(&mut self) {
        while self.gone.is_none() && !self.tls.wire().output.is_empty() {
            match io::Write::write(&mut &self.socket, self.tls.wire().output.as_slice()) {
                Ok(count) => self.tls.wire().output.consume(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_temporary(&error) => break,
                Err(error) => self.lose_client(&error),
            }
        }
    }

    /// Nothing reaches the client any more. What it said before is still delivered; the application's output breaks.
    fn lose_client(&mut self, error: &io::Error) {
        if self.closed {
            // It had everything, our end included, and closed without reading the last of it: a reset, no loss.
            self.client_ended = true;
            return;
        }
        self.gone = Some(words::reason(error));
        self.output = None;
        self.tls.wire().output.clear();
    }

    /// Passes ends on once everything before them is delivered.
    fn settle(&mut self) {
        let over = self.client_ended || self.gone.is_some();
        if over && self.pending.is_empty() {
            self.input = None;
        }
        if !self.closed && self.output.is_none() && self.tls.wire().output.is_empty() {
            self.closed = true;
            // Fails only where the connection is gone already.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }
}

/// One of the application's pipes.
struct Pipe {
    end: OwnedFd,
    widened: bool,
}

impl Pipe {
    fn new(end: OwnedFd) -> Pipe {
        Pipe {
            end,
            widened: false,
        }
    }

    /// Makes room for a batch in a pipe that was found full. The kernel may refuse, then it stays as it is.
    fn widen(&mut self) {
        if !self.widened {
            self.widened = true;
            let _ = fcntl(&self.end, FcntlArg::F_SETPIPE_SZ(BATCH as i32));
        }
    }
}
