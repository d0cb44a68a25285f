//! Connecting to one of several addresses: those of both families in turn, each a moment after the one before it, so
//! that a dead one costs a moment and not its whole time (RFC 8305, "happy eyeballs").
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, getsockopt,
    setsockopt, socket, sockopt,
};

/// Between the beginnings of two attempts (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct Dialing {
    /// Where from; addresses of another family are not tried then.
    pub local: Option<SocketAddr>,
    /// From this port; 0: any.
    pub local_port: u16,
    /// How long each address has.
    pub first: Duration,
    /// How long those have that did not answer in that time, once all have been tried. One that is alone has both times
    /// together.
    pub second: Duration,
}

/// An address that it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub address: SocketAddr,
    pub reason: Errno,
}

/// What came of it. The socket is non-blocking.
pub struct Dialed {
    pub connected: Option<(TcpStream, SocketAddr)>,
    pub failures: Vec<Failure>,
}

/// Brings the families in turn, the first address first, without changing the order in a family.
pub fn alternate(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let all: Vec<IpAddr> = addresses.into_iter().collect();
    let first_is_six = all.first().is_some_and(IpAddr::is_ipv6);
    let family = |six: bool| all.iter().copied().filter(move |ip| ip.is_ipv6() == six);
    let (mut one, mut other) = (family(first_is_six), family(!first_is_six));
    let mut mixed = Vec::new();
    while mixed.len() < all.len() {
        mixed.extend(one.next());
        mixed.extend(other.next());
    }
    mixed
}

struct Attempt {
    socket: OwnedFd,
    address: SocketAddr,
    until: Instant,
}

/// What is under way.
struct Race<'a> {
    dialing: &'a Dialing,
    /// How long an attempt has in this round.
    time: Duration,
    waiting: VecDeque<SocketAddr>,
    running: Vec<Attempt>,
    /// Those that another round is for, if there is one.
    late: Option<VecDeque<SocketAddr>>,
    failures: Vec<Failure>,
}

/// Tries all addresses in their order; the first that answers counts.
pub fn dial(addresses: &[SocketAddr], dialing: &Dialing) -> Dialed {
    let is_alone = addresses.len() == 1;
    let again = !is_alone && !dialing.second.is_zero();
    let mut race = Race {
        dialing,
        time: match is_alone {
            true => dialing.first + dialing.second,
            false => dialing.first,
        },
        waiting: addresses.iter().copied().collect(),
        running: Vec::new(),
        late: again.then(VecDeque::new),
        failures: Vec::new(),
    };
    let mut connected = race.round();
    if connected.is_none()
        && let Some(late) = race.late.take()
    {
        (race.waiting, race.time) = (late, dialing.second);
        connected = race.round();
    }
    Dialed {
        connected: connected.map(|attempt| (TcpStream::from(attempt.socket), attempt.address)),
        failures: race.failures,
    }
}

impl Race<'_> {
    /// Until one is connected or nothing is left to be tried.
    fn round(&mut self) -> Option<Attempt> {
        let mut next = Instant::now();
        loop {
            let now = Instant::now();
            self.expire(now);
            if self.running.is_empty() {
                next = now;
            }
            if now >= next
                && let Some(address) = self.waiting.pop_front()
            {
                next = now + STAGGER;
                if let Some(connected) = self.start(address, now) {
                    return Some(connected);
                }
                continue;
            }
            if self.running.is_empty() {
                return None;
            }
            let begin = (!self.waiting.is_empty()).then_some(next);
            let ends = self.running.iter().map(|attempt| attempt.until);
            let end = ends.chain(begin).min().unwrap_or(now);
            for place in wait(&self.running, end.saturating_duration_since(now)) {
                // From the last to the first, so that the places before it stay.
                let attempt = self.running.swap_remove(place);
                match getsockopt(&attempt.socket, sockopt::SocketError) {
                    Ok(0) => return Some(attempt),
                    Ok(number) => self.fail(attempt.address, Errno::from_raw(number)),
                    Err(errno) => self.fail(attempt.address, errno),
                }
                // It need not be waited for.
                next = now;
            }
        }
    }

    fn fail(&mut self, address: SocketAddr, reason: Errno) {
        self.failures.push(Failure { address, reason });
    }

    fn expire(&mut self, now: Instant) {
        let over = |attempt: &mut Attempt| attempt.until <= now;
        let expired: Vec<Attempt> = self.running.extract_if(.., over).collect();
        for attempt in expired {
            match &mut self.late {
                Some(late) => late.push_back(attempt.address),
                None => self.fail(attempt.address, Errno::ETIMEDOUT),
            }
        }
    }

    /// Begins an attempt, which may be done at once.
    fn start(&mut self, address: SocketAddr, now: Instant) -> Option<Attempt> {
        let attempt = open(address, self.dialing).map(|socket| Attempt {
            socket,
            address,
            until: now + self.time,
        });
        let attempt = match attempt {
            Ok(attempt) => attempt,
            Err(reason) => {
                self.fail(address, reason);
                return None;
            }
        };
        match connect(attempt.socket.as_raw_fd(), &SockaddrStorage::from(address)) {
            Ok(()) => return Some(attempt),
            Err(Errno::EINPROGRESS | Errno::EINTR) => self.running.push(attempt),
            Err(reason) => self.fail(address, reason),
        }
        None
    }
}

fn open(address: SocketAddr, dialing: &Dialing) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let end = socket(family, SockType::Stream, flags, None::<SockProtocol>)?;
    if dialing.local.is_some() || dialing.local_port != 0 {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => [0; 16].into(),
        };
        let mut from = dialing.local.unwrap_or(SocketAddr::new(any, 0));
        from.set_port(dialing.local_port);
        // Several attempts may come from the same port.
        setsockopt(&end, sockopt::ReuseAddr, &true)?;
        bind(end.as_raw_fd(), &SockaddrStorage::from(from))?;
    }
    Ok(end)
}

/// The places of those that are decided, the last first.
fn wait(running: &[Attempt], time: Duration) -> Vec<usize> {
    let ends = running.iter().map(|attempt| attempt.socket.as_fd());
    let mut list: Vec<PollFd> = ends
        .map(|end| PollFd::new(end, PollFlags::POLLOUT))
        .collect();
    // Rounded up: waking a moment early would mean to spin until the moment comes.
    let milliseconds = time.as_millis().saturating_add(1);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    if poll(&mut list, timeout).is_err() {
        return Vec::new();
    }
    let decided = list
        .iter()
        .enumerate()
        .filter(|(_, one)| one.any() == Some(true));
    let mut places: Vec<usize> = decided.map(|(place, _)| place).collect();
    places.reverse();
    places
}

#[cfg(test)]
mod tests;
