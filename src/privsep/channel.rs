//! Typed messages of bounded size between two roles. The direction is in the type: what one end sends is what the
//! other receives. A message that does not decode is the sender's fault and ends the channel, never the receiver.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::sys::{descriptor, message};

thread_local! {
    /// Where messages arrive: one buffer as long as the longest message for all channels of a process, so that
    /// a message costs no allocation.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Something that crosses a channel.
pub trait Message: Sized {
    /// The most bytes that one encoded message takes.
    const MAX: usize;
    fn encode(&self, out: &mut Writer);
    fn decode(input: &mut Reader<'_>) -> Option<Self>;
}

type Direction<Out, In> = (fn(Out), fn() -> In);
type Pair<Out, In> = (Channel<Out, In>, Channel<In, Out>);

/// One end of a channel: sends `Out`, receives `In`.
pub struct Channel<Out, In> {
    end: OwnedFd,
    direction: PhantomData<Direction<Out, In>>,
}

/// Why nothing more comes from a channel.
#[derive(Debug)]
pub enum ChannelError {
    /// The other end is closed or dead.
    Closed,
    /// The other end broke the protocol.
    Malformed,
    /// No answer in the time given.
    TimedOut,
    System(Errno),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelError::Closed => f.write_str("the other end is gone"),
            ChannelError::Malformed => f.write_str("malformed message"),
            ChannelError::TimedOut => f.write_str("no answer in time"),
            ChannelError::System(reason) => f.write_str(reason.desc()),
        }
    }
}

impl<Out: Message, In: Message> Channel<Out, In> {
    pub fn pair() -> Result<Pair<Out, In>, Errno> {
        let (one, other) = message::pair()?;
        Ok((Channel::from_end(one), Channel::from_end(other)))
    }

    pub fn from_end(end: OwnedFd) -> Channel<Out, In> {
        Channel {
            end,
            direction: PhantomData,
        }
    }

    pub fn into_end(self) -> OwnedFd {
        self.end
    }

    /// Sends a message and copies of the descriptors; waits for room.
    pub fn send(&self, message: &Out, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.transmit(message, descriptors, true)
    }

    /// Like [`Channel::send`], but a full channel is `System(EAGAIN)`.
    pub fn try_send(
        &self,
        message: &Out,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        self.transmit(message, descriptors, false)
    }

    fn transmit(
        &self,
        message: &Out,
        descriptors: &[BorrowedFd<'_>],
        wait: bool,
    ) -> Result<(), ChannelError> {
        let bytes = encode(message);
        if bytes.len() > Out::MAX {
            return Err(ChannelError::System(Errno::EMSGSIZE));
        }
        message::send(self.end.as_fd(), &bytes, descriptors, wait).map_err(|errno| match errno {
            Errno::EPIPE | Errno::ECONNRESET => ChannelError::Closed,
            other => ChannelError::System(other),
        })
    }

    /// Waits for the next message.
    pub fn receive(&self) -> Result<(In, Vec<OwnedFd>), ChannelError> {
        self.take(true)?.ok_or(ChannelError::TimedOut)
    }

    /// Has [`Channel::receive`] wait no longer than this from now on.
    pub fn limit_waits(&self, time: Duration) -> Result<(), Errno> {
        let time = TimeVal::milliseconds(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        setsockopt(&self.end, sockopt::ReceiveTimeout, &time)
    }

    /// Waits for the next message, but no longer than this.
    pub fn receive_within(&self, time: Duration) -> Result<(In, Vec<OwnedFd>), ChannelError> {
        let deadline = std::time::Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Err(ChannelError::TimedOut);
            }
            let [ready] = descriptor::wait([Some((self.as_fd(), PollFlags::POLLIN))], left)
                .map_err(ChannelError::System)?;
            if ready.readable {
                return self.receive();
            }
        }
    }

    /// The next message if one is there.
    pub fn try_receive(&self) -> Result<Option<(In, Vec<OwnedFd>)>, ChannelError> {
        self.take(false)
    }

    fn take(&self, wait: bool) -> Result<Option<(In, Vec<OwnedFd>)>, ChannelError> {
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() < In::MAX {
                // Fresh zero pages: what no message reaches takes no memory.
                *buffer = vec![0; In::MAX];
            }
            let received = match message::receive(self.end.as_fd(), &mut buffer[..In::MAX], wait) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ECONNRESET) => return Err(ChannelError::Closed),
                Err(errno) => return Err(ChannelError::System(errno)),
            };
            if received.length == 0 {
                return Err(ChannelError::Closed);
            }
            if received.truncated {
                return Err(ChannelError::Malformed);
            }
            match decode(&buffer[..received.length]) {
                Some(message) => Ok(Some((message, received.descriptors))),
                None => Err(ChannelError::Malformed),
            }
        })
    }
}

impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// A message's bytes.
pub fn encode(message: &impl Message) -> Vec<u8> {
    let mut writer = Writer::default();
    message.encode(&mut writer);
    writer.bytes
}

/// The message that these bytes are, and nothing behind it.
pub fn decode<M: Message>(bytes: &[u8]) -> Option<M> {
    let mut reader = Reader { rest: bytes };
    M::decode(&mut reader).filter(|_| reader.rest.is_empty())
}

/// Builds the bytes of a message: integers in network order, strings behind their length.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn short(&mut self, value: u16) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub fn long(&mut self, value: u64) {
        self.bytes.extend(value.to_be_bytes());
    }

    /// A length beyond 32 bits is beyond every message's bound as well, and is refused with it.
    pub fn string(&mut self, value: &[u8]) {
        self.word(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.bytes.extend(value);
    }
}

/// Takes a message apart; every step answers `None` when the bytes run out.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    pub fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.word()?).ok()?;
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    /// Text that goes to the log: bytes that are no UTF-8 are replaced.
    pub fn text(&mut self) -> Option<String> {
        self.string()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}
