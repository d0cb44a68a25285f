//! Both directions over real sockets, driven as an event loop does it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use super::*;
use crate::sys::descriptor::set_nonblocking;

struct Relay {
    forward: Forward,
    tools: Tools,
}

/// A client, a backend, and the relay between them.
fn relay(first: &[u8]) -> (TcpStream, UnixStream, Relay) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    let (backend, far) = UnixStream::pair().unwrap();
    let end = |fd: OwnedFd| {
        set_nonblocking(&fd).unwrap();
        Stream::from(fd)
    };
    let near = End {
        stream: end(near.into()),
        ready: Readiness::default(),
    };
    let forward = Forward::new(near, end(far.into()), first);
    client.set_nonblocking(true).unwrap();
    backend.set_nonblocking(true).unwrap();
    let tools = Tools::new(Pipes::new(1));
    (client, backend, Relay { forward, tools })
}

fn ask(fd: BorrowedFd<'_>) -> Ready {
    let wanted = PollFlags::POLLIN | PollFlags::POLLOUT;
    let mut list = [PollFd::new(fd, wanted)];
    poll(&mut list, PollTimeout::ZERO).unwrap();
    let got = list[0].revents().unwrap();
    let hung_up = got.contains(PollFlags::POLLHUP);
    let broken = got.contains(PollFlags::POLLERR);
    Ready {
        readable: got.contains(PollFlags::POLLIN) || hung_up || broken,
        writable: got.contains(PollFlags::POLLOUT),
        broken,
        hung_up,
        ended: false,
    }
}

impl Relay {
    /// Does what there is to do.
    fn turn(&mut self) {
        self.forward
            .notice_client(ask(self.forward.client().as_fd()));
        self.forward
            .notice_backend(ask(self.forward.backend().as_fd()));
        while self.forward.has_work() {
            self.forward.turn(&mut self.tools);
        }
    }

    /// Turns until that holds, for a bounded time.
    fn until(&mut self, mut holds: impl FnMut(&Forward) -> bool) {
        for _ in 0..100_000 {
            self.turn();
            if holds(&self.forward) {
                return;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        panic!("waited in vain");
    }
}

fn would_block<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        other => Some(other.unwrap()),
    }
}

fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(next).collect()
}

/// Sends all of it on one end and compares it with what comes out of the other, then both ends.
fn carries(relay: &mut Relay, sent: &[u8], mut from: impl Write, mut to: impl Read) {
    let (mut put, mut got) = (0, Vec::new());
    let mut buffer = vec![0; 100_000];
    relay.until(|_| {
        while put < sent.len() {
            match would_block(from.write(&sent[put..])) {
                Some(count) => put += count,
                None => break,
            }
        }
        while let Some(count) = would_block(to.read(&mut buffer)) {
            assert!(count > 0, "an early end");
            got.extend_from_slice(&buffer[..count]);
        }
        got.len() >= sent.len()
    });
    assert!(got == sent, "bytes were changed");
}

#[test]
fn what_was_read_before_goes_first() {
    let (mut client, mut backend, mut relay) = relay(b"first, ");
    client.write_all(b"second").unwrap();
    relay.until(|forward| forward.counts().0 == 13);
    let mut got = [0; 20];
    assert_eq!(backend.read(&mut got).unwrap(), 13);
    assert_eq!(&got[..13], b"first, second");
}

#[test]
fn large_amounts_arrive_whole_in_both_directions() {
    let (client, backend, mut relay) = relay(b"");
    let sent = bytes(5_000_000);
    carries(&mut relay, &sent, &client, &backend);
    carries(&mut relay, &sent, &backend, &client);
    assert_eq!(relay.forward.counts(), (5_000_000, 5_000_000));
    assert!(relay.forward.up.is_empty() && relay.forward.down.is_empty());
}

#[test]
fn a_stalled_backend_stops_its_client_and_nothing_grows() {
    let (mut client, backend, mut relay) = relay(b"");
    let chunk = bytes(100_000);
    let mut still = 0;
    let mut taken = 0;
    relay.until(|_| {
        match would_block(client.write(&chunk)) {
            Some(count) => (taken, still) = (taken + count, 0),
            None => still += 1,
        }
        still > 200
    });
    let up = &relay.forward.up;
    let kept = up.rest.len() + up.pipe.as_ref().map_or(0, |(_, count)| *count);
    assert!(kept > 0 && kept <= BATCH, "{kept}");
    // The end comes behind all of it.
    client.shutdown(Shutdown::Write).unwrap();
    let (mut total, mut buffer) = (0, vec![0; 65536]);
    relay.until(|_| {
        loop {
            match would_block((&backend).read(&mut buffer)) {
                Some(0) => return true,
                Some(count) => total += count,
                None => return false,
            }
        }
    });
    assert_eq!(total, taken);
}

#[test]
fn each_side_may_end_first_and_hear_the_other_to_the_end() {
    let (mut client, mut backend, mut relay) = relay(b"");
    let mut got = [0; 10];
    client.shutdown(Shutdown::Write).unwrap();
    relay.until(|forward| forward.up.closed);
    assert_eq!(backend.read(&mut got).unwrap(), 0);
    backend.write_all(b"late").unwrap();
    relay.until(|forward| forward.counts().1 == 4);
    assert_eq!(client.read(&mut got).unwrap(), 4);
    assert!(!relay.forward.is_lingering());
    drop(backend);
    relay.until(|forward| forward.is_complete());
    assert_eq!(client.read(&mut got).unwrap(), 0);
}

#[test]
fn a_backend_that_ends_first_still_hears_the_client() {
    let (mut client, mut backend, mut relay) = relay(b"");
    let mut got = [0; 10];
    backend.shutdown(Shutdown::Write).unwrap();
    relay.until(|forward| forward.down.closed);
    assert_eq!(client.read(&mut got).unwrap(), 0);
    client.write_all(b"late").unwrap();
    relay.until(|forward| forward.counts().0 == 4);
    assert_eq!(backend.read(&mut got).unwrap(), 4);
    assert!(!relay.forward.is_lingering());
    drop(client);
    relay.until(|forward| forward.is_complete());
}

#[test]
fn a_backend_that_is_gone_leaves_only_the_clients_end_to_wait_for() {
    let (mut client, mut backend, mut relay) = relay(b"");
    backend.write_all(b"bye").unwrap();
    drop(backend);
    relay.until(|forward| forward.is_lingering());
    assert!(!relay.forward.is_complete());
    let mut got = [0; 10];
    assert_eq!(client.read(&mut got).unwrap(), 3);
    assert_eq!(client.read(&mut got).unwrap(), 0);
    // What it says meanwhile is heard and forgotten, so that no reset eats the reply.
    client.write_all(b"more").unwrap();
    relay.turn();
    client.shutdown(Shutdown::Write).unwrap();
    relay.until(|forward| forward.is_complete());
    assert!(!relay.forward.is_client_gone());
}

#[test]
fn what_a_client_said_before_its_reset_arrives() {
    let (mut client, mut backend, mut relay) = relay(b"");
    client.write_all(b"last words").unwrap();
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    relay.until(|forward| forward.counts().0 == 10);
    setsockopt(&client, sockopt::Linger, &linger).unwrap();
    drop(client);
    relay.until(|forward| forward.is_complete());
    assert!(relay.forward.is_client_gone());
    let mut got = [0; 20];
    assert_eq!(backend.read(&mut got).unwrap(), 10);
    assert_eq!(backend.read(&mut got).unwrap(), 0);
    drop(relay);
    assert_eq!(
        backend.write(b"x").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}
