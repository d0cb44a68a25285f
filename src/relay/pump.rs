//! The pump between a TLS peer and a plain one. It keeps the promises of the relay: half-close both ways, every byte
//! of either side delivered before its end is, reading stops where the other side does not take.
//!
//! It remembers what is ready until the kernel says otherwise, so that it serves a poll(2) loop with one connection as
//! well as an edge-triggered epoll(7) with thousands: tell it what is ready, and let it turn while it has work.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::buffer::{Buffer, Scratch};
use super::plain::Plain;
pub use super::readiness::Readiness;
use crate::sys::descriptor::Ready;
use crate::sys::stream::Stream;
use crate::tls::stream::{Got, Tls, TlsError};

/// One relayed connection after its handshake.
pub struct Pump<P> {
    tls: Tls,
    socket: Stream,
    plain: P,
    /// Decrypted, not yet taken by the plain side.
    pending: Buffer,
    peer: Readiness,
    input: Readiness,
    output: Readiness,
    /// What the handshake left to be sent may wait for the first data to go with it.
    held: bool,
    /// A bare end of the peer's stream is no end of what it had to say.
    strict: bool,
    peer_ended: bool,
    /// Its end was no close_notify.
    was_cut: bool,
    /// That is not told to a plain side that may be about to leave.
    doubts: bool,
    /// That was told to the plain side.
    heard_cut: bool,
    /// close_notify and FIN are sent.
    closed: bool,
    gone: Option<Errno>,
    /// The plain side was cut off before its end, for this reason.
    cut: Option<Errno>,
    received: u64,
    sent: u64,
}

/// The descriptors of a pump with the events that it waits for: the TLS peer, the plain side's input and its output.
pub type Interest<'a> = [Option<(BorrowedFd<'a>, PollFlags)>; 3];

impl<P: Plain> Pump<P> {
    /// All descriptors must be non-blocking. `preamble` goes to the plain side before the peer's first byte.
    pub fn new(tls: Tls, socket: Stream, plain: P, preamble: &[u8]) -> Pump<P> {
        let mut pending = Buffer::default();
        if !preamble.is_empty() {
            pending.append(preamble);
        }
        Pump {
            tls,
            socket,
            plain,
            pending,
            peer: Readiness::default(),
            input: Readiness::default(),
            output: Readiness::default(),
            held: false,
            strict: false,
            peer_ended: false,
            was_cut: false,
            doubts: false,
            heard_cut: false,
            closed: false,
            gone: None,
            cut: None,
            received: 0,
            sent: 0,
        }
    }

    /// What the loop has seen of both sockets before there was a pump.
    pub fn know(&mut self, peer: Readiness, plain: Readiness) {
        (self.peer, self.input, self.output) = (peer, plain, plain);
    }

    /// Takes a peer's end without close_notify for an attack, not for the habit of many clients.
    pub fn be_strict(&mut self) {
        self.strict = true;
    }

    /// Has a peer's end without close_notify wait for [`Pump::believe`], if the plain side has said its own: a process
    /// that ends closes its descriptors one after the other, and may not be there any more to hear of it.
    pub fn be_doubtful(&mut self) {
        self.doubts = true;
    }

    pub fn is_in_doubt(&self) -> bool {
        self.doubts && self.was_cut && self.closed && self.has_input()
    }

    pub fn believe(&mut self, scratch: &mut Scratch) {
        self.doubts = false;
        self.settle(scratch);
    }

    /// Has what the handshake left to be sent wait for the first data, or for [`Pump::let_go`].
    pub fn hold(&mut self) {
        self.held = !self.tls.wire().output.is_empty();
    }

    /// Says our end to the peer as far as there is room, when the connection is given up.
    pub fn abandon(&mut self, scratch: &mut Scratch) {
        self.tls.close();
        self.flush(scratch);
    }

    pub fn is_held(&self) -> bool {
        self.held
    }

    pub fn let_go(&mut self, scratch: &mut Scratch) {
        if self.held {
            self.flush(scratch);
        }
    }

    /// The sockets that have no room for what is to be sent, the TLS peer's first.
    pub fn blocked(&mut self) -> [Option<BorrowedFd<'_>>; 2] {
        let unsent = !self.tls.wire().output.is_empty();
        let peer = unsent && !self.peer.writable && self.gone.is_none();
        let plain = !self.pending.is_empty() && !self.input.writable;
        [
            peer.then(|| self.socket.as_fd()),
            self.plain.input().filter(|_| plain),
        ]
    }

    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Decrypted bytes from the peer, and bytes of the plain side's, so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// How many bytes are kept because somebody did not take them.
    pub fn kept(&mut self) -> usize {
        let wire = self.tls.wire();
        wire.input.len() + wire.output.len() + self.pending.len()
    }

    /// Both sides are done and everything is delivered.
    pub fn is_complete(&self) -> bool {
        let is_over = self.peer_ended || self.gone.is_some();
        self.closed && is_over && self.pending.is_empty() && !self.is_in_doubt()
    }

    /// The plain side has gone and been heard to the end; only the peer may still hang on.
    pub fn is_lingering(&self) -> bool {
        self.closed && self.plain.input().is_none()
    }

    /// Our end is sent.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The peer went away before the plain side was done, for this reason.
    pub fn peer_gone(&self) -> Option<Errno> {
        self.gone
    }

    /// What the plain side took for the peer's end was none that TLS knows.
    pub fn heard_cut(&self) -> bool {
        self.heard_cut
    }

    /// The plain side broke off in the middle, for this reason.
    pub fn plain_cut(&self) -> Option<Errno> {
        self.cut
    }

    /// Ends the plain side's input, whatever the peer may still send.
    pub fn end_input(&mut self) {
        self.plain.end_input();
        self.pending.clear();
    }

    /// True as long as the plain side's input is open.
    pub fn has_input(&self) -> bool {
        self.plain.input().is_some()
    }

    /// What is left of a connection that is over: the TLS peer's socket, or the plain side.
    pub fn into_parts(self) -> (Stream, P) {
        (self.socket, self.plain)
    }

    /// Gives back what an idle connection need not keep.
    pub fn release(&mut self) {
        self.pending.release();
        self.tls.wire().input.release();
        self.tls.wire().output.release();
    }

    /// For a loop that waits with poll(2); what is known to be ready is not asked for again.
    pub fn interest(&mut self) -> Interest<'_> {
        let unsent = !self.tls.wire().output.is_empty();
        let mut network = PollFlags::empty();
        network.set(PollFlags::POLLIN, self.wants_peer());
        network.set(PollFlags::POLLOUT, unsent && !self.held);
        // An input that waits for nothing is watched all the same: an error there is the reader's end.
        let mut input = PollFlags::empty();
        input.set(PollFlags::POLLOUT, !self.pending.is_empty());
        let output = self.plain.output().filter(|_| !unsent || self.held);
        // A socket that is watched for nothing still tells of a reset; but once both sides have said their end it
        // would tell of that for ever.
        let watched = self.gone.is_none() && !(network.is_empty() && self.closed);
        [
            watched.then(|| (self.socket.as_fd(), network)),
            self.plain.input().map(|end| (end, input)),
            output.map(|end| (end, PollFlags::POLLIN)),
        ]
    }

    fn wants_peer(&self) -> bool {
        !self.peer_ended
            && self.gone.is_none()
            && self.pending.is_empty()
            && (self.has_input() || self.closed)
    }

    /// Takes in what is ready, in the order of [`Pump::interest`].
    pub fn notice(&mut self, ready: [Ready; 3]) {
        let [peer, input, output] = ready;
        // A hang-up while nothing is to be read is a reset, unless both have said their end and it waits to be read.
        if peer.broken || peer.hung_up && !self.wants_peer() && !self.closed {
            self.lose_peer(self.socket.error().unwrap_or(Errno::ECONNRESET));
        }
        self.peer.take(peer);
        if input.broken {
            self.end_input();
        }
        self.input.take(input);
        self.output.take(output);
    }

    /// Something could be moved without waiting for more to become ready.
    pub fn has_work(&mut self) -> bool {
        let unsent = !self.tls.wire().output.is_empty() && !self.held;
        unsent && self.peer.writable && self.gone.is_none()
            || !self.pending.is_empty() && self.input.writable && self.has_input()
            || self.peer.readable && self.wants_peer()
            || self.output.readable && !unsent && self.plain.output().is_some()
    }

    /// Moves what can be moved, at most a batch each way. An error means that the peer broke the protocol.
    pub fn turn(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        if self.peer.writable && !self.held {
            self.flush(scratch);
        }
        if self.input.writable && !self.pending.is_empty() {
            // What was received before the plain side stopped taking is not announced again.
            self.decrypt(scratch)?;
        }
        if self.peer.readable && self.wants_peer() {
            self.pull_peer(scratch)?;
        }
        if self.output.readable && (self.held || self.tls.wire().output.is_empty()) {
            self.pull_plain(scratch)?;
        }
        self.settle(scratch);
        Ok(())
    }

    /// Decrypts what came in together with the end of the handshake, before anything is waited for.
    pub fn start(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        self.decrypt(scratch)?;
        if !self.held {
            self.flush(scratch);
        }
        self.settle(scratch);
        Ok(())
    }

    fn pull_peer(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        let batch = scratch.batch();
        match self.socket.read(&mut scratch.wire[..batch]) {
            Ok(0) => {
                self.peer.readable = false;
                self.tls.wire().ended = true;
            }
            Ok(count) => {
                self.peer.drained(count < batch);
                scratch.hand_wire(&mut self.tls.wire().input, count);
            }
            Err(Errno::EAGAIN) => {
                self.peer.readable = false;
                return Ok(());
            }
            Err(errno) => {
                self.peer.readable = false;
                self.lose_peer(errno);
                return Ok(());
            }
        }
        let verdict = self.decrypt(scratch);
        scratch.take_wire_back(&mut self.tls.wire().input);
        // A key update or an alert of OpenSSL's own may have been made.
        if !self.held {
            self.flush(scratch);
        }
        verdict
    }

    /// Decrypts and hands on, after what is pending, until one side has no more.
    fn decrypt(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        loop {
            // What is pending goes first, in the same write if there is room for both.
            let kept = self.pending.len();
            if kept >= scratch.plain.len() / 2 {
                self.deliver();
                if !self.pending.is_empty() {
                    return Ok(());
                }
                continue;
            }
            scratch.plain[..kept].copy_from_slice(self.pending.as_slice());
            self.pending.clear();
            let mut filled = kept;
            let mut verdict = Ok(Got::Nothing);
            while !self.peer_ended && filled < scratch.plain.len() {
                verdict = self.tls.read(&mut scratch.plain[filled..]);
                match verdict {
                    Ok(Got::Data(count)) => filled += count,
                    _ => break,
                }
                if self.tls.is_drained() {
                    verdict = Ok(Got::Nothing);
                    break;
                }
            }
            self.received += (filled - kept) as u64;
            let taken = self.offer(&scratch.plain[..filled]);
            if self.has_input() && taken < filled {
                self.pending.append(&scratch.plain[taken..filled]);
            }
            match verdict {
                Ok(Got::Data(_)) if self.pending.is_empty() => {}
                Ok(Got::Data(_) | Got::Nothing) => return Ok(()),
                Ok(Got::Cut) if self.strict => {
                    return Err(TlsError("it ended without close_notify".into()));
                }
                Ok(end @ (Got::End | Got::Cut)) => {
                    self.peer_ended = true;
                    self.was_cut = end == Got::Cut;
                    return Ok(());
                }
                Err(error) => {
                    self.flush(scratch);
                    return Err(error);
                }
            }
        }
    }

    /// Hands pending bytes to the plain side.
    fn deliver(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.consume(self.offer(pending.as_slice()));
        if self.has_input() {
            self.pending = pending;
        }
    }

    /// Writes to the plain side what it takes, and answers how much that was.
    fn offer(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && self.has_input() {
            match self.plain.write(&bytes[taken..]) {
                Ok(count) => {
                    taken += count;
                    if taken < bytes.len() {
                        self.input.writable = false;
                        break;
                    }
                }
                Err(Errno::EAGAIN) => {
                    self.input.writable = false;
                    break;
                }
                // It does not read any more; it may still write.
                Err(_) => self.end_input(),
            }
        }
        taken
    }

    fn pull_plain(&mut self, scratch: &mut Scratch) -> Result<(), TlsError> {
        if self.plain.output().is_none() {
            return Ok(());
        }
        let mut filled = 0;
        // An end that follows at once goes out with the data.
        let batch = scratch.batch();
        while self.output.readable && filled < batch {
            match self.plain.read(&mut scratch.plain[filled..batch]) {
                Ok(0) => self.end_output(),
                Ok(count) => {
                    self.output.drained(count < batch - filled);
                    scratch.lend_room(&mut self.tls.wire().output);
                    self.tls.write(&scratch.plain[filled..filled + count])?;
                    filled += count;
                }
                Err(Errno::EAGAIN) => self.output.readable = false,
                // It was cut off. Without close_notify the peer does not take it for the whole.
                Err(errno) => {
                    self.cut = Some(errno);
                    self.output.readable = false;
                    self.plain.end_output();
                }
            }
        }
        self.sent += filled as u64;
        // What comes before our end goes out with it.
        if self.plain.output().is_some() {
            self.flush(scratch);
        }
        Ok(())
    }

    fn end_output(&mut self) {
        self.output.readable = false;
        self.plain.end_output();
        self.tls.close();
    }

    /// Sends what is made.
    fn flush(&mut self, scratch: &mut Scratch) {
        self.send(scratch, Stream::write);
    }

    fn send(&mut self, scratch: &mut Scratch, write: fn(&Stream, &[u8]) -> Result<usize, Errno>) {
        self.held = false;
        while self.gone.is_none() && !self.tls.wire().output.is_empty() {
            match write(&self.socket, self.tls.wire().output.as_slice()) {
                Ok(count) => {
                    self.tls.wire().output.consume(count);
                    if !self.tls.wire().output.is_empty() {
                        self.peer.writable = false;
                        break;
                    }
                }
                Err(Errno::EAGAIN) => {
                    self.peer.writable = false;
                    break;
                }
                Err(errno) => self.lose_peer(errno),
            }
        }
        scratch.take_room_back(&mut self.tls.wire().output);
    }

    /// Nothing reaches the peer any more. What it said before is still delivered; the plain side's output breaks.
    fn lose_peer(&mut self, errno: Errno) {
        if self.closed {
            // It had everything, our end included, and closed without reading the last of it: a reset, no loss of ours.
            self.was_cut |= !self.peer_ended;
            self.peer_ended = true;
            return;
        }
        self.gone = Some(errno);
        self.plain.end_output();
        self.tls.wire().output.clear();
    }

    /// Passes ends on once everything before them is delivered.
    fn settle(&mut self, scratch: &mut Scratch) {
        let ending = !self.closed && self.plain.output().is_none();
        if ending && self.peer.writable {
            self.send(scratch, Stream::write_last);
        }
        let over = self.peer_ended || self.gone.is_some();
        let untold = self.doubts && self.was_cut && self.plain.output().is_none();
        if over && self.pending.is_empty() && !untold {
            self.heard_cut |= self.was_cut && self.has_input();
            self.plain.end_input();
        }
        if ending && self.tls.wire().output.is_empty() {
            self.closed = true;
            self.socket.shut_write();
        }
    }
}
